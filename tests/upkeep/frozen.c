/* SPDX-License-Identifier: MIT */
#include "upkeep/frozen.h"

#include <string.h>

#include "base/clock.h"
#include "support/unit.h"
#include "wire/pending.h"

static const int64_t lease_ns = 1000;
static struct frozen frozen;

static int open_none(void **state)
{
    (void)state;
    memset(&frozen, 0, sizeof frozen);
    return 0;
}

static bool sees(uint64_t ms, const char *consumer, int64_t idle_ms, int64_t now_ns)
{
    struct pending_row row = {{ms, 0}, 1, {consumer, strlen(consumer)}, idle_ms};
    return frozen_sees(&frozen, 0, &row, now_ns, lease_ns);
}

/* One walk that meets one row. */
static bool walk(uint64_t ms, const char *consumer, int64_t idle_ms, int64_t now_ns)
{
    frozen_begin(&frozen);
    return sees(ms, consumer, idle_ms, now_ns);
}

static void a_row_at_0_for_a_lease_and_three_looks_is_taken(void **state)
{
    (void)state;
    assert_false(walk(1, "dead", 0, 0));
    assert_false(walk(1, "dead", 0, 2000)); /* a lease, but two looks */
    assert_true(walk(1, "dead", 0, 2001));
}

static void three_looks_within_a_lease_are_not_enough(void **state)
{
    (void)state;
    for (int64_t now_ns = 0; now_ns < lease_ns; now_ns += 100) assert_false(walk(1, "a", 0, now_ns));
    assert_true(walk(1, "a", 0, lease_ns));
}

static void who_has_renewed_once_begins_anew(void **state)
{
    (void)state;
    assert_false(walk(1, "alive", 0, 0) || walk(1, "alive", 0, 900) || walk(1, "alive", 7, 1000) || walk(1, "alive", 0, 1001));
    assert_false(walk(1, "alive", 0, 1500) || walk(1, "other", 0, 2500) || walk(1, "other", 0, 3400));
}

static void a_row_that_was_not_met_in_a_walk_is_forgotten(void **state)
{
    (void)state;
    assert_false(walk(1, "a", 0, 0) || walk(1, "a", 0, 10));
    frozen_begin(&frozen);
    assert_false(walk(1, "a", 0, 5000) || walk(1, "a", 0, 5001));
    assert_true(walk(1, "a", 0, 6000));
}

static void there_is_room_again_when_rows_are_gone(void **state)
{
    (void)state;
    frozen_begin(&frozen);
    for (uint64_t ms = 1; ms <= FROZEN_MAX + 10; ms++) assert_false(sees(ms, "a", 0, 0));
    assert_int_equal(FROZEN_MAX, frozen.count);
    frozen_begin(&frozen);
    frozen_begin(&frozen); /* a whole walk has met none of them */
    assert_int_equal(0, frozen.count);
    assert_false(walk(FROZEN_MAX + 5, "a", 0, 10) || walk(FROZEN_MAX + 5, "a", 0, 11));
    assert_true(walk(FROZEN_MAX + 5, "a", 0, 10 + lease_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_row_at_0_for_a_lease_and_three_looks_is_taken, open_none),
        cmocka_unit_test_setup(three_looks_within_a_lease_are_not_enough, open_none),
        cmocka_unit_test_setup(who_has_renewed_once_begins_anew, open_none),
        cmocka_unit_test_setup(a_row_that_was_not_met_in_a_walk_is_forgotten, open_none),
        cmocka_unit_test_setup(there_is_room_again_when_rows_are_gone, open_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
