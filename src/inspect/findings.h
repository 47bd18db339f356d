/* SPDX-License-Identifier: MIT */

/* inspect/findings: what a doctor has found: each with its level, the check that found it, and what to do about it.
 * Idea       an error: jobs are lost, or nothing goes on; a warning: they may be, or it goes badly; a note: good to know.
 * Threads    the caller's. No memory is kept in mind until the list is asked for. */
#ifndef QUERN_INSPECT_FINDINGS_H
#define QUERN_INSPECT_FINDINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "quern.h"

enum finding_level { FINDING_ERROR, FINDING_WARNING, FINDING_NOTE };

struct findings {
    json_t *list;       /* NULL: nothing yet */
    const char *stream; /* what is found concerns this one; NULL: the server. Lent */
    bool has_failed;
};

/* One more. check: its name; what_to_do: a sentence. What is no UTF-8 in the text, as a name may be, becomes '?'. */
void finding_add(struct findings *findings, enum finding_level level, const char *check, const char *what_to_do,
                 const char *format, ...) QUERN_PRINTF(5, 6);

/* All of them, worst first, otherwise in the order in which they were found. Gives (json_decref); NULL: no memory. */
json_t *findings_sorted(const struct findings *findings);
void findings_close(struct findings *findings);

enum { SPAN_SIZE = 24 };
/* A time as people say it, "45 s" or "3.2 h", into text[SPAN_SIZE], which it returns. */
const char *finding_span(int64_t ms, char *text);

#endif
