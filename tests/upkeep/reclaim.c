/* SPDX-License-Identifier: MIT */
#include "upkeep/reclaim.h"

#include "base/clock.h"
#include "support/unit.h"

static const int64_t lease_ns = 30 * NS_PER_S;

/* Redis's clock at that second of ours. */
static bool sees(struct reclaim *reclaim, int64_t second, int64_t redis_ms)
{
    return reclaim_sees_time(reclaim, redis_ms, second * NS_PER_S, lease_ns);
}

static void clocks_that_drift_apart_slowly_have_not_stepped(void **state)
{
    struct reclaim reclaim = {0};
    (void)state;
    for (int64_t second = 0; second < 100000; second += 5) assert_false(sees(&reclaim, second, 1700000000000 + second * 1001));
    assert_int_equal(0, reclaim.hold_ns);
}

static void a_step_forward_or_back_holds_for_a_lease(void **state)
{
    static const int64_t steps_ms[] = {3600000, -3600000, 8000, -8000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(steps_ms); i++) {
        struct reclaim reclaim = {0};
        assert_false(sees(&reclaim, 100, 1700000000000));
        assert_true(sees(&reclaim, 105, 1700000005000 + steps_ms[i]));
        assert_int_equal(105 * NS_PER_S + lease_ns, reclaim.hold_ns);
        assert_false(sees(&reclaim, 110, 1700000010000 + steps_ms[i])); /* once */
        assert_int_equal(105 * NS_PER_S + lease_ns, reclaim.hold_ns);
    }
}

static void a_step_of_less_than_a_quarter_of_a_lease_is_none(void **state)
{
    struct reclaim reclaim = {0};
    (void)state;
    assert_false(sees(&reclaim, 100, 1700000000000));
    assert_false(sees(&reclaim, 100, 1700000007400));
    assert_true(sees(&reclaim, 100, 1700000015000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_that_drift_apart_slowly_have_not_stepped),
        cmocka_unit_test(a_step_forward_or_back_holds_for_a_lease),
        cmocka_unit_test(a_step_of_less_than_a_quarter_of_a_lease_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
