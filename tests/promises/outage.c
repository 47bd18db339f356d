/* SPDX-License-Identifier: MIT */

/* promises/outage: Redis dies and comes back, forgets its scripts, loses a group or a stream: the pool goes on. */
#include <stdio.h>

#include "support/mill.h"

static void a_redis_killed_in_the_middle_loses_nothing_and_is_told_once(void **state)
{
    enum { JOBS = 5000 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "2", "lease_ms", "60000", NULL);
    mill->work_us = 100;
    scene_publish(scene, 0, JOBS);
    wait_for(mill->ended > JOBS / 4);
    redis_kill(&scene->redis);
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] == 1);
    assert_int_equal(mill_stat(mill, "redis", "up"), 0);
    wait_for(mill->inside == 0); /* what was fetched is run meanwhile */
    redis_again(&scene->redis);
    wait_for(mill_has_seen(mill, 0, JOBS) && redis_pending(&scene->redis, "jobs", "g") == 0);
    wait_for(mill->told[QUERN_NOTICE_BACK] == 1 && mill_stat(mill, "redis", "up") == 1);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
    assert_int_equal(mill_lines(mill, "event=redis_lost"), 1);
    assert_int_equal(mill_lines(mill, "event=redis_back"), 1);
    assert_int_equal(mill->told[QUERN_NOTICE_OUTAGE], 1);
    assert_int_equal(mill->told[QUERN_NOTICE_BACK], 1);
}

static void an_idle_pool_tells_a_restart_once(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "300", "reap_ms", "100", NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    redis_kill(&scene->redis);
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] == 1);
    redis_again(&scene->redis);
    wait_for(redis_clients(&scene->redis, ":dispatcher") == 1 && redis_clients(&scene->redis, ":reaper") == 1);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 10, 1);
    wait_for(redis_clients(&scene->redis, ":heartbeat") == 1); /* its lease had to be renewed */
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    wait_for(mill_stat(mill, "redis", "up") == 1);
    mill_stop(mill);
    assert_int_equal(mill_lines(mill, "event=redis_lost"), 1);
    assert_int_equal(mill_lines(mill, "event=redis_back"), 1);
}

static void it_is_up_again_although_nothing_needs_renewal_any_more(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "300", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    redis_kill(&scene->redis);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0, 700); /* the heartbeat meets it too */
    redis_again(&scene->redis);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0 && mill_stat(mill, "redis", "up") == 1);
    wait_for(mill->told[QUERN_NOTICE_BACK] == 1);
    mill_stop(mill);
    assert_int_equal(mill_lines(mill, "event=redis_lost"), 1);
}

static void forgotten_scripts_do_no_harm(void **state)
{
    enum { JOBS = 200, ROUNDS = 10 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "completed_max", "100000", "lease_ms", "300", NULL);
    mill->work_us = 200;
    for (int round = 0; round < ROUNDS; round++) {
        scene_publish(scene, round * JOBS, JOBS);
        assert_true(answer_is(redis_ask(&scene->redis, "SCRIPT", "FLUSH"), "OK"));
        wait_for(mill->ended >= round * JOBS);
    }
    wait_for(mill_stat(mill, "jobs", "done") == JOBS * ROUNDS);
    assert_true(mill_has_seen_once(mill, 0, JOBS * ROUNDS));
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), JOBS * ROUNDS);
    assert_int_equal(mill->told[QUERN_NOTICE_OUTAGE], 0);
    mill_stop(mill);
}

/* ── what was there is gone ──────────────────────────────────────────────────────────────────────────────────────── */

static bool heals(struct scene *scene, struct mill *mill, int number)
{
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs") == 1 && redis_pending(&scene->redis, "jobs", "g") >= 0 &&
             redis_pending(&scene->redis, "jobs:g:retry", "g") >= 0);
    scene_publish(scene, number, 10);
    wait_for(mill_has_seen_once(mill, number, 10));
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    return redis_pending(&scene->redis, "jobs", "g") == 0;
}

static void a_group_or_a_stream_that_was_deleted_is_made_again(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    redis_ask(&scene->redis, "DEL", "jobs");
    assert_true(heals(scene, mill, 10));
    redis_ask(&scene->redis, "DEL", "jobs:g:retry");
    assert_true(heals(scene, mill, 20));
    redis_ask(&scene->redis, "FLUSHALL");
    assert_true(heals(scene, mill, 30));
    redis_ask(&scene->redis, "DEL", "jobs");
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs:g:retry", "g");
    assert_true(heals(scene, mill, 40));
    wait_for(mill_lines(mill, "group_made_again") >= 1);
    mill_stop(mill);
}

static void a_group_destroyed_while_jobs_run_is_made_again_and_nothing_is_lost(void **state)
{
    enum { JOBS = 500 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "300", "completed_max", "10000", "trim", "false", NULL);
    mill->work_us = 500;
    scene_publish(scene, 0, JOBS);
    wait_for(mill->ended > 20);
    assert_int_equal(redis_number(&scene->redis, "XGROUP", "DESTROY", "jobs", "g"), 1);
    wait_for(redis_pending(&scene->redis, "jobs", "g") >= 0);
    wait_for(mill_has_seen(mill, 0, JOBS));
    wait_for(mill_stat(mill, "jobs", "held") == 0 && redis_pending(&scene->redis, "jobs", "g") == 0);
    mill_stop(mill);
}

static long long calls_in_a_second(struct scene *scene)
{
    long long before = redis_calls(&scene->redis, NULL);
    int64_t from_ms = wait_now_ms();
    wait_for(wait_now_ms() - from_ms >= 1000);
    return redis_calls(&scene->redis, NULL) - before;
}

static void an_idle_pool_asks_little(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    scene_publish(scene, 0, 100);
    wait_for(mill_stat(mill, "jobs", "done") == 100 && mill_stat(mill, "jobs", "held") == 0);
    assert_in_range(calls_in_a_second(scene), 0, 20);
    mill_stop(mill);
}

static void what_cannot_be_healed_is_not_tried_in_a_hot_loop(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "300", "reap_ms", "100", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    redis_ask(&scene->redis, "DEL", "jobs");
    redis_ask(&scene->redis, "SET", "jobs", "in the way");
    atomic_store(&mill->is_shut, false);
    assert_in_range(calls_in_a_second(scene), 0, 300);
    redis_ask(&scene->redis, "DEL", "jobs");
    assert_true(heals(scene, mill, 10));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_redis_killed_in_the_middle_loses_nothing_and_is_told_once, scene_open_aof,
                                        scene_close),
        cmocka_unit_test_setup_teardown(an_idle_pool_tells_a_restart_once, scene_open_aof, scene_close),
        cmocka_unit_test_setup_teardown(it_is_up_again_although_nothing_needs_renewal_any_more, scene_open_aof, scene_close),
        SCENE(forgotten_scripts_do_no_harm),
        SCENE(a_group_or_a_stream_that_was_deleted_is_made_again),
        SCENE(a_group_destroyed_while_jobs_run_is_made_again_and_nothing_is_lost),
        SCENE(an_idle_pool_asks_little),
        SCENE(what_cannot_be_healed_is_not_tried_in_a_hot_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
