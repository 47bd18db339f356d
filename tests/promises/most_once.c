/* SPDX-License-Identifier: MIT */

/* promises/most_once: at-most-once: a job is given up when it is read, and never run twice for it. */
#include <stdlib.h>

#include "support/mill.h"

static struct mill *mill_of(struct scene *scene, const char *key, const char *value)
{
    return mill_new(scene, "delivery", "at-most-once", "retry_base_ms", "0", "reap_ms", "50", key, value, NULL);
}

static void jobs_run_once_and_nothing_is_ever_pending(void **state)
{
    enum { JOBS = 5000 };
    struct scene *scene = *state;
    struct mill *mill = mill_started(mill_of(scene, "threads", "4"));
    scene_publish(scene, 0, JOBS);
    wait_for(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(redis_calls(&scene->redis, "xack"), 0);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS && mill_stat(mill, "jobs", "held") == 0);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs") < 100);
    mill_stop(mill);
}

static void no_more_is_fetched_than_there_are_threads_to_run_it(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_of(scene, "threads", "3");
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 100);
    wait_for(mill->inside == 3);
    stays(mill_stat(mill, "jobs", "held") == 3, 200);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_has_seen_once(mill, 0, 100));
    mill_stop(mill);
}

static void a_failed_job_is_tried_again_and_buried_with_its_payload(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_of(scene, "retry_limit", "2");
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    scene_publish(scene, 7, 5);
    wait_for(mill_stat(mill, "jobs", "dead") == 5);
    for (int i = 7; i < 12; i++) assert_int_equal(mill->seen[i], 3);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 5);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 0);
    mill_stop(mill);
}

static void delayed_retries_come_back_too(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_of(scene, "retry_limit", "1");
    mill_set(mill, "retry_base_ms", "100");
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    scene_publish(scene, 0, 20);
    wait_for(mill_stat(mill, "jobs", "dead") == 20);
    for (int i = 0; i < 20; i++) assert_int_equal(mill->seen[i], 2);
    mill_stop(mill);
}

static void finished_jobs_are_logged_if_there_is_a_log(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_started(mill_of(scene, "completed_max", "1000"));
    scene_publish(scene, 0, 100);
    wait_for(mill_stat(mill, "jobs", "done") == 100);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 100);
    mill_stop(mill);
}

/* A stop while threads are busy: what a read brought at the last moment goes back to the group, and runs elsewhere, once. */
static void a_stop_gives_back_what_was_not_started(void **state)
{
    enum { ROUNDS = 10, JOBS = 40 };
    struct scene *scene = *state;
    for (int round = 0; round < ROUNDS; round++) {
        struct mill *mill = mill_of(scene, "threads", "2");
        mill->work_us = 200;
        mill_started(mill);
        scene_publish(scene, JOBS * round, JOBS);
        wait_for(mill->started >= JOBS / 4);
        mill_stop(mill);
        struct mill *next = mill_run(scene, "reap_ms", "50", NULL);
        wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 0 && mill->ended + next->ended == JOBS);
        for (int i = JOBS * round; i < JOBS * (round + 1); i++) assert_int_equal(mill->seen[i] + next->seen[i], 1);
        mill_stop(next);
    }
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(jobs_run_once_and_nothing_is_ever_pending),
        SCENE(no_more_is_fetched_than_there_are_threads_to_run_it),
        SCENE(a_failed_job_is_tried_again_and_buried_with_its_payload),
        SCENE(delayed_retries_come_back_too),
        SCENE(finished_jobs_are_logged_if_there_is_a_log),
        SCENE(a_stop_gives_back_what_was_not_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
