/* SPDX-License-Identifier: MIT */

/* promises/reload: what can change while jobs run is changed at once, and what cannot is refused. */
#include <stdlib.h>
#include <string.h>

#include "support/reload.h"

static void put(struct scene *scene, const char *event, int n)
{
    for (int i = 0; i < n; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", event, "data", "1");
}

/* ── what changes ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* What a handler was told of its timeout, and how often it was called. */
struct told {
    _Atomic int64_t left_ms;
    _Atomic int calls, inside;
    _Atomic bool is_shut;
};

static quern_verdict tell_left(quern_job *job, void *thread, void *user)
{
    struct told *told = user;
    (void)thread;
    atomic_store(&told->left_ms, quern_job_left_ms(job));
    atomic_fetch_add(&told->inside, 1);
    while (atomic_load(&told->is_shut)) wait_breathe();
    atomic_fetch_sub(&told->inside, 1);
    atomic_fetch_add(&told->calls, 1);
    return QUERN_DONE;
}

static void a_policy_holds_from_the_next_job_on(void **state)
{
    struct scene *scene = *state;
    struct told a = {0}, b = {0};
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "a", .run = tell_left, .user = &a});
    mill_on(mill, &(quern_handler){.event = "b", .run = tell_left, .user = &b});
    mill_start(mill);
    put(scene, "a", 1);
    put(scene, "b", 1);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    assert_int_equal(a.left_ms, -1);
    quern_config *config = mill_config(mill, "timeout_ms", "500000", NULL);
    config_on(config, &(quern_handler){.event = "a", .run = tell_left, .user = &a});
    config_on(config, &(quern_handler){.event = "b", .run = tell_left, .user = &b, .policy = "{\"timeout_ms\": 900000}"});
    mill_reloads(mill, config);
    put(scene, "a", 1);
    put(scene, "b", 1);
    wait_for(mill_stat(mill, "jobs", "done") == 4);
    assert_in_range(a.left_ms, 400000, 500000);
    assert_in_range(b.left_ms, 800000, 900000);
    wait_for(mill_lines(mill, "event=reloaded") == 1);
    mill_stop(mill);
}

static void handlers_are_added_replaced_and_removed_and_a_running_one_is_left_in_peace(void **state)
{
    struct scene *scene = *state;
    struct told old = {.is_shut = true}, new = {0};
    struct mill *mill = mill_new(scene, "threads", "2", NULL);
    mill_on(mill, &(quern_handler){.event = "a", .run = tell_left, .user = &old});
    mill_on(mill, &(quern_handler){.event = "gone", .run = tell_left, .user = &old});
    mill_start(mill);
    put(scene, "a", 1);
    wait_for(old.inside == 1);
    quern_config *config = mill_config(mill, "unhandled", "ack", NULL);
    config_on(config, &(quern_handler){.event = "a", .run = tell_left, .user = &new});
    config_on(config, &(quern_handler){.event = "b", .run = tell_left, .user = &new});
    mill_reloads(mill, config); /* waits for no handler */
    assert_int_equal(old.inside, 1);
    put(scene, "a", 3);
    put(scene, "b", 3);
    wait_for(new.calls == 6);
    put(scene, "gone", 1);
    wait_for(mill_stat(mill, "jobs", "unhandled") == 1);
    assert_int_equal(old.inside, 1);
    atomic_store(&old.is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 7);
    assert_int_equal(old.calls, 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
}

static void what_becomes_of_unhandled_jobs_changes(void **state)
{
    struct scene *scene = *state;
    struct told told = {0};
    struct mill *mill = mill_new(scene, "unhandled", "ack", NULL);
    mill_on(mill, &(quern_handler){.event = "a", .run = tell_left, .user = &told});
    mill_start(mill);
    put(scene, "stranger", 1);
    wait_for(mill_stat(mill, "jobs", "unhandled") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 0);
    quern_config *config = mill_config(mill, "unhandled", "dead", NULL);
    config_on(config, &(quern_handler){.event = "a", .run = tell_left, .user = &told});
    mill_reloads(mill, config);
    put(scene, "stranger", 1);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:failed") == 1);
    mill_stop(mill);
}

static void the_log_speaks_from_another_level_on(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "log_level", "error", NULL);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    quern_config *config = mill_config(mill, "log_level", "debug", NULL);
    config_on(config, &(quern_handler){.event = "*", .run = mill_grind, .user = mill});
    mill_reloads(mill, config);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    wait_for(mill_lines(mill, "event=resumed") == 1);
    assert_int_equal(mill_lines(mill, "event=paused"), 0);
    assert_int_equal(mill_lines(mill, "event=started"), 0);
    mill_stop(mill);
}

