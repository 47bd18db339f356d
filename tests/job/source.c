/* SPDX-License-Identifier: MIT */
#include "job/source.h"

#include "support/unit.h"

static void keys_are_derived_from_stream_and_group(void **state)
{
    (void)state;
    struct source source;
    quern_error err;
    assert_int_equal(QUERN_OK, source_open(&source, "{app}.events", "mailers", NULL, &err));
    assert_string_equal("{app}.events", source.stream);
    assert_string_equal("mailers", source.group);
    assert_string_equal("{app}.events:mailers:retry", source.retry);
    assert_string_equal("{app}.events:mailers:settles", source.settles);
    assert_string_equal("{app}.events:mailers:completed", source.completed);
    assert_string_equal("{app}.events:mailers:delayed", source.delayed);
    assert_string_equal("{app}.events:mailers:delayed:jobs", source.waiting);
    assert_string_equal("{app}.events:mailers:reaper", source.reaper);
    assert_string_equal("{app}.events:failed", source.dead);
    assert_ptr_equal(source.stream, source_key(&source, LANE_STREAM));
    assert_ptr_equal(source.retry, source_key(&source, LANE_RETRY));
    source_close(&source);
    assert_null(source.stream);
    source_close(&source);
}

static void what_was_given_may_go(void **state)
{
    (void)state;
    char stream[] = "s", group[] = "g";
    struct source source;
    assert_int_equal(QUERN_OK, source_open(&source, stream, group, "graves", NULL));
    stream[0] = group[0] = 'x';
    assert_string_equal("s:g:retry", source.retry);
    assert_string_equal("graves", source.dead);
    assert_string_equal("s", source.stream);
    source_close(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_derived_from_stream_and_group),
        cmocka_unit_test(what_was_given_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
