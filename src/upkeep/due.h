/* SPDX-License-Identifier: MIT */

/* upkeep/due: retries whose wait is over go to the group's retry stream, and batches whose time is over are closed.
 * Threads    reaper. Waits for the answer. */
#ifndef QUERN_UPKEEP_DUE_H
#define QUERN_UPKEEP_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

#include "upkeep/heed.h"

struct conn;
struct source;
struct reaper_needs;

/* How many jobs are to run alone; waiting: of these, nobody looks after them now. */
struct due_alone {
    int64_t all, waiting;
};

/* One bounded call. heard: what operators have ordered, lent until the next answer. *next_ms: come again then (0: there is more to
 * do now; -1: nothing waits). *is_batch_due: the time of a batch is over. */
int due_step(const struct reaper_needs *needs, const struct source *source, struct conn *conn, int64_t *next_ms,
             struct due_alone *alone, struct heard *heard, bool *is_batch_due, quern_error *err) QUERN_MUST_USE;

/* Closes batches whose time is over. One bounded call. *is_more: there is more to do now. */
int due_batches(const struct reaper_needs *needs, const struct source *source, struct conn *conn, bool *is_more,
                quern_error *err) QUERN_MUST_USE;

#endif
