/* SPDX-License-Identifier: MIT */

/* run/registry: which handler runs which event.
 * Idea       an immutable table behind one pointer. A worker holds the table it uses by a count of its own; RCU covers the
 *            moment between reading the pointer and counting, so a table can be replaced while jobs run, and goes when its last
 *            worker has moved on.
 * Invariant  what registry_find() lends stays valid until the same worker's next registry_hold() or registry_drop().
 * Threads    hold, is_current, find, drop: workers, registered with RCU · replace: the host, one at a time · open, close: owner
 * Never      keeps a read-side section open while a handler runs. */
#ifndef QUERN_RUN_REGISTRY_H
#define QUERN_RUN_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/policy.h"
#include "quern.h"

/* One handler, and how long its jobs take. */
struct handler {
    quern_handler is;                     /* texts owned by the table */
    quern_bytes event;                    /* its event, as is says */
    uint32_t index;                       /* its place in the table */
    const struct policy *policies;        /* one per queue of the pool */
    struct cap *cap;                      /* run/caps; NULL: none */
    struct bill_line *line;               /* job/bill; NULL: none is kept */
    _Alignas(64) _Atomic int64_t mean_ns; /* of late; 0: none has ended yet */
    _Atomic bool is_deferring;            /* it has said QUERN_PENDING: its jobs outlive its returns */
};

struct table;
struct registry;

struct handler_setup {
    const quern_handler *handler;
    const struct policy *policies; /* one per queue */
    struct cap *cap;               /* NULL: none */
    struct bill_line *line;
};

struct registry_setup {
    const struct handler_setup *handlers;
    uint32_t count, queues;
    const struct policy *policies; /* for jobs without a handler, one per queue */
    const int *unhandled;          /* enum unhandled (config), likewise */
};

/* Copies what is set up. Gives; NULL: no memory. */
struct registry *registry_open(const struct registry_setup *setup);
void registry_close(struct registry *registry);
/* Puts another table in its place. false: no memory, nothing changed. Waits for a grace period, not for handlers. */
bool registry_replace(struct registry *registry, const struct registry_setup *setup);

void registry_thread_begin(void);
void registry_thread_end(void);

/* Brings *held up to date; true: it is another table than before (contexts opened for the old one are to be closed while
 * *old, which the caller then drops, is still held). */
bool registry_hold(struct registry *registry, struct table **held, struct table **old);
void registry_drop(struct table *held);
/* Would registry_hold() leave it as it is? Any thread that holds it. */
bool registry_is_current(const struct registry *registry, const struct table *held);

uint32_t table_count(const struct table *table);
struct handler *table_at(struct table *table, uint32_t index);
/* The handler of an event, or the one for "*", or NULL. */
struct handler *table_find(struct table *table, quern_bytes event);

/* What holds for the jobs of a queue that have no handler; *unhandled: what becomes of them. */
const struct policy *table_policy(const struct table *table, uint32_t queue, int *unhandled);

/* A job of it took so long; turn: a number that is another one each time. Any worker. */
void handler_took(struct handler *handler, int64_t ns, uint64_t turn);

#endif
