/* SPDX-License-Identifier: MIT */

/* inspect/stats: a pool's numbers as JSON.
 * Idea       the pool reads its threads' counters into one flat struct; here they get their names. The README lists them.
 * Threads    any; waits for nothing. */
#ifndef QUERN_INSPECT_STATS_H
#define QUERN_INSPECT_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bill;
struct slots;

/* One of the pool's queues. */
struct stats_queue {
    const char *stream, *group;
    int64_t weight, fetched, held;
};

struct stats {
    struct slots *table; /* lent: what runs is read there */
    const struct stats_queue *queues;
    size_t queue_count;
    const char *stream, *group, *consumer;
    bool is_stopping, is_paused, is_up;
    const char *unhealthy_because; /* NULL: it is healthy */
    int64_t uptime_ms, threads, threads_stuck, run_us, slots, reply_bytes, notices_dropped;
    /* jobs */
    int64_t fetched, adopted, waiting, running, held, done, retry, dead, malformed, too_large, expired, timeout, poison,
        cancelled, unhandled, released, left, unsettled;
    /* leases */
    int64_t renewed, lost, ambiguous;
    /* upkeep */
    int64_t parked, postponed;
    int64_t reclaimed, due, scheduled, deleted, swept, trimmed, dead_trimmed;
    bool is_deleting; /* the second gear of trimming is in */
    /* redis */
    int64_t outages, reads, settles;
    int64_t last_fetch_ms, last_settle_ms, last_renewal_ms; /* ago; -1: never */
    const struct bill *bill;                                /* what each event cost */
};

/* Gives; NULL: no memory. */
char *stats_text(const struct stats *stats);

#endif
