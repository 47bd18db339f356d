/* SPDX-License-Identifier: MIT */

/* upkeep/frozen: rows whose idleness Redis cannot tell.
 * Idea       after a step back of Redis's clock, what was handed out before it looks idle for exactly 0 ms until the clock has caught up.
 *            Whoever is alive renews, and then the row counts anew; so one that is at 0 at every look, three at least, for a lease of
 *            our own time, has an owner who does not. But for one whose renewals are in step with our looks: so the last two looks
 *            are a few milliseconds apart, which shows in any row that was renewed just before.
 * Invariant  at most FROZEN_MAX rows are remembered; others find a place when these are taken. A row that is not met in a whole walk
 *            is forgotten.
 * Threads    reaper. */
#ifndef QUERN_UPKEEP_FROZEN_H
#define QUERN_UPKEEP_FROZEN_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/entry.h"

enum { FROZEN_MAX = 512, FROZEN_LOOKS = 3, FROZEN_AGAIN_MS = 5 };

struct frozen {
    uint32_t count, walk;
    bool wants_look; /* in FROZEN_AGAIN_MS: a row is at 0 for long enough, and its last look was not just before this one */
    struct frozen_row {
        struct entry_id id;
        uint64_t owner;            /* a hash of its name */
        int64_t since_ns;          /* the first look */
        int64_t asked_ns, seen_ns; /* the last one: when it was asked for, and answered */
        uint32_t origin, deliveries, looks, walk;
    } rows[FROZEN_MAX];
};

/* A walk over the pending lists begins. */
void frozen_begin(struct frozen *frozen);

/* A row as it was seen: is it to be taken? asked_ns: when the look was asked for; now_ns: when it was answered. Pure but for what it
 * remembers. */
struct pending_row;
bool frozen_sees(struct frozen *frozen, uint32_t origin, const struct pending_row *row, int64_t asked_ns, int64_t now_ns,
                 int64_t lease_ns);

#endif
