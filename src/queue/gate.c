/* SPDX-License-Identifier: MIT */
#include "queue/gate.h"

#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "job/slot.h"
#include "job/source.h"
#include "queue/ready.h"

enum { LOOK_MS = 2 }; /* how soon it is seen that the last of the others has ended */
enum { PATIENCE_MS = 10000, REST_MS = 60000 };

void gate_open(struct gate *gate)
{
    atomic_store(&gate->word, GATE_OPEN);
    futex_wake(&gate->word, INT_MAX);
}

static bool others_run(struct slots *slots, const struct quern_job *job)
{
    int64_t now_ns = clock_now_ns();
    atomic_thread_fence(memory_order_seq_cst); /* behind the write of the gate's word */
    for (uint32_t i = 0; i < slots_count(slots); i++) {
        const struct quern_job *other = slots_at(slots, i);
        enum slot_state state = slot_state(other);
        /* A handler that has outstayed its time may never return. */
        bool is_given_up = slot_has(other, SLOT_SAID) && atomic_load(&other->overdue_ns) <= now_ns;
        if (other != job && !is_given_up && (state == SLOT_RUNNING || state == SLOT_PENDING)) return true;
    }
    return false;
}

void gate_rest(struct gate *gate)
{
    atomic_store(&gate->rest_ns, clock_now_ns() + REST_MS * NS_PER_MS);
}

static bool close_behind(struct gate *gate, struct slots *slots, const struct ready *ready, const struct quern_job *job)
{
    atomic_store(&gate->word, GATE_CLOSED);
    int64_t end_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    while (others_run(slots, job)) {
        bool is_over = clock_now_ns() >= end_ns;
        if (is_over) gate_rest(gate);
        if (is_over || ready_is_closed(ready)) return false;
        futex_wait(&gate->word, GATE_CLOSED, clock_now_ns() + LOOK_MS * NS_PER_MS);
    }
    return true;
}

/* Steps back while it is closed, so that it is not waited for. */
static bool wait_before(struct gate *gate, const struct ready *ready, struct quern_job *job)
{
    while (atomic_load(&gate->word) == GATE_CLOSED) {
        bool is_closing = ready_is_closed(ready);
        if (is_closing) return false;
        slot_move(job, SLOT_RUNNING, SLOT_READY);
        futex_wait(&gate->word, GATE_CLOSED, clock_now_ns() + 10 * LOOK_MS * NS_PER_MS);
        slot_move(job, SLOT_READY, SLOT_RUNNING);
    }
    return true;
}

bool gate_pass(struct gate *gate, struct slots *slots, const struct ready *ready, struct quern_job *job)
{
    return job_is_alone(job) ? close_behind(gate, slots, ready, job) : wait_before(gate, ready, job);
}
