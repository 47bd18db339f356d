/* SPDX-License-Identifier: MIT */

/* base/futex: sleeping on a word, and waking who sleeps there.
 * Threads    any. futex_wait waits; futex_wake does not. */
#ifndef QUERN_BASE_FUTEX_H
#define QUERN_BASE_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word is expected, at most until deadline_ns (CLOCK_NEVER allowed). May return without cause. */
void futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);
void futex_wake(_Atomic uint32_t *word, int sleepers);

#endif
