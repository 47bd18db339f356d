/* SPDX-License-Identifier: MIT */

/* job/witness: who sees, in place, what is said to Redis of our leases: the proof's worker (tests/proof), and nobody else.
 * Idea       a history proves something only if it says what is about to be asked before it is, and what was answered before
 *            anything else happens; notices come later, and may drop. Where nobody looks it costs one load of a pointer.
 * Threads    set before there is a pool; called on the thread that asks or takes.
 * Never      set by the library; no host can reach it (config/quern.map). */
#ifndef QUERN_JOB_WITNESS_H
#define QUERN_JOB_WITNESS_H

#include "job/slot.h"

struct witness {
    /* It came into a slot, under the lease that the slot says. */
    void (*leased)(const struct quern_job *job);
    /* These leases are about to be ended, by an action of settle/verdict; answers: and were: a letter of settle/batch for each.
     * */
    void (*settles)(struct quern_job *const *jobs, uint32_t count, int action, const char *answers);
    /* These leases are about to be renewed; letters: and were: a letter of the script for each. */
    void (*renews)(const struct lease *leases, uint32_t count, const char *letters);
};

extern const struct witness *witness; /* NULL: nobody looks */

#endif
