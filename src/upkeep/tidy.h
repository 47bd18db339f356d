/* SPDX-License-Identifier: MIT */

/* upkeep/tidy: what is of no use any more: names of consumers long gone, dead letters beyond those that are to be kept.
 * Threads    reaper. Waits for answers. */
#ifndef QUERN_UPKEEP_TIDY_H
#define QUERN_UPKEEP_TIDY_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct conn;
struct source;
struct reaper_needs;

/* Consumers that were silent for ten leases and hold nothing. Our own says that it is there, at least every few leases. */
int tidy_consumers(const struct reaper_needs *needs, const struct source *source, struct conn *conn,
                   quern_error *err) QUERN_MUST_USE;

/* One bounded call. *has_more: more are to go. */
int tidy_letters(const struct reaper_needs *needs, const struct source *source, struct conn *conn, bool *has_more,
                 quern_error *err) QUERN_MUST_USE;

#endif