static void threads_become_as_many_as_the_configuration_says(void **state)
{
    static const char *const counts[] = {"8", "1", "5", "auto", "2"};
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    for (int i = 0; i < 5; i++) {
        quern_config *config = mill_config(mill, "threads", counts[i], NULL);
        config_on(config, &(quern_handler){.event = "*", .run = mill_grind, .user = mill});
        mill_reloads(mill, config);
        if (strcmp(counts[i], "auto") != 0) assert_int_equal(mill_stat(mill, NULL, "threads"), atoi(counts[i]));
        atomic_store(&mill->is_shut, true);
        scene_publish(scene, 20 * i, 20);
        wait_for(mill->inside == mill_stat(mill, NULL, "threads"));
        atomic_store(&mill->is_shut, false);
        wait_for(mill_stat(mill, "jobs", "done") == 20 * (i + 1));
    }
    assert_true(mill_has_seen_once(mill, 0, 100));
    mill_stop(mill);
}

static quern_verdict until_cancelled(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    atomic_fetch_add(&mill->inside, 1);
    while (!quern_job_cancelled(job) && !atomic_load(&mill->is_shut)) wait_breathe();
    return QUERN_RETRY;
}

static void the_time_a_stop_may_take_changes(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "drain_ms", "86400000", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = until_cancelled});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    quern_config *config = mill_config(mill, "drain_ms", "500", NULL);
    config_on(config, &(quern_handler){.event = "*", .run = mill_grind, .user = mill});
    mill_reloads(mill, config);
    mill_stop(mill);
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_key_that_cannot_change_is_refused_and_nothing_else_changes_either(void **state)
{
    struct scene *scene = *state;
    struct told told = {0};
    struct mill *mill = mill_run(scene, "log_level", "info", NULL);
    quern_config *config = mill_config(mill, "lease_ms", "77000", "group", "other", "threads", "5", "log_level", "debug", NULL);
    config_on(config, &(quern_handler){.event = "*", .run = tell_left, .user = &told});
    assert_int_equal(mill_reload(mill, config), QUERN_E_CONFIG);
    assert_non_null(strstr(mill->error.text, "lease_ms (is 30000, asked 77000)"));
    assert_non_null(strstr(mill->error.text, "group (is \"g\", asked \"other\")"));
    assert_null(strstr(mill->error.text, "threads"));
    assert_int_equal(mill_stat(mill, NULL, "threads"), 2);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    mill_stop(mill);
    assert_int_equal(told.calls, 0);
    assert_true(mill_has_seen_once(mill, 0, 10));
    assert_int_equal(mill_lines(mill, "event=paused"), 0);
    assert_int_equal(mill_lines(mill, "event=reloaded"), 0);
}

static void a_configuration_that_no_pool_could_start_with_is_refused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    assert_int_equal(mill_reload(mill, mill_config(mill, NULL)), QUERN_E_CONFIG);
    assert_non_null(strstr(mill->error.text, "handler"));
    assert_int_equal(quern_pool_reload(mill->pool, NULL, &mill->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_reload(NULL, mill->config, &mill->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_reload(mill->pool, mill->config, NULL), QUERN_OK); /* the same again is fine */
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    quern_pool_stop(mill->pool);
    assert_int_equal(quern_pool_reload(mill->pool, mill->config, &mill->error), QUERN_E_GONE);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_policy_holds_from_the_next_job_on),
        SCENE(handlers_are_added_replaced_and_removed_and_a_running_one_is_left_in_peace),
        SCENE(what_becomes_of_unhandled_jobs_changes),
        SCENE(the_log_speaks_from_another_level_on),
        SCENE(threads_become_as_many_as_the_configuration_says),
        SCENE(the_time_a_stop_may_take_changes),
        SCENE(a_key_that_cannot_change_is_refused_and_nothing_else_changes_either),
        SCENE(a_configuration_that_no_pool_could_start_with_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
