/* SPDX-License-Identifier: MIT */
#include "queue/ready.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/ring.h"
#include "base/waker.h"

struct ready {
    struct ring *ring;
    struct waker *refill;
    _Alignas(64) _Atomic uint32_t signal; /* the word workers sleep on; moves with every wake */
    _Atomic uint32_t sleepers;
    _Atomic uint32_t is_waking; /* a wake is on its way */
    _Atomic uint32_t attentive; /* workers that look here again within microseconds */
    _Atomic uint32_t worth;
    _Atomic bool is_closed, is_paused;
    _Alignas(64) _Atomic int64_t refill_at; /* -1: not armed */
    int64_t distrust_until_ns;              /* the dispatcher's: attention has proved to be none */
};

struct ready *ready_open(uint32_t slots, struct waker *refill)
{
    struct ready *ready = aligned_alloc(64, (sizeof *ready + 63) / 64 * 64);
    if (!ready) return NULL;
    *ready = (struct ready){.ring = ring_open(slots), .refill = refill};
    atomic_init(&ready->worth, 1);
    atomic_init(&ready->refill_at, -1);
    if (!ready->ring) return free(ready), NULL;
    return ready;
}

void ready_free(struct ready *ready)
{
    if (!ready) return;
    ring_close(ready->ring);
    free(ready);
}

void ready_push(struct ready *ready, uint32_t index)
{
    bool has_room = ring_push(ready->ring, index);
    assert(has_room); /* the ring has a cell for every slot */
    (void)has_room;
}

void ready_wake(struct ready *ready)
{
    atomic_thread_fence(memory_order_seq_cst); /* the push before the look for sleepers; pairs with ready_sleep() */
    if (atomic_load(&ready->sleepers) == 0 || atomic_exchange(&ready->is_waking, 1)) return;
    atomic_fetch_add(&ready->signal, 1);
    futex_wake(&ready->signal, 1);
}

void ready_call(struct ready *ready, int64_t now_ns)
{
    atomic_thread_fence(memory_order_seq_cst); /* the push before the look; pairs with ready_sleep() and ready_turn_away() */
    bool is_attended = atomic_load(&ready->attentive) > 0 && now_ns >= ready->distrust_until_ns;
    if (!is_attended || ring_length(ready->ring) >= atomic_load_explicit(&ready->worth, memory_order_relaxed))
        ready_wake(ready);
}

void ready_nudge(struct ready *ready, int64_t now_ns)
{
    ready->distrust_until_ns = now_ns + NS_PER_S;
    ready_wake(ready);
}

void ready_attend(struct ready *ready)
{
    atomic_fetch_add(&ready->attentive, 1);
}

void ready_turn_away(struct ready *ready)
{
    atomic_fetch_sub(&ready->attentive, 1);
    atomic_thread_fence(memory_order_seq_cst); /* no longer counted before it looks; pairs with ready_call() */
    if (ring_length(ready->ring)) ready_wake(ready);
}

static void refill_if_low(struct ready *ready)
{
    int64_t at = atomic_load_explicit(&ready->refill_at, memory_order_relaxed);
    if (at < 0 || ring_length(ready->ring) > at) return;
    if (atomic_exchange(&ready->refill_at, -1) >= 0) waker_wake(ready->refill);
}

bool ready_pop(struct ready *ready, uint32_t *index)
{
    return !ready_is_paused(ready) && ready_take(ready, index);
}

bool ready_take(struct ready *ready, uint32_t *index)
{
    if (!ring_pop(ready->ring, index)) return false;
    refill_if_low(ready);
    uint32_t worth = atomic_load_explicit(&ready->worth, memory_order_relaxed);
    if (atomic_load_explicit(&ready->sleepers, memory_order_relaxed) && ring_length(ready->ring) >= worth) ready_wake(ready);
    return true;
}

bool ready_peek(const struct ready *ready, uint32_t *index)
{
    return ring_peek(ready->ring, index);
}

uint32_t ready_length(const struct ready *ready)
{
    return ring_length(ready->ring);
}

uint32_t ready_sleepers(const struct ready *ready)
{
    return ready_is_paused(ready) ? 0 : atomic_load_explicit(&ready->sleepers, memory_order_relaxed);
}

void ready_sleep(struct ready *ready, bool (*is_leaving)(void *user), void *user)
{
    uint32_t seen = atomic_load(&ready->signal);
    atomic_fetch_add(&ready->sleepers, 1);
    atomic_fetch_sub(&ready->attentive, 1);
    refill_if_low(ready); /* counted first: a dispatcher that runs at once must see that somebody is idle */
    atomic_store(&ready->is_waking, 0);
    atomic_thread_fence(memory_order_seq_cst); /* counted before it looks; pairs with ready_wake() and ready_call() */
    bool is_idle = ring_length(ready->ring) == 0 || atomic_load(&ready->is_paused);
    if (is_idle && !atomic_load(&ready->is_closed) && !is_leaving(user)) futex_wait(&ready->signal, seen, CLOCK_NEVER);
    atomic_fetch_add(&ready->attentive, 1);
    atomic_fetch_sub(&ready->sleepers, 1);
    atomic_store(&ready->is_waking, 0); /* it is here: the next push wakes the next one */
}

void ready_wake_all(struct ready *ready)
{
    atomic_fetch_add(&ready->signal, 1);
    futex_wake(&ready->signal, INT32_MAX);
}

bool ready_pause(struct ready *ready)
{
    return !atomic_exchange(&ready->is_paused, true);
}

bool ready_resume(struct ready *ready)
{
    bool was_paused = atomic_exchange(&ready->is_paused, false);
    ready_wake_all(ready); /* after the exchange; pairs with ready_sleep(), which reads the word before it looks for a pause */
    return was_paused;
}

bool ready_is_paused(const struct ready *ready)
{
    return atomic_load(&ready->is_paused) && !atomic_load(&ready->is_closed);
}

void ready_set_worth(struct ready *ready, uint32_t jobs)
{
    atomic_store_explicit(&ready->worth, jobs ? jobs : 1, memory_order_relaxed);
}

void ready_arm_refill(struct ready *ready, uint32_t at_length)
{
    atomic_store(&ready->refill_at, at_length);
}

void ready_disarm_refill(struct ready *ready)
{
    atomic_store_explicit(&ready->refill_at, -1, memory_order_relaxed);
}

void ready_close(struct ready *ready)
{
    atomic_store(&ready->is_closed, true);
    ready_wake_all(ready);
}

bool ready_is_closed(const struct ready *ready)
{
    return atomic_load(&ready->is_closed);
}
