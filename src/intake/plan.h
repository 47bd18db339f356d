/* SPDX-License-Identifier: MIT */

/* intake/plan: how many jobs to ask for. A pure function of what was measured.
 * Idea       unstarted jobs wait here at most prefetch_ms: microsecond jobs come by the hundred, CPU-heavy ones a few at a time,
 *            and jobs longer than that only for threads that are idle: what we do not hold, another machine can take. */
#ifndef QUERN_INTAKE_PLAN_H
#define QUERN_INTAKE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

struct plan_facts {
    uint32_t threads, idle_threads;
    uint32_t waiting;  /* admitted and not started */
    uint32_t asked;    /* by reads in flight */
    uint32_t free;     /* slots that could be reserved */
    uint32_t settling; /* slots of jobs that have ended and are on their way to Redis */
    int64_t mean_ns;   /* of a job of late; 0: unknown */
    int64_t prefetch_ns;
    uint32_t prefetch_max, batch_size;
    int64_t entry_bytes;           /* of an entry of late; 0: unknown */
    bool holds_nothing;            /* no job is held: one may then come whatever the bytes say */
    int64_t used_bytes, max_bytes; /* what replies hold */
};

struct plan {
    uint32_t count;     /* COUNT of the next read, per stream; 0: do not read now */
    uint32_t refill_at; /* when there is nothing to read now: read again when so few are waiting */
    uint32_t worth;     /* a backlog of so many is worth waking another worker for */
};

/* A read is of two streams: it may bring twice its count. */
struct plan plan(const struct plan_facts *facts);

#endif
