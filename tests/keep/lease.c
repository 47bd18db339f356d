/* SPDX-License-Identifier: MIT */
#include "keep/lease.h"

#include <time.h>

#include "base/clock.h"
#include "support/unit.h"

enum { LEASE = 30000 };

static void a_lease_is_fresh_for_less_than_half_of_it(void **state)
{
    static const struct {
        int64_t granted, now, connected;
        bool is_fresh;
    } table[] = {
        {1000, 1000, 999, true},
        {1000, 1000 + LEASE / 2 - 1, 999, true},
        {1000, 1000 + LEASE / 2, 999, false},
        {1000, 1000 + LEASE, 999, false},
        {1000, INT64_MAX, 999, false},
        {1000, 1000, 1000, false}, /* granted at the instant of the connection: perhaps before it */
        {1000, 1000, 1001, false}, /* by an earlier connection */
        {1000, 1001, 1001, false},
        {1001, 1002, 1000, true},
        {1, 1, 0, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (lease_is_fresh(table[i].granted, table[i].now, LEASE, table[i].connected) != table[i].is_fresh)
            fail_msg("row %zu", i);
}

static void a_lease_is_due_when_a_third_of_it_is_over(void **state)
{
    (void)state;
    assert_false(lease_is_due(1000, 1000, LEASE));
    assert_false(lease_is_due(1000, 1000 + LEASE / 3 - 1, LEASE));
    assert_true(lease_is_due(1000, 1000 + LEASE / 3, LEASE));
    assert_true(lease_is_due(1000, INT64_MAX, LEASE));
}

static void a_lease_is_over_when_all_of_it_is(void **state)
{
    (void)state;
    assert_false(lease_is_over(1000, 1000 + LEASE - 1, LEASE));
    assert_true(lease_is_over(1000, 1000 + LEASE, LEASE));
    assert_true(lease_is_over(1000, INT64_MAX, LEASE));
}

/* Renewed by ticks of a sixth, it never stops being fresh: due comes a whole tick before stale. */
static void who_renews_what_is_due_each_sixth_stays_fresh(void **state)
{
    (void)state;
    int64_t granted = 1;
    for (int64_t tick = 1; tick < 100; tick++) {
        int64_t now = 1 + tick * (LEASE / 6);
        if (!lease_is_due(granted, now, LEASE)) continue;
        assert_true(lease_is_fresh(granted, now, LEASE, 0));
        granted = now;
    }
    assert_true(granted > 90 * (LEASE / 6));
}

static int64_t boottime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Time that the machine was suspended counts, and no step of the wall clock does. */
static void freshness_is_told_by_the_clock_that_goes_on_in_a_suspend(void **state)
{
    (void)state;
    int64_t before_ns = boottime_ns(), now_ns = clock_now_ns(), after_ns = boottime_ns();
    assert_true(before_ns <= now_ns && now_ns <= after_ns);
    assert_true(lease_is_fresh(now_ns, now_ns, NS_PER_S, before_ns - 1));
    assert_false(lease_is_fresh(now_ns - NS_PER_S / 2, now_ns, NS_PER_S, 0));
}

/* Renewed while the settler was away: its next connection knows nothing of what the one before it left behind. */
static void a_lease_from_before_the_connection_is_fresh_again_once_it_is_renewed(void **state)
{
    (void)state;
    int64_t connected = 5000;
    assert_false(lease_is_fresh(4999, 5001, LEASE, connected));
    assert_true(lease_is_fresh(5001, 5002, LEASE, connected));
    assert_false(lease_is_fresh(5001, 5002, LEASE, 6000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_is_fresh_for_less_than_half_of_it),
        cmocka_unit_test(a_lease_is_due_when_a_third_of_it_is_over),
        cmocka_unit_test(a_lease_is_over_when_all_of_it_is),
        cmocka_unit_test(freshness_is_told_by_the_clock_that_goes_on_in_a_suspend),
        cmocka_unit_test(a_lease_from_before_the_connection_is_fresh_again_once_it_is_renewed),
        cmocka_unit_test(who_renews_what_is_due_each_sixth_stays_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
