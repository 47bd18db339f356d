/* SPDX-License-Identifier: MIT */

/* base/backoff: how long to wait before the next try.
 * Idea       doubling between two bounds, with full jitter, so that a thousand pools do not come back in the same instant.
 * Threads    the owner's. */
#ifndef QUERN_BASE_BACKOFF_H
#define QUERN_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t first_ms, max_ms; /* 1 <= first_ms <= max_ms */
    unsigned tries;           /* since the last backoff_reset() */
    uint64_t random;          /* the state of a small generator; any seed but 0 */
};

/* The wait before the next try: between half and all of first_ms × 2^tries, at most max_ms. */
int64_t backoff_next_ms(struct backoff *backoff);

/* After a success. */
void backoff_reset(struct backoff *backoff);

/* A number that differs from call to call and process to process, never 0: a seed. */
uint64_t backoff_seed(void);

#endif
