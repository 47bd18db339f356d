/* SPDX-License-Identifier: MIT */

/* intake/admit: an entry becomes a job.
 * Idea       a reserved slot takes the entry's views and a hold on the chunks they lie in; then the job is READY, or DONE at once
 *            if it cannot be read.
 * Again      after a heal or a failover entries come again. One that is still held here is not run twice: its slot gets the new
 *            lease. If its id names another job by now, the old one is lost.
 * Threads    dispatcher. */
#ifndef QUERN_INTAKE_ADMIT_H
#define QUERN_INTAKE_ADMIT_H

#include "intake/dispatcher.h"
#include "wire/reply.h"

/* Slots that were taken out of the table for reads in flight. */
struct reserve {
    struct quern_job **jobs; /* room for every slot */
    uint32_t count;
};

/* What is known of the ids of one origin. */
struct high {
    struct entry_id newest; /* that was ever handed to us: what is not above it may have come before */
    struct entry_id seen;   /* the newest since the last heal: what a lost reply stranded is newer still */
    struct entry_id owed;   /* up to here, what is held is handed out again since the last heal */
};

/* Where and how a list of entries came. */
struct arrival {
    uint32_t origin;
    int64_t granted_ns;
    bool is_stopping;           /* it is released instead of run */
    const uint32_t *deliveries; /* one per entry asked for; NULL: each its first */
    uint32_t deliveries_count;
    struct high *high; /* raised to the newest id that came */
};

/* Admits each entry of a list ([[id, fields], …]; nil entries are passed over). */
void admit_entries(const struct dispatcher_needs *needs, struct reserve *reserve, const struct reply *entries,
                   const struct arrival *arrival);

#endif
