/* SPDX-License-Identifier: MIT */

/* upkeep/alone: jobs that run with nothing else beside them are fetched, one at a time.
 * Idea       the script counts the job before it starts, so that a crash of the process is the job's own, even where nobody is left
 *            to say so; any outcome takes the count back. One that was counted max_crashes times before is buried.
 * Threads    reaper. Waits for the answer. */
#ifndef QUERN_UPKEEP_ALONE_H
#define QUERN_UPKEEP_ALONE_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct conn;
struct reaper_needs;

/* origin: of the source's stream. trusts_idle: Redis's clock is as we know it, so that who is idle for a lease has let go.
 * *is_taken: there was one, and it is on its way. */
int alone_step(const struct reaper_needs *needs, uint32_t origin, struct conn *conn, bool trusts_idle, bool *is_taken,
               quern_error *err) QUERN_MUST_USE;

#endif
