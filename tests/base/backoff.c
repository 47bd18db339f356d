/* SPDX-License-Identifier: MIT */
#include "base/backoff.h"

#include "support/unit.h"

static void each_wait_lies_between_half_and_all_of_what_doubles(void **state)
{
    static const struct {
        int64_t first_ms, max_ms;
    } table[] = {{1, 1}, {1, 2}, {50, 10000}, {3, 1000}, {7, 7}, {1, INT64_MAX / 2}, {100, 101}};
    (void)state;
    for (size_t row = 0; row < COUNT_OF(table); row++) {
        for (uint64_t seed = 1; seed < 200; seed++) {
            struct backoff backoff = {.first_ms = table[row].first_ms, .max_ms = table[row].max_ms, .random = seed};
            int64_t full = table[row].first_ms;
            for (int i = 0; i < 80; i++) {
                int64_t ms = backoff_next_ms(&backoff);
                assert_true(ms >= full - full / 2 && ms <= full && ms >= 1);
                full = full > table[row].max_ms / 2 ? table[row].max_ms : full * 2;
            }
        }
    }
}

static void waits_are_spread_over_their_whole_range(void **state)
{
    (void)state;
    int seen[1001] = {0}, distinct = 0;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct backoff backoff = {.first_ms = 1000, .max_ms = 1000, .random = seed * UINT64_C(0x9e3779b97f4a7c15)};
        seen[backoff_next_ms(&backoff)]++;
    }
    for (int ms = 500; ms <= 1000; ms++) distinct += seen[ms] > 0;
    assert_true(distinct > 495);
}

static void a_success_starts_over(void **state)
{
    (void)state;
    struct backoff backoff = {.first_ms = 50, .max_ms = 10000, .random = 1};
    for (int i = 0; i < 20; i++) (void)backoff_next_ms(&backoff);
    assert_true(backoff_next_ms(&backoff) >= 5000);
    backoff_reset(&backoff);
    assert_in_range(backoff_next_ms(&backoff), 25, 50);
    assert_in_range(backoff_next_ms(&backoff), 50, 100);
}

static void seeds_differ_and_are_never_zero(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t seed = backoff_seed();
        assert_true(seed != 0 && seed != last);
        last = seed;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wait_lies_between_half_and_all_of_what_doubles),
        cmocka_unit_test(waits_are_spread_over_their_whole_range),
        cmocka_unit_test(a_success_starts_over),
        cmocka_unit_test(seeds_differ_and_are_never_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
