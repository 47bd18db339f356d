/* SPDX-License-Identifier: MIT */

/* proof/saying: the log lines of a pool that a history keeps: rare things that must be seen sometimes, and what is said of
 * losses. */
#ifndef QUERN_TESTS_PROOF_SAYING_H
#define QUERN_TESTS_PROOF_SAYING_H

enum saying {
    SAYING_RECLAIMED,
    SAYING_ADOPTED,
    SAYING_LEASE_LOST,
    SAYING_GIVEN_BACK,
    SAYING_HEALED,
    SAYING_OUTAGE,
    SAYING_BLAMED,
    SAYING_RUNS_ALONE,
    SAYING_STUCK,
    SAYING_SWEPT,
    SAYING_PENDING_DELETED,
    SAYING_ENTRY_DELETED,
    SAYING_STILL_RUNNING,
    SAYINGS
};

/* As the runtime names them. */
static const char *const sayings[SAYINGS] = {
    [SAYING_RECLAIMED] = "reclaimed",
    [SAYING_ADOPTED] = "adopted",
    [SAYING_LEASE_LOST] = "lease_lost",
    [SAYING_GIVEN_BACK] = "given_back",
    [SAYING_HEALED] = "group_made_again",
    [SAYING_OUTAGE] = "redis_lost",
    [SAYING_BLAMED] = "crash_settled",
    [SAYING_RUNS_ALONE] = "runs_alone",
    [SAYING_STUCK] = "handler_stuck",
    [SAYING_SWEPT] = "consumers_swept",
    [SAYING_PENDING_DELETED] = "pending_deleted",
    [SAYING_ENTRY_DELETED] = "entry_deleted",
    [SAYING_STILL_RUNNING] = "still_running",
};

#endif
