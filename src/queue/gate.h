/* SPDX-License-Identifier: MIT */

/* queue/gate: some jobs run with nothing else beside them: those that may have ended a process.
 * Idea       such a job closes the gate, waits until nothing else runs here, and runs; it is opened when that job has been settled.
 *            Jobs that are about to start meanwhile step back to READY and wait before it.
 *            Others may wait for it in turn (a handler that defers its job until more have come), so it does not wait for ever: then it
 *            goes back, and is tried again later.
 * Invariant  at most one such job is held (upkeep/alone sees to it). Either a worker that has just moved its job to RUNNING sees the
 *            gate closed, or the one that closes it sees the job run: both write before they look, with all of it in one order.
 * Threads    taken: reaper · pass: workers · open: settler. Only pass waits. */
#ifndef QUERN_QUEUE_GATE_H
#define QUERN_QUEUE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct quern_job;
struct slots;
struct ready;

enum { GATE_OPEN, GATE_TAKEN /* a job is here that is to run alone */, GATE_CLOSED };

struct gate {
    _Atomic uint32_t word;
    _Atomic int64_t rest_ns; /* until then none is taken: the last one has waited in vain */
};

/* Is one held? */
static inline bool gate_is_taken(struct gate *gate)
{
    return atomic_load(&gate->word) != GATE_OPEN;
}

static inline void gate_take(struct gate *gate)
{
    atomic_store(&gate->word, GATE_TAKEN);
}

/* The job that was to run alone has come to its end. */
void gate_open(struct gate *gate);

/* The one that was to run alone goes back, for others would not let it run, or nobody would run it: none is taken for a while. */
void gate_rest(struct gate *gate);

/* A job that is RUNNING is about to start: waits until it may. false: the pool stops first, or the others do not end; the job is
 * still RUNNING, and is to be released. */
bool gate_pass(struct gate *gate, struct slots *slots, const struct ready *ready, struct quern_job *job);

/* Must it ask? One load, for every job. */
static inline bool gate_concerns(struct gate *gate)
{
    return atomic_load(&gate->word) != GATE_OPEN;
}

#endif
