/* SPDX-License-Identifier: MIT */

/* blame/blame: what a process that has died held goes back to its group.
 * Idea       its journal says what ran, Redis what was pending in its name: what ran is judged (blame/judge), the rest was not started.
 *            All of it by an owner-checked script, so that reading a journal twice changes nothing twice.
 * Threads    the connection's owner. Waits for answers. */
#ifndef QUERN_BLAME_BLAME_H
#define QUERN_BLAME_BLAME_H

#include <stdint.h>

#include "blame/journal.h"
#include "wire/conn.h"

struct log;

struct blame_sums {
    uint32_t released; /* they run again like any other */
    uint32_t suspects; /* they run alone from now on */
    uint32_t guilty;   /* likewise, and are counted */
    uint32_t stuck;    /* Redis could not move them: they come back when their lease is over */
    uint32_t deleted;  /* somebody has deleted them while they were pending: they are lost */
};

/* ended: how the process ended, as its parent knows ("SIGKILL"), or NULL: unknown. Adds to *sums, also where it fails. */
int blame_settle(struct conn *conn, const struct journal *journal, const char *ended, struct blame_sums *sums,
                 quern_error *err) QUERN_MUST_USE;

/* The same for every journal in dir that its process has left behind, and that works for the same as we: words. Each is removed once
 * that is done; what could not be done is said in the log, and tried again at the next start. Returns how many were deleted. */
uint32_t blame_past(struct conn *conn, const char *dir, const struct journal_words *words, struct log *log);

void blame_tell(struct log *log, const char *consumer, const struct blame_sums *sums);
/* Only of what is lost, if anything is. */
void blame_tell_deleted(struct log *log, const char *consumer, const struct blame_sums *sums);

#endif
