/* SPDX-License-Identifier: MIT */

/* run/worker: a thread that runs handlers.
 * Idea       pop a job, find its handler, run it, push what became of it. A worker never talks to Redis and never waits for
 *            anything but jobs.
 * Invariant  every job that is popped is pushed to done, or left pending and pushed by whoever finishes it.
 * Threads    worker_run is the thread; the crew (run/crew) starts and joins it. */
#ifndef QUERN_RUN_WORKER_H
#define QUERN_RUN_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "job/slot.h"
#include "queue/done.h"
#include "queue/ready.h"
#include "run/meter.h"
#include "run/registry.h"

struct log;
struct context;
struct worker;

/* All that workers touch. */
struct worker_needs {
    struct ready *ready;
    struct done *done;
    struct slots *slots;
    struct registry *registry;
    struct log *log;
    struct journal *journal; /* NULL: none is kept */
    struct gate *gate;
    struct orders *orders;
    struct pull *pull;
    const _Atomic bool *is_stopping;
    int64_t lease_ns; /* 0: jobs have no lease */
    bool hooks_crashes;
    /* Is this worker one too many? If so it is counted out at once and must leave. (run/crew) */
    bool (*may_leave)(void *crew, struct worker *worker);
    bool (*is_extra)(void *crew, const struct worker *worker); /* the same question, without the leaving */
    void (*has_left)(void *crew, struct worker *worker);
    void (*was_lost)(void *crew, struct worker *worker); /* its handler has ended the thread: another takes its place */
    void *crew;
};

struct worker {
    const struct worker_needs *needs;
    uint32_t number;
    pthread_t thread;
    bool is_started, is_alive; /* crew's, under its lock: to be joined; has not decided to leave */
    _Atomic bool is_replaced;  /* its handler has outstayed its time: another has its place */
    _Atomic bool is_gone;      /* it has left: its thread is at its end */
    struct worker *next;       /* crew's list of those that have no place any more */
    _Atomic bool is_running;   /* a handler */
    struct table *table;       /* the rest is its own thread's */
    struct handler *handler;   /* that runs now, and the job it runs; NULL: none */
    quern_job *job;
    int64_t started_ns;
    bool is_away; /* pays no attention to what is ready */
    void *signal_stack;
    struct meter meter;
    struct board_thread self;    /* as it was when the meter asked last */
    struct context *contexts;    /* what it has opened for each handler of table */
    struct counter jobs, run_ns; /* handlers that have returned, and their time */
} __attribute__((aligned(64)));

void worker_run(void *worker);

#endif
