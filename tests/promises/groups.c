/* SPDX-License-Identifier: MIT */

/* promises/groups: groups are strangers; the pools of one group share; a group begins where it was told to. */
#include <stdio.h>
#include <string.h>

#include "support/mill.h"

static void each_group_gets_every_job(void **state)
{
    enum { JOBS = 3000 };
    struct scene *scene = *state;
    struct mill *one = mill_run(scene, "group", "one", NULL), *two = mill_run(scene, "group", "two", NULL);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(one, "jobs", "done") == JOBS && mill_stat(two, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(one, 0, JOBS) && mill_has_seen_once(two, 0, JOBS));
    mill_stop(one);
    mill_stop(two);
}

static void what_one_group_has_not_settled_is_not_trimmed_by_another(void **state)
{
    enum { JOBS = 3000 };
    struct scene *scene = *state;
    struct mill *fast = mill_run(scene, "group", "fast", "reap_ms", "10", NULL);
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "slow", "0");
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(fast, "jobs", "done") == JOBS);
    mill_stop(fast);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), JOBS);
    struct mill *slow = mill_run(scene, "group", "slow", NULL);
    wait_for(mill_stat(slow, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(slow, 0, JOBS));
    mill_stop(slow);
    assert_in_range(redis_number(&scene->redis, "XLEN", "jobs"), 0, 200);
}

static void nothing_is_trimmed_while_a_required_group_is_missing(void **state)
{
    enum { JOBS = 1000 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "required_groups", "[\"absent\"]", NULL);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), JOBS);
    assert_true(mill_lines(mill, "trim_waits") >= 1);
}

/* A pool that reads makes its group again at once. One that stops does not, and trims once more at its end. */
static void nothing_is_trimmed_while_the_pools_own_group_is_missing(void **state)
{
    enum { JOBS = 1000 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    mill->is_shut = true;
    scene_publish(scene, 0, JOBS);
    wait_for(mill->inside == 2);
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "ahead", "$");
    quern_pool_stop(mill->pool);
    wait_for(redis_clients(&scene->redis, ":dispatcher") == 0);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    mill->is_shut = false;
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), JOBS);
}

static void pools_of_one_group_share_and_each_job_is_completed_once(void **state)
{
    enum { JOBS = 5000 };
    struct scene *scene = *state;
    static _Atomic unsigned char logged[JOBS];
    struct mill *one = mill_run(scene, "completed_max", "100000", NULL),
                *two = mill_run(scene, "completed_max", "100000", NULL);
    one->work_us = two->work_us = 100;
    memset((void *)logged, 0, sizeof logged);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(one, "jobs", "done") + mill_stat(two, "jobs", "done") == JOBS);
    for (int i = 0; i < JOBS; i++) assert_int_equal(one->seen[i] + two->seen[i], 1);
    assert_true(mill_stat(one, "jobs", "done") > 0 && mill_stat(two, "jobs", "done") > 0);
    mill_stop(one);
    mill_stop(two);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), JOBS);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

static void a_new_group_begins_at_the_start_it_was_given(void **state)
{
    struct scene *scene = *state;
    char middle[64] = "";
    for (int i = 0; i < 6; i++) {
        scene_publish(scene, i, 1);
        if (i == 2)
            snprintf(middle, sizeof middle, "%s",
                     answer_at(answer_at(redis_ask(&scene->redis, "XREVRANGE", "jobs", "+", "-", "COUNT", "1"), 0), 0)->text);
    }
    struct mill *all = mill_run(scene, "trim", "false", "group", "all", NULL);
    struct mill *none = mill_run(scene, "trim", "false", "group", "none", "start", "$", NULL);
    struct mill *behind = mill_run(scene, "trim", "false", "group", "behind", "start", middle, NULL);
    scene_publish(scene, 6, 1);
    wait_for(all->ended == 7 && none->ended == 1 && behind->ended == 4);
    assert_true(mill_has_seen_once(all, 0, 7));
    assert_true(mill_has_seen_once(none, 6, 1));
    assert_true(mill_has_seen_once(behind, 3, 4));
    wait_for(mill_stat(all, "jobs", "done") == 7);
    stays(all->started == 7 && none->started == 1 && behind->started == 4, 50);
    mill_stop(all);
    mill_stop(none);
    mill_stop(behind);
}

static void of_a_group_that_began_at_the_end_it_is_known_how_many_wait(void **state)
{
    struct scene *scene = *state;
    scene_publish(scene, 0, 10);
    mill_stop(mill_run(scene, "trim", "false", "start", "$", NULL));
    scene_publish(scene, 10, 3);
    const struct answer *group = answer_at(redis_ask(&scene->redis, "XINFO", "GROUPS", "jobs"), 0);
    assert_int_equal(answer_of(group, "lag")->number, 3);
}

static void a_group_that_exists_is_no_error_and_goes_on_where_it_was(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "$", "MKSTREAM");
    scene_publish(scene, 0, 3);
    struct mill *first = mill_run(scene, "start", "$", NULL);
    wait_for(mill_stat(first, "jobs", "done") == 3);
    mill_stop(first);
    scene_publish(scene, 3, 3);
    struct mill *second = mill_run(scene, "start", "$", NULL);
    wait_for(mill_stat(second, "jobs", "done") == 3);
    assert_true(mill_has_seen_once(second, 3, 3));
    assert_int_equal(second->started, 3);
    mill_stop(second);
}

static void refuses_a_key(struct scene *scene, const char *key)
{
    redis_ask(&scene->redis, "SET", key, "x");
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    mill->pool = quern_pool_start(mill->config, &mill->error);
    assert_null(mill->pool);
    assert_int_equal(mill->error.code, QUERN_E_SERVER);
    assert_false(mill->error.is_retriable);
    assert_non_null(strstr(mill->error.text, key));
    assert_non_null(strstr(mill->error.text, "string"));
    assert_true(answer_is(redis_ask(&scene->redis, "GET", key), "x"));
    redis_ask(&scene->redis, "DEL", key);
    assert_int_equal(redis_number(&scene->redis, "DBSIZE"), 0);
}

static void a_derived_key_of_another_type_is_refused_by_its_name(void **state)
{
    struct scene *scene = *state;
    refuses_a_key(scene, "jobs");
    refuses_a_key(scene, "jobs:g:retry");
    refuses_a_key(scene, "jobs:g:completed");
    refuses_a_key(scene, "jobs:g:settles");
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(each_group_gets_every_job),
        SCENE(what_one_group_has_not_settled_is_not_trimmed_by_another),
        SCENE(nothing_is_trimmed_while_a_required_group_is_missing),
        SCENE(nothing_is_trimmed_while_the_pools_own_group_is_missing),
        SCENE(pools_of_one_group_share_and_each_job_is_completed_once),
        SCENE(a_new_group_begins_at_the_start_it_was_given),
        SCENE(of_a_group_that_began_at_the_end_it_is_known_how_many_wait),
        SCENE(a_group_that_exists_is_no_error_and_goes_on_where_it_was),
        SCENE(a_derived_key_of_another_type_is_refused_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
