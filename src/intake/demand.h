/* SPDX-License-Identifier: MIT */

/* intake/demand: how many jobs are wanted now, from what is measured; and the slots for them.
 * Idea       the facts of intake/plan, kept up to date; and slots that are reserved before a read is sent.
 * Threads    dispatcher. */
#ifndef QUERN_INTAKE_DEMAND_H
#define QUERN_INTAKE_DEMAND_H

#include "intake/admit.h"
#include "intake/plan.h"

struct demand {
    const struct dispatcher_needs *needs;
    struct reserve reserve;
    uint32_t admitting;  /* entries of a reply that was taken but not admitted yet: they will need slots of the reserve */
    int64_t entry_bytes; /* of an entry, of late */
    int64_t mean_ns, jobs_before, run_ns_before;
    int64_t progress_ns; /* when it was last seen that a job had ended, or a thread had none */
};

/* What reads in flight may bring: jobs of those that do not block, and slots for all of them. */
struct in_flight {
    uint32_t jobs, slots;
};

/* false: no memory. */
bool demand_open(struct demand *demand, const struct dispatcher_needs *needs);
void demand_close(struct demand *demand);

/* Where a thread has nothing to do, nothing stands still. Looked at also when a reply comes: the threads may be busy with it before
 * the next plan is made. */
void demand_see_idleness(struct demand *demand);
struct plan demand_plan(struct demand *demand, struct in_flight in_flight);
/* Of slots that are not spoken for, how many jobs per stream of one queue. */
uint32_t demand_room(const struct demand *demand, struct in_flight in_flight);
/* Is no job held? */
bool demand_holds_nothing(const struct demand *demand);

/* Has the reserve what reads in flight may bring, and so many slots more? Takes them if the table has them. */
bool demand_reserve(struct demand *demand, struct in_flight in_flight, uint32_t slots);
/* Gives back what no read in flight may need. */
void demand_release(struct demand *demand, struct in_flight in_flight);

#endif
