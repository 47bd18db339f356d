/* SPDX-License-Identifier: MIT */

/* promises/behind: jobs that wait here behind long ones go where somebody has time for them. */
#include <stdlib.h>

#include "support/mill.h"

static void jobs_behind_long_ones_are_given_to_another_process(void **state)
{
    struct scene *scene = *state;
    struct mill *slow = mill_run(scene, "threads", "1", "lease_ms", "60000", NULL);
    scene_publish(scene, 0, 500); /* jobs are known to be short from then on, and fetched ahead */
    wait_for(mill_stat(slow, "jobs", "done") == 500);
    atomic_store(&slow->is_shut, true);
    scene_publish(scene, 500, 50);
    wait_for(slow->inside == 1 && mill_stat(slow, "jobs", "held") > 10);
    struct mill *quick = mill_run(scene, "threads", "1", "lease_ms", "60000", NULL);
    wait_for(quick->ended == 49); /* long before any lease is over */
    assert_int_equal(slow->inside, 1);
    wait_for(mill_stat(slow, "jobs", "released") > 10 && mill_stat(slow, "jobs", "waiting") == 0);
    atomic_store(&slow->is_shut, false);
    wait_for(mill_stat(slow, "jobs", "held") == 0);
    int once = 0;
    for (int i = 500; i < 550; i++) once += slow->seen[i] + quick->seen[i] == 1;
    assert_int_equal(once, 50);
    mill_stop(slow);
    mill_stop(quick);
}

/* Nobody else is there: they are given back, perhaps once more by a read that was in flight, and run when there is a thread. */
static void what_is_given_back_is_not_fetched_again_before_there_is_time_for_it(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "1", "lease_ms", "60000", NULL);
    scene_publish(scene, 0, 500);
    wait_for(mill_stat(mill, "jobs", "done") == 500);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 500, 50);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:retry") >= 40 &&
             redis_pending(&scene->redis, "jobs:g:retry", "g") == 0);
    stays(redis_pending(&scene->redis, "jobs:g:retry", "g") == 0, 2500);
    assert_true(mill_stat(mill, "jobs", "released") <= 2 * 50);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_has_seen_once(mill, 0, 550));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(jobs_behind_long_ones_are_given_to_another_process),
        SCENE(what_is_given_back_is_not_fetched_again_before_there_is_time_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
