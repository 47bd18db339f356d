/* SPDX-License-Identifier: MIT */

/* keep/heartbeat: the thread that renews leases.
 * Idea       every sixth of a lease it walks the slots, and asks for those older than a third: owner-checked, at most 256 a call.
 *            It has its own connection and waits for no worker, no settler and no callback: a job that burns CPU for an hour is
 *            still ours.
 * Invariant  a lease's time is taken before the command that grants it is sent. Who is answered "not yours" is marked lost by its
 *            generation: the slot may hold another job by then.
 * Threads    heartbeat_run is the thread
 * Never      runs a callback, frees a slot. */
#ifndef QUERN_KEEP_HEARTBEAT_H
#define QUERN_KEEP_HEARTBEAT_H

#include "base/counters.h"
#include "base/waker.h"
#include "job/slot.h"
#include "job/source.h"
#include "wire/link.h"

struct log;
struct notices;

struct heartbeat_counters {
    struct counter renewed, lost, last_ns; /* last_ns: when Redis last answered a renewal */
    struct counter owed_ns;                /* since when leases wait for theirs; 0: none does */
};

struct heartbeat_needs {
    struct slots *slots;
    const struct source *sources;
    uint32_t source_count;
    const char *consumer;
    struct link_options link;
    int64_t lease_ns, tick_ns;
    struct log *log;
    struct notices *notices;
    struct heartbeat_counters *counters;
    struct waker *waker;       /* its own: only a stop wakes it */
    _Atomic bool *is_stopping; /* set when the settler has ended: nothing is held any more */
};

/* needs is lent for as long as it runs; conn is taken. */
struct heartbeat_start {
    const struct heartbeat_needs *needs;
    struct conn *conn;
    void (*begun)(void *pool, bool is_whole); /* told once: is there memory for what it needs? else it ends at once */
    void *pool;
};
void heartbeat_run(void *start);

#endif
