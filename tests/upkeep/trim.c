/* SPDX-License-Identifier: MIT */
#include "upkeep/trim.h"

#include "base/clock.h"
#include "support/unit.h"

static struct trim_look look_of(const char *group, const char *mark, bool by_pending, int64_t behind)
{
    struct trim_look look = {.by_pending = by_pending, .behind = behind};
    snprintf(look.group, sizeof look.group, "%s", group);
    snprintf(look.mark, sizeof look.mark, "%s", mark);
    return look;
}

/* Looks at that second; is it time for the second gear? */
static bool deletes_at(struct trim *trim, int64_t second, struct trim_look look)
{
    bool deletes;
    assert_false(trim_sees(trim, &look, second * NS_PER_S, &deletes));
    return deletes;
}

static void the_second_gear_is_for_one_old_job_that_holds_back_many_for_seconds(void **state)
{
    struct trim trim = {0};
    (void)state;
    assert_false(deletes_at(&trim, 1, look_of("g", "5-0", true, TRIM_AFTER)));
    assert_false(deletes_at(&trim, 3, look_of("g", "5-0", true, TRIM_AFTER)));
    assert_true(deletes_at(&trim, 4, look_of("g", "5-0", true, TRIM_AFTER)));
    assert_false(deletes_at(&trim, 5, look_of("g", "5-0", true, TRIM_AFTER - 1))); /* not many any more */
    assert_true(deletes_at(&trim, 6, look_of("g", "5-0", true, TRIM_AFTER)));
    assert_true(deletes_at(&trim, 6, look_of("g", "5-0", true, BEHIND_UNKNOWN))); /* as many as before, as far as is known */
    assert_true(deletes_at(&trim, 6, look_of("g", "5-0", true, BEHIND_UNKNOWN)));
    assert_false(deletes_at(&trim, 7, look_of("g", "6-0", true, BEHIND_UNKNOWN)));
    assert_false(deletes_at(&trim, 7, look_of("g", "6-0", true, TRIM_AFTER))); /* it has ended: another is the oldest */
    assert_false(deletes_at(&trim, 9, look_of("g", "6-0", false, TRIM_AFTER)));
    assert_false(deletes_at(&trim, 99, look_of("g", "6-0", false, TRIM_AFTER))); /* not a job: the group does not read on */
}

static void an_empty_stream_holds_nothing_back(void **state)
{
    struct trim trim = {0};
    (void)state;
    for (int64_t second = 0; second < 10000; second += 1000)
        assert_false(deletes_at(&trim, second, look_of("", "0-0", false, 0)));
}

static void a_group_that_stands_still_is_named_each_hour(void **state)
{
    struct trim trim = {0};
    struct trim_look look = look_of("g", "5-0", false, 0), moved = look_of("g", "6-0", false, 0);
    bool deletes;
    int told = 0;
    (void)state;
    for (int64_t second = 0; second <= 3 * 3600; second += 60) told += trim_sees(&trim, &look, second * NS_PER_S, &deletes);
    assert_int_equal(3, told);
    assert_false(trim_sees(&trim, &moved, 4 * 3600 * NS_PER_S, &deletes));
    assert_false(trim_sees(&trim, &moved, (5 * 3600 - 1) * NS_PER_S, &deletes));
    assert_true(trim_sees(&trim, &moved, 5 * 3600 * NS_PER_S, &deletes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_gear_is_for_one_old_job_that_holds_back_many_for_seconds),
        cmocka_unit_test(an_empty_stream_holds_nothing_back),
        cmocka_unit_test(a_group_that_stands_still_is_named_each_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
