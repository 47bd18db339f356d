/* SPDX-License-Identifier: MIT */

/* run/crew: how many workers there are.
 * Idea       places 0 to N - 1, each a thread or none. A worker whose place is above the wanted number decides under the crew's
 *            lock to leave, so that a number raised in the same instant finds it either staying or gone.
 * Threads    set, join, free: the host's, one at a time by the lock · read, mean: any
 *            The last worker to leave a closed ready closes done: it knows the queue after it, not the settler. */
#ifndef QUERN_RUN_CREW_H
#define QUERN_RUN_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "run/worker.h"

enum { WORKERS_MAX = 1024 };

struct crew;

/* No threads yet. The queues, slots, registry and log of needs are lent. Gives; NULL: no memory. */
struct crew *crew_open(const struct worker_needs *needs);
/* Starts or takes leave of threads until there are n. Down: a thread leaves after the job it is at; nobody waits for it.
 * QUERN_E_MEMORY: fewer could be started. QUERN_E_GONE: ready is closed. */
int crew_set(struct crew *crew, uint32_t n, quern_error *err) QUERN_MUST_USE;
/* The worker's handler has outstayed its time: another thread takes its place, and it leaves once the handler returns. false: it
 * stays (the crew is not to have that many, is ending, or no thread could be started). */
bool crew_replace(struct crew *crew, struct worker *worker);
/* Joins every thread; ready must be closed. Waits for the handlers that still run. */
void crew_join(struct crew *crew);
void crew_free(struct crew *crew);

/* Sums over all places. */
struct crew_sums {
    uint32_t threads, running; /* running: in a handler now, those that were replaced included */
    uint32_t stuck;            /* replaced, and not yet returned from their handlers */
    int64_t jobs, run_ns;      /* handlers that have returned, and their time */
};
void crew_read(struct crew *crew, struct crew_sums *sums);

#endif
