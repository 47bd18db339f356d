/* SPDX-License-Identifier: MIT */
#include "upkeep/frozen.h"

#include <string.h>

#include "base/clock.h"
#include "support/unit.h"
#include "wire/pending.h"

static const int64_t lease_ns = 600 * NS_PER_MS;
static struct frozen frozen;

static int open_none(void **state)
{
    (void)state;
    memset(&frozen, 0, sizeof frozen);
    return 0;
}

static bool sees(uint64_t id, const char *consumer, int64_t idle_ms, int64_t at_ms)
{
    struct pending_row row = {{id, 0}, 1, {consumer, strlen(consumer)}, idle_ms};
    return frozen_sees(&frozen, 0, &row, at_ms * NS_PER_MS, at_ms * NS_PER_MS, lease_ns);
}

/* One walk that meets one row. */
static bool walk(uint64_t id, const char *consumer, int64_t idle_ms, int64_t at_ms)
{
    frozen_begin(&frozen);
    return sees(id, consumer, idle_ms, at_ms);
}

static void a_row_at_0_for_a_lease_and_three_looks_is_taken(void **state)
{
    (void)state;
    assert_false(walk(1, "dead", 0, 0));
    assert_false(walk(1, "dead", 0, 1200)); /* a lease, but two looks */
    assert_false(frozen.wants_look);
    assert_true(walk(1, "dead", 0, 1205));
}

static void looks_within_a_lease_are_not_enough(void **state)
{
    (void)state;
    for (int64_t at_ms = 0; at_ms < 600; at_ms += 50) assert_false(walk(1, "a", 0, at_ms));
    assert_true(walk(1, "a", 0, 600));
}

/* Its renewals are in step with our looks, but for the one that comes just behind. */
static void who_renews_whenever_it_is_looked_at_is_alive(void **state)
{
    (void)state;
    for (int64_t at_ms = 0; at_ms <= 6000; at_ms += 200) {
        assert_false(walk(1, "alive", 0, at_ms));
        if (frozen.wants_look) assert_false(walk(1, "alive", 5, at_ms + 5));
        assert_false(frozen.wants_look);
    }
    for (int64_t at_ms = 6200; at_ms < 6800; at_ms += 200) assert_false(walk(1, "frozen", 0, at_ms) || frozen.wants_look);
    assert_false(walk(1, "frozen", 0, 6800));
    assert_true(frozen.wants_look);
    assert_false(walk(1, "frozen", 0, 6804)); /* too soon to show */
    assert_true(frozen.wants_look);
    assert_false(walk(1, "frozen", 0, 6955)); /* too late: it may have been renewed again */
    assert_true(frozen.wants_look);
    assert_true(walk(1, "frozen", 0, 6960));
    assert_false(frozen.wants_look);
}

/* The first was answered late, so that Redis may have looked for both at almost the same time. */
static void looks_are_parted_by_an_answer_and_the_next_question(void **state)
{
    (void)state;
    struct pending_row row = {{1, 0}, 1, {"alive", 5}, 0};
    assert_false(walk(1, "alive", 0, 0) || walk(1, "alive", 0, 300));
    frozen_begin(&frozen);
    assert_false(frozen_sees(&frozen, 0, &row, 600 * NS_PER_MS, 608 * NS_PER_MS, lease_ns));
    frozen_begin(&frozen);
    assert_false(frozen_sees(&frozen, 0, &row, 609 * NS_PER_MS, 614 * NS_PER_MS, lease_ns));
    assert_true(walk(1, "alive", 0, 619));
}

static void who_has_renewed_once_begins_anew(void **state)
{
    (void)state;
    assert_false(walk(1, "alive", 0, 0) || walk(1, "alive", 0, 590) || walk(1, "alive", 7, 600) || walk(1, "alive", 0, 605));
    assert_false(walk(1, "alive", 0, 1000) || walk(1, "other", 0, 1500) || walk(1, "other", 0, 1505));
}

static void a_row_that_was_not_met_in_a_walk_is_forgotten(void **state)
{
    (void)state;
    assert_false(walk(1, "a", 0, 0) || walk(1, "a", 0, 10));
    frozen_begin(&frozen);
    assert_false(walk(1, "a", 0, 5000) || walk(1, "a", 0, 5005));
    assert_false(walk(1, "a", 0, 5600));
    assert_true(walk(1, "a", 0, 5605));
}

static void there_is_room_again_when_rows_are_gone(void **state)
{
    (void)state;
    frozen_begin(&frozen);
    for (uint64_t id = 1; id <= FROZEN_MAX + 10; id++) assert_false(sees(id, "a", 0, 0));
    assert_int_equal(FROZEN_MAX, frozen.count);
    frozen_begin(&frozen);
    frozen_begin(&frozen); /* a whole walk has met none of them */
    assert_int_equal(0, frozen.count);
    assert_false(walk(FROZEN_MAX + 5, "a", 0, 10) || walk(FROZEN_MAX + 5, "a", 0, 620));
    assert_true(walk(FROZEN_MAX + 5, "a", 0, 625));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_row_at_0_for_a_lease_and_three_looks_is_taken, open_none),
        cmocka_unit_test_setup(looks_within_a_lease_are_not_enough, open_none),
        cmocka_unit_test_setup(who_renews_whenever_it_is_looked_at_is_alive, open_none),
        cmocka_unit_test_setup(looks_are_parted_by_an_answer_and_the_next_question, open_none),
        cmocka_unit_test_setup(who_has_renewed_once_begins_anew, open_none),
        cmocka_unit_test_setup(a_row_that_was_not_met_in_a_walk_is_forgotten, open_none),
        cmocka_unit_test_setup(there_is_room_again_when_rows_are_gone, open_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
