/* SPDX-License-Identifier: MIT */

/* promises/raze: a stream goes with all that its groups share, and not while anybody needs it. */
#include "support/seen.h"

static void a_stream_goes_once_it_has_no_group_and_holds_nothing(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_refused(seen, quern_queue_remove_stream(seen->config, 0, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_group(redis);
    seen_refused(seen, quern_queue_remove_stream(seen->config, QUERN_FORCE, &seen->error), QUERN_E_BUSY, "has 1 groups");
    seen_take(seen, quern_queue_remove_group(seen->config, 0, &seen->error));
    seen_add(redis, "jobs", "*");
    seen_refused(seen, quern_queue_remove_stream(seen->config, 0, &seen->error), QUERN_E_BUSY, "holds 1 entries");
    redis_ask(redis, "XTRIM", "jobs", "MAXLEN", "0");
    seen_take(seen, quern_queue_remove_stream(seen->config, QUERN_DRY_RUN, &seen->error));
    assert_int_equal(redis_number(redis, "EXISTS", "jobs"), 1);
    json_t *answer = seen_take(seen, quern_queue_remove_stream(seen->config, 0, &seen->error));
    assert_true(json_is_true(json_object_get(answer, "removed")));
    assert_int_equal(redis_number(redis, "DBSIZE"), 0);
}

static void what_is_forced_goes_with_letters_and_scheduled_jobs(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    for (int i = 0; i < 3; i++) seen_add(redis, "jobs", "*");
    seen_add(redis, "jobs:failed", "*");
    seen_shelve(redis, "jobs:scheduled", "a", "99999999999999", "id", "one", NULL);
    json_t *answer = seen_take(seen, quern_queue_remove_stream(seen->config, QUERN_FORCE, &seen->error));
    assert_int_equal(seen_number(answer, "length"), 3);
    assert_int_equal(seen_number(answer, "dead"), 1);
    assert_int_equal(seen_number(answer, "scheduled"), 1);
    assert_int_equal(redis_number(redis, "DBSIZE"), 0);
}

static void letters_that_other_streams_may_share_stay(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_set(seen, "dead_letter_stream", "letters");
    seen_add(redis, "jobs", "*");
    seen_add(redis, "letters", "*");
    seen_take(seen, quern_queue_remove_stream(seen->config, QUERN_FORCE, &seen->error));
    assert_int_equal(redis_number(redis, "EXISTS", "jobs"), 0);
    assert_int_equal(redis_number(redis, "XLEN", "letters"), 1);
}

static void a_key_of_another_type_is_left(void **state)
{
    struct seen *seen = *state;
    redis_ask(&seen->scene->redis, "SET", "jobs:scheduled", "a text");
    seen_add(&seen->scene->redis, "jobs", "*");
    seen_refused(seen, quern_queue_remove_stream(seen->config, QUERN_FORCE, &seen->error), QUERN_E_SERVER, "jobs:scheduled");
    assert_int_equal(redis_number(&seen->scene->redis, "EXISTS", "jobs", "jobs:scheduled"), 2);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(a_stream_goes_once_it_has_no_group_and_holds_nothing),
        SEEN(what_is_forced_goes_with_letters_and_scheduled_jobs),
        SEEN(letters_that_other_streams_may_share_stay),
        SEEN(a_key_of_another_type_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
