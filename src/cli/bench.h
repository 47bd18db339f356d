/* SPDX-License-Identifier: MIT */

/* cli/bench: how fast a server and this machine are with jobs that do nothing.
 * Idea       three stretches on a stream of our own (bench_run): fill it, drain it, then single jobs on the idle pool. What each
 *            cost whom is in cli/gauge, which side was the limit in cli/verdict; bench_tell says it.
 * Threads    main; the lanes and what was heard: the pool's workers, too.
 * Never      touches a key that was there before, or leaves its own; only a second signal, or kill -9, does. */
#ifndef QUERN_CLI_BENCH_H
#define QUERN_CLI_BENCH_H

#include <signal.h>
#include <stdatomic.h>

#include "cli/cli.h"
#include "cli/gauge.h"

enum { BENCH_PACED = 250, BENCH_LANES = 1024, BENCH_PATIENCE_MS = 10000 };

#define BENCH_DRAIN  "quern.bench"
#define BENCH_SINGLE "quern.bench.single"

/* What a thread of the pool notes; a line of its own, so that no thread waits for another's. */
struct lane {
    _Alignas(64) _Atomic int64_t began_us; /* its first job; 0: none yet */
};

struct bench {
    quern_config *config;
    struct embed *embed;
    quern_publisher *publisher;
    quern_pool *pool;
    bool is_json, has_keys;
    int64_t jobs, bytes, threads;
    int cores;
    char stream[64], *data;
    struct gauge_server server;
    struct gauge_reading *reading;
    struct gauge fill, drain;
    struct lane *lanes; /* BENCH_LANES */
    _Atomic unsigned lane_count;
    int heard_fd; /* a single job has begun */
    _Atomic int64_t heard_us;
    int64_t latency_us[BENCH_PACED];
};

/* Set by a signal. */
extern volatile sig_atomic_t bench_is_stopped;

/* Adds the handlers to the configuration. */
int bench_add_handlers(struct bench *bench, quern_error *err);
/* A message with the data of the bench. */
quern_message bench_message(const struct bench *bench, const char *event);

/* The stretches. The exit status; what went wrong has been said. */
int bench_run(struct bench *bench);
/* Says err; returns the exit status. */
int bench_failed(const quern_error *err);

/* The result on standard output. The exit status. */
int bench_tell(const struct bench *bench);

#endif
