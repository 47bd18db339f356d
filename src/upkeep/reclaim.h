/* SPDX-License-Identifier: MIT */

/* upkeep/reclaim: entries whose owner has let its lease run out go back to the group.
 * Idea       the pending list is read in pages (plain reads: 0.3 ms of Redis for a thousand rows); rows that were idle for a lease
 *            and do not lie in our own slots are moved to the group's retry stream by a script that looks once more. There,
 *            whoever has a thread for them reads them: nobody claims more than it can run, no slot is needed here, and the
 *            payload does not travel. A late owner finds that its pending row is gone, so it changes nothing.
 * Rule       Redis measures idleness by its wall clock. When that has stepped against ours, rows are let be for a lease of our own
 *            time: by then whoever is alive has renewed them. After a step back, rows that Redis cannot tell the idleness of are
 *            judged by our own time (upkeep/frozen).
 * Threads    reaper. Waits for answers. */
#ifndef QUERN_UPKEEP_RECLAIM_H
#define QUERN_UPKEEP_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"
#include "upkeep/frozen.h"
#include "wire/entry.h"

struct conn;
struct source;
struct reaper_needs;

/* One walk over a source's two pending lists. Begins zeroed. */
struct reclaim {
    bool is_walking, is_private;
    struct entry_id after;
    bool has_offset;
    int64_t offset_ms; /* Redis's clock minus ours, when it was last looked at */
    int64_t hold_ns;   /* nothing is taken before */
    struct frozen frozen;
};

/* One page. *has_more: the walk goes on. origin: of the source's stream. */
int reclaim_step(struct reclaim *reclaim, const struct reaper_needs *needs, uint32_t origin, struct conn *conn, int64_t now_ns,
                 bool *has_more, quern_error *err) QUERN_MUST_USE;

/* So many that were pending there had been deleted, by somebody else: counted and said, if there are any. */
void reclaim_tell_deleted(const struct reaper_needs *needs, const char *key, int64_t deleted);

/* What Redis's clock says (Unix ms) at now_ns of ours: has it stepped by more than a quarter of a lease since it was last looked at?
 * Then nothing is taken for a lease. A pure function of its arguments. */
bool reclaim_sees_time(struct reclaim *reclaim, int64_t redis_ms, int64_t now_ns, int64_t lease_ns);

#endif
