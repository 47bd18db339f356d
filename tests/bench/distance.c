/* SPDX-License-Identifier: MIT */

/* tests/bench/distance: how long a cache line takes from one core to another, in nanoseconds; prints nothing where there is one core.
 *
 * Idea       two threads on two cores count a number up in turn. Where the cores share a cache that takes some 70 ns, where they do not
 *            some 250, and on rented machines either, from one minute to the next: it explains figures that come in two kinds. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 200000 };

static _Alignas(64) _Atomic int number;
static size_t cores[2];

/* Counts from each number of its own kind, even or odd, to the next. */
static void count_from(int first)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cores[first], &one);
    if (pthread_setaffinity_np(pthread_self(), sizeof one, &one)) exit(1);
    for (int i = first; i < 2 * TURNS; i += 2) {
        while (atomic_load(&number) != i) continue;
        atomic_store(&number, i + 1);
    }
}

static void *count_odd(void *unused)
{
    count_from(1);
    return unused;
}

int main(void)
{
    cpu_set_t all;
    struct timespec from, to;
    pthread_t other;
    if (sched_getaffinity(0, sizeof all, &all)) return 1;
    size_t found = 0;
    for (size_t core = 0; core < CPU_SETSIZE && found < 2; core++)
        if (CPU_ISSET(core, &all)) cores[found++] = core;
    if (found < 2) return 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (pthread_create(&other, NULL, count_odd, NULL)) return 1;
    count_from(0);
    pthread_join(other, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.1f\n", ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / (2.0 * TURNS));
    return 0;
}
