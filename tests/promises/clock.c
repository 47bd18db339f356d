/* SPDX-License-Identifier: MIT */

/* promises/clock: Redis's wall clock steps under a pool: nothing is lost, nothing hangs, and what the dead have held comes back. */
#include "support/mill.h"

enum { HOUR_MS = 3600000 };

static int open_stepped(void **state)
{
    return scene_open_with(state, &(struct redis_options){.clockstep = CLOCKSTEP});
}

static struct mill *quick(struct scene *scene)
{
    return mill_run(scene, "lease_ms", "500", "reap_ms", "50", "retry_base_ms", "0", NULL);
}

static bool is_clean(struct scene *scene)
{
    return redis_pending(&scene->redis, "jobs", "g") == 0 && redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 0;
}

/* One of the two lets jobs stand still for longer than a lease. */
static void steps_under_load(struct scene *scene, long long ms)
{
    enum { JOBS = 400 };
    struct mill *busy = quick(scene), *idle = quick(scene);
    busy->work_us = idle->work_us = 500;
    scene_publish(scene, 0, JOBS);
    wait_for(busy->ended + idle->ended > JOBS / 4);
    atomic_store(&busy->is_shut, true);
    redis_step(&scene->redis, ms);
    wait_for(mill_lines(busy, "event=redis_clock_stepped") + mill_lines(idle, "event=redis_clock_stepped") >= 1);
    scene_publish(scene, JOBS, JOBS);
    int64_t from_ms = wait_now_ms();
    wait_for(wait_now_ms() - from_ms > 1000);
    atomic_store(&busy->is_shut, false);
    for (int i = 0; i < 2 * JOBS; i++) wait_for(busy->seen[i] + idle->seen[i] >= 1);
    wait_for(is_clean(scene) && mill_stat(busy, "jobs", "held") == 0 && mill_stat(idle, "jobs", "held") == 0);
    scene_publish(scene, 2 * JOBS, 10);
    for (int i = 2 * JOBS; i < 2 * JOBS + 10; i++) wait_for(busy->seen[i] + idle->seen[i] >= 1);
    mill_stop(busy);
    mill_stop(idle);
}

static void a_step_forward_loses_nothing_and_is_said(void **state)
{
    steps_under_load(*state, HOUR_MS);
}

static void a_step_back_loses_nothing_and_is_said(void **state)
{
    steps_under_load(*state, -HOUR_MS);
}

/* The dead one has read before the step: its rows look idle for 0 ms for an hour. */
static void what_a_dead_process_held_comes_back_after_a_step_back(void **state)
{
    enum { JOBS = 100 };
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    scene_publish(scene, 0, JOBS);
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "dead", "COUNT", "100", "STREAMS", "jobs", ">");
    redis_step(&scene->redis, -HOUR_MS);
    struct mill *mill = quick(scene);
    wait_for(mill_has_seen(mill, 0, JOBS) && is_clean(scene));
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    wait_for(mill_stat(mill, "upkeep", "reclaimed") == JOBS);
    mill_stop(mill);
}

/* Whoever is alive renews, so that its rows are not at 0 for long. */
static void what_a_live_process_holds_is_not_taken_after_a_step_back(void **state)
{
    struct scene *scene = *state;
    struct mill *holder = mill_new(scene, "lease_ms", "1000", "reap_ms", "50", NULL);
    holder->is_shut = true;
    mill_started(holder);
    scene_publish(scene, 0, 2);
    wait_for(holder->inside == 2);
    struct mill *other = mill_run(scene, "lease_ms", "1000", "reap_ms", "50", NULL);
    wait_for(mill_stat(other, "redis", "up") == 1);
    redis_step(&scene->redis, -HOUR_MS);
    stays(other->started == 0 && mill_stat(holder, "leases", "lost") == 0, 3000);
    atomic_store(&holder->is_shut, false);
    wait_for(mill_stat(holder, "jobs", "done") == 2 && is_clean(scene));
    mill_stop(holder);
    mill_stop(other);
}

/* The turn of a pool that has died since is an hour long now. */
static void a_turn_that_a_step_back_has_stretched_is_not_waited_for(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    redis_ask(&scene->redis, "SET", "jobs:g:reaper", "dead", "PX", "5000");
    redis_step(&scene->redis, -HOUR_MS);
    scene_publish(scene, 0, 3);
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "dead", "STREAMS", "jobs", ">");
    struct mill *mill = quick(scene);
    wait_for(mill_has_seen_once(mill, 0, 3) && is_clean(scene));
    assert_in_range(redis_number(&scene->redis, "PTTL", "jobs:g:reaper") + 2, 0, 5002);
    mill_stop(mill);
}

static void a_job_published_after_a_step_back_starts_soon(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    scene_publish(scene, 0, 1);
    wait_for(mill->ended == 1);
    redis_step(&scene->redis, -HOUR_MS);
    scene_publish(scene, 1, 10);
    wait_for(mill_has_seen_once(mill, 0, 11));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, open_stepped, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_step_forward_loses_nothing_and_is_said),
        SCENE(a_step_back_loses_nothing_and_is_said),
        SCENE(what_a_dead_process_held_comes_back_after_a_step_back),
        SCENE(what_a_live_process_holds_is_not_taken_after_a_step_back),
        SCENE(a_turn_that_a_step_back_has_stretched_is_not_waited_for),
        SCENE(a_job_published_after_a_step_back_starts_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
