/* SPDX-License-Identifier: MIT */

/* job/source: where jobs come from: a stream, a group, and the keys derived from the two.
 * Invariant  constant while the pool lives. A pool has a list of them. */
#ifndef QUERN_JOB_SOURCE_H
#define QUERN_JOB_SOURCE_H

#include <stdbool.h>

#include "quern.h"

struct source {
    char *stream, *group;
    char *retry;     /* S:G:retry: private to the group, read beside the stream; its entries are deleted once settled */
    char *settles;   /* S:G:settles: what the last batch of each consumer came to */
    char *completed; /* S:G:completed: the log of finished jobs */
};

/* QUERN_OK or QUERN_E_MEMORY. */
int source_open(struct source *source, const char *stream, const char *group, quern_error *err) QUERN_MUST_USE;
void source_close(struct source *source);

/* The stream that entries of one origin lie in. */
const char *source_key(const struct source *source, bool is_private);

#endif
