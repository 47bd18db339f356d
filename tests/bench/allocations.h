/* SPDX-License-Identifier: MIT */

/* bench/allocations: counts what a whole process asks of malloc, libraries included, by standing in its place. */
#ifndef QUERN_TESTS_BENCH_ALLOCATIONS_H
#define QUERN_TESTS_BENCH_ALLOCATIONS_H

#include <stdint.h>

/* So many since the process began. Any thread. */
int64_t allocations_count(void);

#endif
