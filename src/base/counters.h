/* SPDX-License-Identifier: MIT */

/* base/counters: numbers that one thread adds to and others read.
 * Idea       each thread owns its counters, so adding needs no locked instruction; whoever wants a sum reads them all. */
#ifndef QUERN_BASE_COUNTERS_H
#define QUERN_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic int64_t n;
};

/* Only the owning thread. */
static inline void counter_add(struct counter *counter, int64_t n)
{
    atomic_store_explicit(&counter->n, atomic_load_explicit(&counter->n, memory_order_relaxed) + n, memory_order_relaxed);
}

/* For those that hold a moment, or none (0). */
static inline void counter_set(struct counter *counter, int64_t n)
{
    atomic_store_explicit(&counter->n, n, memory_order_relaxed);
}

static inline int64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->n, memory_order_relaxed);
}

#endif
