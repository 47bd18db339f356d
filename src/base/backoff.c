/* SPDX-License-Identifier: MIT */
#include "base/backoff.h"

#include <sys/random.h>
#include <time.h>

/* xorshift64*: enough to spread waits; nothing secret depends on it. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

int64_t backoff_next_ms(struct backoff *backoff)
{
    int64_t full = backoff->first_ms;
    for (unsigned i = 0; i < backoff->tries && full < backoff->max_ms; i++) full *= 2;
    if (full > backoff->max_ms) full = backoff->max_ms;
    backoff->tries++;
    return full - (int64_t)(next_random(&backoff->random) % (uint64_t)(full / 2 + 1));
}

void backoff_reset(struct backoff *backoff)
{
    backoff->tries = 0;
}

uint64_t backoff_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (long)sizeof seed) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)&seed;
    }
    return seed ? seed : 1;
}
