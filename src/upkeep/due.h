/* SPDX-License-Identifier: MIT */

/* upkeep/due: retries whose wait is over go to the group's retry stream.
 * Threads    reaper. Waits for the answer. */
#ifndef QUERN_UPKEEP_DUE_H
#define QUERN_UPKEEP_DUE_H

#include <stdint.h>

#include "quern.h"

struct conn;
struct source;
struct reaper_needs;

/* One bounded call. *next_ms: come again then (0: there is more to do now; -1: nothing waits). *alone: how many jobs are to run alone,
 * those that do so now included. */
int due_step(const struct reaper_needs *needs, const struct source *source, struct conn *conn, int64_t *next_ms, int64_t *alone,
             quern_error *err) QUERN_MUST_USE;

#endif
