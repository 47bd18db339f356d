/* SPDX-License-Identifier: MIT */
#include "intake/plan.h"

#include "support/unit.h"

#define MIB ((int64_t)1 << 20)

enum { NONE = UINT16_MAX }; /* none at all, where 0 means the usual */

/* Two threads and plenty of everything; a row says what differs. */
static struct plan_facts facts_of(struct plan_facts facts)
{
    if (!facts.threads) facts.threads = 2;
    if (!facts.prefetch_max) facts.prefetch_max = 1024;
    facts.free = facts.free == NONE ? 0 : facts.free ? facts.free : 1152;
    facts.prefetch_ns = facts.prefetch_ns == NONE ? 0 : 50 * NS_PER_MS;
    facts.batch_size = 128;
    facts.max_bytes = 64 * MIB;
    return facts;
}

static void so_many_are_asked_for(void **state)
{
    static const struct {
        const char *what;
        struct plan_facts facts;
        struct plan plan;
    } table[] = {
        {"cold: as many as idle threads", {.idle_threads = 2}, {.count = 2, .worth = 1}},
        {"cold, already asked", {.idle_threads = 2, .asked = 2}, {.worth = 1}},
        {"cold, all busy: nothing", {0}, {.worth = 1}},
        {"cold, many threads", {.threads = 64, .idle_threads = 64}, {.count = 64, .worth = 1}},
        {"0.5 µs: a batch, and a wake is worth two hundred jobs",
         {.mean_ns = 500},
         {.count = 128, .refill_at = 512, .worth = 200}},
        {"1 µs with a read in flight: a second one",
         {.mean_ns = 1000, .asked = 256, .waiting = 300},
         {.count = 128, .refill_at = 512, .worth = 100}},
        {"1 µs with plenty waiting: later", {.mean_ns = 1000, .waiting = 1024}, {.refill_at = 512, .worth = 100}},
        {"1 µs, little is missing and much waits: not for that",
         {.mean_ns = 1000, .waiting = 1000},
         {.refill_at = 512, .worth = 100}},
        {"1 ms: what 50 ms hold", {.mean_ns = NS_PER_MS}, {.count = 100, .refill_at = 50, .worth = 1}},
        {"1 ms, idle threads besides", {.mean_ns = NS_PER_MS, .idle_threads = 2}, {.count = 102, .refill_at = 50, .worth = 1}},
        {"1 ms, above the refill mark: later", {.mean_ns = NS_PER_MS, .waiting = 51}, {.refill_at = 50, .worth = 1}},
        {"1 ms, at the refill mark: now", {.mean_ns = NS_PER_MS, .waiting = 50}, {.count = 50, .refill_at = 50, .worth = 1}},
        {"1 ms, all of it asked for", {.mean_ns = NS_PER_MS, .waiting = 40, .asked = 60}, {.refill_at = 50, .worth = 1}},
        {"10 ms", {.mean_ns = 10 * NS_PER_MS}, {.count = 10, .refill_at = 5, .worth = 1}},
        {"2 s, busy: left to others", {.mean_ns = 2 * NS_PER_S}, {.worth = 1}},
        {"2 s, one idle", {.mean_ns = 2 * NS_PER_S, .idle_threads = 1}, {.count = 1, .worth = 1}},
        {"2 s, one idle and one waiting for it", {.mean_ns = 2 * NS_PER_S, .idle_threads = 1, .waiting = 1}, {.worth = 1}},
        {"no prefetch: idle threads only",
         {.prefetch_ns = NONE, .mean_ns = 1000, .idle_threads = 2},
         {.count = 2, .worth = 100}},
        {"a bound on what waits", {.prefetch_max = 8, .mean_ns = 1000}, {.count = 8, .refill_at = 4, .worth = 100}},
        {"few slots: each stream may bring its count",
         {.mean_ns = 1000, .free = 20},
         {.count = 10, .refill_at = 512, .worth = 100}},
        {"few slots, but many are about to be free: not for that",
         {.mean_ns = 1000, .free = 120, .settling = 128},
         {.refill_at = 512, .worth = 100}},
        {"half a batch is worth a read",
         {.mean_ns = 1000, .free = 128, .settling = 500},
         {.count = 64, .refill_at = 512, .worth = 100}},
        {"few slots, and few about to be free",
         {.mean_ns = 1000, .free = 120, .settling = 127},
         {.count = 60, .refill_at = 512, .worth = 100}},
        {"short of slots", {.mean_ns = 1000, .free = 1}, {.refill_at = 512, .worth = 100}},
        {"no slots, and none wanted", {.free = NONE}, {.worth = 1}},
        {"small entries do not bound", {.mean_ns = 1000, .entry_bytes = 200}, {.count = 128, .refill_at = 512, .worth = 100}},
        {"large entries: a read has its bytes",
         {.mean_ns = 1000, .entry_bytes = 64 * 1024},
         {.count = 4, .refill_at = 512, .worth = 100}},
        {"larger than a read: one at a time",
         {.mean_ns = 1000, .entry_bytes = MIB},
         {.count = 1, .refill_at = 512, .worth = 100}},
        {"little room for bytes",
         {.mean_ns = 1000, .entry_bytes = 1024, .used_bytes = 64 * MIB - 20 * 1024},
         {.count = 10, .refill_at = 512, .worth = 100}},
        {"bytes all used", {.mean_ns = 1000, .used_bytes = 64 * MIB}, {.refill_at = 512, .worth = 100}},
        {"bytes over the bound",
         {.mean_ns = 1000, .used_bytes = 65 * MIB, .entry_bytes = 10},
         {.refill_at = 512, .worth = 100}},
        {"a thousand threads",
         {.threads = 1024, .idle_threads = 1024, .mean_ns = 1},
         {.count = 128, .refill_at = 512, .worth = 100000}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct plan_facts facts = facts_of(table[i].facts);
        struct plan is = plan(&facts), want = table[i].plan;
        if (is.count != want.count || is.refill_at != want.refill_at || is.worth != want.worth)
            fail_msg("%s: count %u, refill_at %u, worth %u", table[i].what, is.count, is.refill_at, is.worth);
    }
}

/* Whatever is measured: never more than fits, and an idle thread is never left without a question while there is room. */
static void no_plan_asks_for_more_than_fits_or_leaves_a_thread_idle(void **state)
{
    (void)state;
    uint64_t seed = 23;
    for (int i = 0; i < 300000; i++) {
        struct plan_facts facts = {
            .threads = 1 + (uint32_t)unit_random(&seed) % 64,
            .waiting = (uint32_t)unit_random(&seed) % 1200,
            .asked = (uint32_t)unit_random(&seed) % 300,
            .free = (uint32_t)unit_random(&seed) % 1200,
            .mean_ns = (int64_t)(unit_random(&seed) >> (20 + unit_random(&seed) % 44)),
            .prefetch_ns = (int64_t)(unit_random(&seed) % 1000) * NS_PER_MS,
            .prefetch_max = 1 + (uint32_t)unit_random(&seed) % 1024,
            .batch_size = 1 + (uint32_t)unit_random(&seed) % 256,
            .settling = (uint32_t)unit_random(&seed) % 1200,
            .entry_bytes = (int64_t)(unit_random(&seed) % (2 * (uint64_t)MIB)),
            .used_bytes = (int64_t)(unit_random(&seed) % (65 * (uint64_t)MIB)),
            .max_bytes = 64 * MIB,
        };
        facts.idle_threads = (uint32_t)unit_random(&seed) % (facts.threads + 1);
        struct plan is = plan(&facts);
        assert_true(2 * is.count <= facts.free && is.count <= facts.batch_size && is.worth >= 1);
        assert_true(is.refill_at <= facts.prefetch_max / 2);
        bool has_room = facts.free >= 2 && facts.used_bytes < facts.max_bytes;
        if (has_room && facts.waiting == 0 && facts.asked < facts.idle_threads) assert_true(is.count >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_are_asked_for),
        cmocka_unit_test(no_plan_asks_for_more_than_fits_or_leaves_a_thread_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
