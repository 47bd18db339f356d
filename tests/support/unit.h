/* SPDX-License-Identifier: MIT */

/* tests/support/unit: what unit tests share.
 * Idea       cmocka, a table's length, a generator with a fixed seed, and threads that start in the same instant.
 * Never      asserts on another thread than the test's: threads count what is wrong, the test looks at the sum. */
#ifndef QUERN_TESTS_SUPPORT_UNIT_H
#define QUERN_TESTS_SUPPORT_UNIT_H

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"

enum { UNIT_THREADS_MAX = 16, UNIT_PATIENCE_MS = 60000 };

/* A text that may hold NULs. */
#define UNIT_BYTES(literal) ((quern_bytes){(literal), sizeof(literal) - 1})

/* The end of all patience: whoever waits longer has hung. */
static inline int64_t unit_deadline_ns(void)
{
    return clock_deadline_ns(clock_now_ns(), UNIT_PATIENCE_MS);
}

static inline bool unit_is_over(int64_t deadline_ns)
{
    return clock_now_ns() > deadline_ns;
}

/* xorshift64; any state but 0. */
static inline uint64_t unit_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct unit_start {
    pthread_barrier_t *together;
    void (*run)(void *user, unsigned number);
    void *user;
    unsigned number;
};

static inline void *unit_begin(void *given)
{
    struct unit_start *start = given;
    pthread_barrier_wait(start->together);
    start->run(start->user, start->number);
    return NULL;
}

/* Runs run(user, 0 … n - 1) on n threads and waits for them. */
static inline void unit_together(unsigned n, void (*run)(void *user, unsigned number), void *user)
{
    pthread_t threads[UNIT_THREADS_MAX];
    struct unit_start starts[UNIT_THREADS_MAX];
    pthread_barrier_t together;
    assert_in_range(n, 1, UNIT_THREADS_MAX);
    pthread_barrier_init(&together, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        starts[i] = (struct unit_start){&together, run, user, i};
        assert_int_equal(0, pthread_create(&threads[i], NULL, unit_begin, &starts[i]));
    }
    for (unsigned i = 0; i < n; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&together);
}

#endif
