/* SPDX-License-Identifier: MIT */

/* run/pull: jobs for threads of the host's. A worker that has such a job waits with it until somebody pulls, and hands it over.
 *
 *      worker ──promise──▶ (a puller waits) ──hand──▶ [offered] ──▶ quern_pull()
 *
 * Idea       a rendezvous, not a queue: no more jobs are held here than there are workers, the rest stays for other processes. The
 *            job is prepared (deadline, journal) between the promise and the hand-over, so it has begun when the host gets it.
 * Invariant  wanting + promised + offered = pullers inside: what is handed over has a taker. Whose time is over leaves only while nobody
 *            waits with a job: that one would come at once, and a look that may not wait is to see it.
 * Threads    promise, hand: workers · take: the host's · wake: any, also in a signal handler. The lock is a leaf. */
#ifndef QUERN_RUN_PULL_H
#define QUERN_RUN_PULL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct quern_job;

struct pull {
    pthread_mutex_t lock;                /* guards what follows */
    uint32_t wanting, promised, holding; /* holding: workers that wait with a job */
    struct quern_job *offered;           /* the first; the others by next_offered */
    _Atomic uint32_t changes;            /* for those who sleep */
};

void pull_open(struct pull *pull);
void pull_close(struct pull *pull);

/* Waits until somebody pulls. false: leaves(user) first, which is asked twice a second, and at each wake. */
bool pull_promise(struct pull *pull, bool (*leaves)(void *user), void *user);
/* After a promise. The job is the taker's from here on. */
void pull_hand(struct pull *pull, struct quern_job *job);

/* NULL: none came until the deadline, or has_ended(user) first. Waits. */
struct quern_job *pull_take(struct pull *pull, int64_t deadline_ns, bool (*has_ended)(void *user), void *user);

/* Who sleeps looks again. */
void pull_wake(struct pull *pull);

#endif
