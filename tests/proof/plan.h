/* SPDX-License-Identifier: MIT */

/* proof/plan: what all processes of a campaign know: its numbers, and what each job is to come to.
 * Idea       one mapped file. What job n does is a pure function of the seed and n: worker and checker need not tell each other.
 * Threads    any; what changes is atomic, and written by the campaign. */
#ifndef QUERN_TESTS_PROOF_PLAN_H
#define QUERN_TESTS_PROOF_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PLAN_STREAM  "jobs"
#define PLAN_GROUP   "mill"
#define PLAN_WATCHER "watch"

enum { BLOCK = 64, FEEDERS_MAX = 8 };

struct plan {
    uint64_t seed;
    uint32_t workers, feeders, rate; /* rate: jobs a second that are published at most */
    uint32_t threads, lease_ms, reap_ms, retry_limit, retry_base_ms, timeout_ms, grace_ms, max_deliveries, max_crashes;
    uint32_t is_gentle;                  /* no handler ends its process (a sanitizer would take it for its own) */
    uint32_t latency_us;                 /* of the way to the server and back, each */
    uint32_t is_whole;                   /* all faults, and long enough that each thing must have been seen */
    uint32_t deletes;                    /* faults that delete what others need */
    _Atomic uint32_t is_calm;            /* no more faults */
    _Atomic uint32_t is_full;            /* feeders wait */
    _Atomic uint32_t is_fed;             /* feeders end */
    _Atomic uint32_t block[FEEDERS_MAX]; /* which one a feeder is at: one that is started again goes on there */
};

static inline uint64_t plan_mix(uint64_t seed, uint64_t n)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + n + UINT64_C(0x632be59bd9b4e019);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ── what a job is ───────────────────────────────────────────────────────────────────────────────────────────────── */

enum nature {
    NATURE_QUICK,
    NATURE_BUSY,     /* milliseconds */
    NATURE_LONG,     /* longer than a lease */
    NATURE_FLAKY,    /* fails once or twice */
    NATURE_DOOMED,   /* fails always */
    NATURE_REJECTED, /* says dead */
    NATURE_LATER,    /* finished by ticket */
    NATURE_STUCK,    /* outstays its time at the first attempt */
    NATURE_GARBLED,  /* asks for JSON where there is none */
    NATURE_FORKER,   /* forks without exec; the child ends */
    NATURE_BREAKER,  /* ends its process at its first delivery */
    NATURE_POISON,   /* whenever it runs */
    NATURES
};

static inline enum nature plan_nature(const struct plan *plan, uint32_t n)
{
    static const struct {
        enum nature nature;
        uint32_t of_ten_thousand;
    } table[] = {{NATURE_BUSY, 400},  {NATURE_LONG, 4},  {NATURE_FLAKY, 300},  {NATURE_DOOMED, 40}, {NATURE_REJECTED, 100},
                 {NATURE_LATER, 200}, {NATURE_STUCK, 2}, {NATURE_GARBLED, 20}, {NATURE_FORKER, 1},  {NATURE_BREAKER, 1}};
    uint32_t dice = (uint32_t)(plan_mix(plan->seed, n) % 10000);
    if (!plan->is_gentle && plan_mix(plan->seed + 1, n) % 40000 == 0) return NATURE_POISON;
    for (uint32_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (dice < table[i].of_ten_thousand)
            return plan->is_gentle && table[i].nature == NATURE_BREAKER ? NATURE_QUICK : table[i].nature;
        dice -= table[i].of_ten_thousand;
    }
    return NATURE_QUICK;
}

/* ── how it is published ─────────────────────────────────────────────────────────────────────────────────────────── */

enum manner { MANNER_PLAIN, MANNER_KEYED, MANNER_DELAYED, MANNER_UNMARKED };

static inline enum manner plan_manner(const struct plan *plan, uint32_t block)
{
    uint32_t dice = (uint32_t)(plan_mix(plan->seed + 2, block) % 100);
    return dice < 65 ? MANNER_PLAIN : dice < 87 ? MANNER_KEYED : dice < 92 ? MANNER_DELAYED : MANNER_UNMARKED;
}

/* A keyed block that every feeder publishes. */
static inline bool plan_is_shared(const struct plan *plan, uint32_t block)
{
    return plan_manner(plan, block) == MANNER_KEYED && plan_mix(plan->seed + 3, block) % 3 == 0;
}

/* Lends the map for good; NULL: there is none. is_new: makes it. */
struct plan *plan_map(const char *folder, bool is_new);

#endif
