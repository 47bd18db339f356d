/* SPDX-License-Identifier: MIT */
#include "base/ring.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

struct cell {
    _Atomic uint32_t number;
    _Atomic uint32_t value; /* who peeks may read while another thread pushes */
};

struct ring {
    uint32_t mask;
    _Alignas(64) _Atomic uint32_t tail; /* producers */
    _Alignas(64) _Atomic uint32_t head; /* consumers */
    _Alignas(64) struct cell cells[];
};

struct ring *ring_open(uint32_t capacity)
{
    uint32_t cells = 2;
    while (cells < capacity) cells *= 2;
    size_t size = (sizeof(struct ring) + cells * sizeof(struct cell) + 63) / 64 * 64;
    struct ring *ring = aligned_alloc(64, size);
    if (!ring) return NULL;
    ring->mask = cells - 1;
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head, 0);
    for (uint32_t i = 0; i < cells; i++) atomic_init(&ring->cells[i].number, i);
    return ring;
}

void ring_close(struct ring *ring)
{
    free(ring);
}

/* A cell that is not empty is either a full ring's, or one that a consumer has taken and, stopped there, not emptied yet, while
 * the others went all the way round. Whoever puts back what was popped sees at least that pop's head: it is not told "full"
 * where there is room. */
static bool is_full(const struct ring *ring, uint32_t tail)
{
    int32_t length = (int32_t)(tail - atomic_load_explicit(&ring->head, memory_order_relaxed));
    return length > (int32_t)ring->mask;
}

bool ring_push(struct ring *ring, uint32_t value)
{
    uint32_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        struct cell *cell = &ring->cells[at & ring->mask];
        /* acquire: the pop that emptied the cell has read its value; pairs with its release below */
        int32_t ahead = (int32_t)(atomic_load_explicit(&cell->number, memory_order_acquire) - at);
        if (ahead < 0) {
            if (is_full(ring, at)) return false;
            sched_yield();
            at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        } else if (ahead > 0) {
            at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&ring->tail, &at, at + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            atomic_store_explicit(&cell->value, value, memory_order_relaxed);
            atomic_store_explicit(&cell->number, at + 1, memory_order_release); /* value before number; pairs with ring_pop() */
            return true;
        }
    }
}

bool ring_pop(struct ring *ring, uint32_t *value)
{
    uint32_t at = atomic_load_explicit(&ring->head, memory_order_relaxed);
    for (;;) {
        struct cell *cell = &ring->cells[at & ring->mask];
        int32_t ahead =
            (int32_t)(atomic_load_explicit(&cell->number, memory_order_acquire) - (at + 1)); /* pairs with ring_push() */
        if (ahead < 0) return false;
        if (ahead > 0) {
            at = atomic_load_explicit(&ring->head, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&ring->head, &at, at + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            *value = atomic_load_explicit(&cell->value, memory_order_relaxed);
            atomic_store_explicit(&cell->number, at + ring->mask + 1, memory_order_release); /* value read before it is free */
            return true;
        }
    }
}

bool ring_peek(const struct ring *ring, uint32_t *value)
{
    uint32_t at = atomic_load_explicit(&ring->head, memory_order_relaxed);
    const struct cell *cell = &ring->cells[at & ring->mask];
    if (atomic_load_explicit(&cell->number, memory_order_acquire) != at + 1) return false;
    *value = atomic_load_explicit(&cell->value, memory_order_relaxed);
    return true;
}

uint32_t ring_length(const struct ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    int32_t length = (int32_t)(atomic_load_explicit(&ring->tail, memory_order_relaxed) - head);
    return length < 0 ? 0 : (uint32_t)length;
}
