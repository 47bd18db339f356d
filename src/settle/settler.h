/* SPDX-License-Identifier: MIT */

/* settle/settler: the thread that tells Redis what became of jobs.
 * Idea       group commit. The first ended job wakes it at once; after a round trip it lingers up to 20 ms unless a batch
 *            is full or a job that ran alone has ended, and what ended meanwhile goes together: one XACK, or one script call per 256.
 *
 *                done ──take──▶ [verdict] ──▶ XACK of the fresh        ─┐
 *                                        ──▶ done script of the others ─┤
 *                                        ──▶ retry script: to run again ─┼─one write, one wait──▶ slots are free again
 *                                        ──▶ dead script: dead letters  ─┘
 *
 * Invariant  a slot is freed only when Redis has answered for it (or it is left pending, counted). A script batch whose answer was
 *            lost is sent again as it was, with its number, and gives its first answer.
 * Threads    settler_run is the thread · counters: any
 * Never      decides: settle/verdict does. */
#ifndef QUERN_SETTLE_SETTLER_H
#define QUERN_SETTLE_SETTLER_H

#include "base/counters.h"
#include "base/waker.h"
#include "job/slot.h"
#include "job/source.h"
#include "queue/done.h"
#include "wire/link.h"

struct log;
struct bill;
struct notices;
struct gate;

/* Written by the settler, read by anyone. */
struct settle_counters {
    struct counter done, retry, dead, released;                                          /* what became of jobs */
    struct counter malformed, too_large, expired, timeout, unhandled, poison, cancelled; /* and why, of the others than done */
    struct counter left;                                                                 /* not settled: they stay pending */
    struct counter unsettled; /* of these: Redis could not be told before the drain was over */
    struct counter lost;      /* finished here, but another had the lease by then */
    struct counter ambiguous; /* an acknowledgement whose answer was lost: done, by us or by another */
    struct counter batches;
    struct counter last_ns; /* when Redis last answered */
    struct counter owed_ns; /* since when something waits to be told to it; 0: nothing does */
};

/* All that the settler touches. */
struct settler_needs {
    struct done *done;
    struct slots *slots;
    const struct source *sources;
    uint32_t source_count;
    const char *consumer;
    struct link_options link;
    int64_t lease_ns;
    bool is_unpended; /* at-most-once: what is read does not become pending */
    struct log *log;
    struct notices *notices;
    struct settle_counters *counters;
    struct bill *bill;
    _Atomic int64_t *drain_ns; /* past it, what cannot be told to Redis is left */
    _Atomic int64_t
        *owed_until_ns;   /* till then, what has lost its lease with its group is about to get a new one, and waits for it */
    struct waker *refill; /* the dispatcher's: woken when it waits for slots */
    _Atomic bool *wants_slots;
    struct gate *gate;
    struct waker *upkeep; /* the reaper's: woken when trim_after more were settled */
    int64_t trim_after;
    _Atomic int64_t *acked;      /* since the last trim */
    const _Atomic bool *deletes; /* per source; the second gear of trimming: what is acknowledged is deleted too */
    _Atomic int64_t *due_ns;     /* when the first of our retries that wait is due; the reaper takes it out */
    int64_t soon_ms;             /* the reaper is woken for one that is due so soon */
};

/* The thread. needs is lent for as long as it runs; conn is taken. Ends when done is closed and every slot is free, or drain is
 * over and Redis away; before that it puts back what its consumer still holds unstarted. */
struct settler_start {
    const struct settler_needs *needs;
    struct conn *conn;
    void (*begun)(void *pool, bool is_whole); /* told once: is there memory for what it needs? else it ends at once */
    void *pool;
};
void settler_run(void *start);

#endif
