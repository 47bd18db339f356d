/* SPDX-License-Identifier: MIT */

/* upkeep/reaper: the thread that does what is due in Redis besides jobs.
 * Idea       a table of chores {due, step}: do what is due, sleep until the next due thing, a wake or a stop. Every pool has one;
 *            the scripts make it safe that several work at once.
 *
 *                due      retries whose wait is over go back, and what operators have ordered is heard (upkeep/heed)
 *                                                                     when the next one is due, and twice a second
 *                alone    the next job that is to run alone is taken     as soon as the last one has been settled
 *                reclaim  entries whose owner is gone go back         each period, by the pool whose turn it is
 *                sweep    names of consumers long gone are deleted    each lease, by each: its own is kept alive by it
 *                letters  more dead letters than are to be kept go    each period, likewise
 *                watch    handlers that do not return are given up     when the next one is due (needs no Redis)
 *                trim     what every group has settled goes           each period, and after many acknowledgements
 *
 * Threads    reaper_run is the thread
 * At a stop  it wakes the dispatcher out of its blocking read (CLIENT UNBLOCK needs another connection), goes on while jobs are
 *            settled, then trims a last time and ends. */
#ifndef QUERN_UPKEEP_REAPER_H
#define QUERN_UPKEEP_REAPER_H

#include "base/counters.h"
#include "base/waker.h"
#include "config/config.h"
#include "job/slot.h"
#include "job/source.h"
#include "wire/link.h"

struct log;
struct ready;
struct done;
struct gate;
struct orders;

enum { DUE_LOOK_MS = 500 }; /* whoever laid a retry aside may be gone: others look this often */

struct reaper_counters {
    struct counter reclaimed, due; /* entries that went back to the group */
    struct counter scheduled;      /* jobs published for later that went into the stream */
    struct counter deleted; /* while they were pending or waiting, by somebody else: all that is left of them is this count */
    struct counter swept, trimmed, dead_trimmed;
};

struct reaper_needs {
    const struct source *sources;
    uint32_t source_count;
    const char *consumer;
    /* Looks after what has a time in this process (run/overdue): returns when to come again. */
    int64_t (*watch)(void *user, int64_t now_ns);
    void *user;
    struct ready *ready; /* jobs that run alone go in there, or straight to done */
    struct done *done;
    struct gate *gate;
    struct orders *orders;
    struct waker *dispatcher; /* woken when a queue is paused or goes on */
    int lanes;                /* enum config_lanes */
    int64_t alone_after;      /* deliveries without an outcome; 0: never */
    int64_t max_crashes;
    uint32_t fields_max;
    bool until_empty;
    _Atomic bool *alone_waits;      /* said to the dispatcher: it is not empty yet */
    void (*call_alone)(void *user); /* LANES_SHARED: says so elsewhere */
    void *call_user;
    void (*stop)(void *pool); /* LANES_ALONE: there are no more; pool is user */
    struct slots *slots;      /* what lies there is alive, however idle Redis thinks it is */
    struct link_options link;
    int64_t period_ns, lease_ns;
    struct log *log;
    struct reaper_counters *counters;
    struct waker *waker; /* its own: a stop, enough to trim, or a retry that is due soon */
    _Atomic bool *is_stopping, *has_settled;
    _Atomic bool
        *deletes; /* per source; set while the second gear of trimming is in: the settler deletes what it acknowledges */
    _Atomic int64_t *acked;  /* since the last trim */
    _Atomic int64_t *due_ns; /* when the first of our own retries that wait is due */
    _Atomic int64_t *
        blocked_ids; /* one per group, source_count at most: the dispatcher's client id there while it may be in a blocking read, else 0 */
};

/* needs is lent for as long as it runs; conn is taken. */
struct reaper_start {
    const struct reaper_needs *needs;
    struct conn *conn;
    void (*begun)(void *pool, bool is_whole); /* told once: is there memory for what it needs? else it ends at once */
    void *pool;
};
void reaper_run(void *start);

#endif
