/* SPDX-License-Identifier: MIT */

/* intake/dispatcher: the thread that reads jobs from Redis.
 *
 *      plan ──▶ reserve slots ──▶ XREADGROUP ──▶ send the next one ──▶ admit what came ──▶ wake a worker
 *        ▲                                                                                     │
 *        └──────────────── woken when little is left, or a reply is there ◀────────────────────┘
 *
 * Idea       two reads in flight while replies come back full, so that Redis never waits for us; once one comes back short, a
 *            single blocking read. Slots are reserved before a read is sent. With several queues intake/order says whose turn it is,
 *            and each group has a connection of its own (intake/tap); intake/demand says how many jobs are wanted.
 *            First of all the stream of retries is read alone, as long as it has something: what a pool before us has given back.
 * Invariant  with no connection there is no read in flight; after each connect, what Redis says is ours but lies in no slot is
 *            claimed (adopt) before anything else is read.
 * Threads    dispatcher_run is the thread
 * Paused     no new read; what those in flight bring waits in ready
 * At a stop  no new read; what the last ones bring, and what is unstarted, is released; ready is closed. */
#ifndef QUERN_INTAKE_DISPATCHER_H
#define QUERN_INTAKE_DISPATCHER_H

#include "base/counters.h"
#include "base/waker.h"
#include "job/slot.h"
#include "job/source.h"
#include "queue/done.h"
#include "queue/ready.h"
#include "wire/link.h"

struct log;
struct notices;
struct keys;
struct orders;

struct intake_counters {
    struct counter adopted, reads, lost, last_ns; /* last_ns: when Redis last answered a read */
    struct counter deleted;                       /* while they were pending in our name, by somebody else */
    struct counter owed_ns;                       /* since when it owes us one; 0: it does not */
};

struct dispatcher_needs {
    struct slots *slots;
    struct ready *ready;
    struct done *done;
    const struct source *sources;
    uint32_t source_count;
    const char *consumer;
    struct link_options link;
    struct chunk_pool *chunks;
    int64_t lease_ns, block_ms, prefetch_ns, prefetch_bytes, payload_max_bytes;
    uint32_t batch_size, prefetch_max, fields_max;
    bool until_empty;
    bool is_unpended; /* at-most-once: read with NOACK, and only for idle threads */
    struct log *log;
    struct notices *notices;
    struct intake_counters *counters;
    struct counter *fetched; /* per source */
    struct waker *waker;
    _Atomic bool *is_stopping;
    _Atomic bool *wants_slots;      /* the settler wakes us when some are free */
    const _Atomic uint32_t *heals;  /* whoever meets a group that is gone counts it, and wakes us */
    _Atomic int64_t *owed_until_ns; /* after a heal, until what is held here was handed out again, or cannot be; else 0 */
    _Atomic int64_t
        *blocked_ids; /* for the reaper, one per group: our client id there while we may be in a blocking read, else 0 */
    /* How many threads, and the time and number of jobs they have run (run/crew). */
    void (*read_crew)(void *crew, uint32_t *threads, int64_t *jobs, int64_t *run_ns);
    void *crew;
    void (*stop)(void *pool); /* until_empty: there was nothing left */
    void *pool;
    struct keys *keys;
    const struct orders *orders;
    void (*leaves_cap)(struct quern_job *job); /* of one that goes back: it may have been let through by its cap (run/caps) */
    void (*close_caps)(void *caps);            /* before ready is closed: what is parked goes back */
    void *caps;
    _Atomic bool *alone_waits; /* somewhere there are jobs that are to run alone: not empty */
    uint32_t max_unended;      /* a job that was handed out so often without an outcome is buried; 0: none is */
    bool reads_nothing;        /* only jobs that run alone are taken here, by the reaper */
};

/* needs is lent for as long as it runs; conn is taken, its groups exist. */
struct dispatcher_start {
    const struct dispatcher_needs *needs;
    struct conn *conn;
    void (*begun)(void *pool, bool is_whole); /* told once: is there memory for what it needs? else it ends at once */
    void *pool;
};
void dispatcher_run(void *start);

#endif
