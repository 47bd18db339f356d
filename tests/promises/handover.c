/* SPDX-License-Identifier: MIT */

/* promises/handover: from the old handlers to the new ones while jobs run: none is lost or run twice, and a thread closes itself
 * what it has opened. */
#include <stdlib.h>

#include "support/reload.h"

struct desk {
    _Atomic int opened, closed, wrong, runs;
    struct mill *mill;
};

struct context {
    pthread_t thread;
    struct desk *desk;
};

static int desk_open(void **thread, void *user)
{
    struct desk *desk = user;
    struct context *context = malloc(sizeof *context);
    if (!context) return 1;
    *context = (struct context){pthread_self(), desk};
    atomic_fetch_add(&desk->opened, 1);
    *thread = context;
    return 0;
}

static void desk_close(void *thread, void *user)
{
    struct context *context = thread;
    struct desk *desk = user;
    if (!pthread_equal(context->thread, pthread_self()) || context->desk != desk) atomic_fetch_add(&desk->wrong, 1);
    atomic_fetch_add(&desk->closed, 1);
    free(context);
}

static quern_verdict desk_run(quern_job *job, void *thread, void *user)
{
    const struct context *context = thread;
    struct desk *desk = user;
    if (!pthread_equal(context->thread, pthread_self()) || context->desk != desk) atomic_fetch_add(&desk->wrong, 1);
    atomic_fetch_add(&desk->runs, 1);
    return mill_grind(job, NULL, desk->mill);
}

static const quern_handler desk_handler = {.event = "*", .run = desk_run, .thread_open = desk_open, .thread_close = desk_close};

static quern_config *desk_config(struct mill *mill, struct desk *desk, const char *threads)
{
    quern_config *config = mill_config(mill, "threads", threads, NULL);
    quern_handler handler = desk_handler;
    handler.user = desk;
    config_on(config, &handler);
    return config;
}

static struct mill *desk_mill(struct scene *scene, struct desk *desk)
{
    struct mill *mill = mill_new(scene, "threads", "3", NULL);
    desk->mill = mill;
    quern_handler handler = desk_handler;
    handler.user = desk;
    mill_on(mill, &handler);
    mill_start(mill);
    return mill;
}

static void idle_threads_close_what_the_old_handlers_have_opened(void **state)
{
    struct scene *scene = *state;
    struct desk desks[2] = {{0}, {0}};
    struct mill *mill = desk_mill(scene, &desks[0]);
    desks[1].mill = mill;
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 3);
    wait_for(mill->inside == 3);
    assert_int_equal(desks[0].opened, 3);
    mill_reloads(mill, desk_config(mill, &desks[1], "3"));
    stays(desks[0].closed == 0, 50); /* their jobs run still */
    atomic_store(&mill->is_shut, false);
    wait_for(desks[0].closed == 3); /* without a next job */
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    scene_publish(scene, 3, 3);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 6);
    assert_int_equal(desks[1].runs, 3);
    mill_reloads(mill, desk_config(mill, &desks[0], "3"));
    wait_for(desks[1].closed == desks[1].opened); /* they were idle, and are woken for it */
    mill_stop(mill);
    assert_int_equal(desks[0].wrong + desks[1].wrong, 0);
}

static void many_reloads_under_load_lose_and_double_nothing(void **state)
{
    enum { ROUNDS = 100, EACH = 40, JOBS = ROUNDS * EACH, DESKS = 5 };
    static const char *const threads[] = {"1", "4", "2", "8"};
    struct scene *scene = *state;
    struct desk desks[DESKS] = {{0}};
    struct mill *mill = desk_mill(scene, &desks[0]);
    for (int i = 0; i < DESKS; i++) desks[i].mill = mill;
    for (int round = 0; round < ROUNDS; round++) {
        scene_publish(scene, round * EACH, EACH);
        for (int i = 0; i < 5; i++)
            mill_reloads(mill, desk_config(mill, &desks[(round + i) % DESKS], threads[(round + i) % 4]));
    }
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
    for (int i = 0; i < DESKS; i++) {
        assert_int_equal(desks[i].opened, desks[i].closed);
        assert_int_equal(desks[i].wrong, 0);
    }
}

struct turn {
    struct mill *mill;
    quern_config *config;
    _Atomic int failed;
};

static void *reload_often(void *given)
{
    struct turn *turn = given;
    for (int i = 0; i < 50; i++)
        if (quern_pool_reload(turn->mill->pool, turn->config, NULL)) atomic_fetch_add(&turn->failed, 1);
    return NULL;
}

static void reloads_on_several_threads_take_turns(void **state)
{
    enum { HOSTS = 3 };
    struct scene *scene = *state;
    struct desk desks[HOSTS + 1] = {{0}};
    struct mill *mill = desk_mill(scene, &desks[0]);
    struct turn turns[HOSTS] = {{0}};
    pthread_t threads[HOSTS];
    scene_publish(scene, 0, 1000);
    for (int i = 0; i < HOSTS; i++) {
        desks[i + 1].mill = mill;
        turns[i].mill = mill;
        turns[i].config = desk_config(mill, &desks[i + 1], i ? "2" : "4");
        assert_int_equal(pthread_create(&threads[i], NULL, reload_often, &turns[i]), 0);
    }
    for (int i = 0; i < HOSTS; i++) pthread_join(threads[i], NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 1000);
    assert_true(mill_has_seen_once(mill, 0, 1000));
    mill_stop(mill);
    for (int i = 0; i < HOSTS; i++) {
        assert_int_equal(turns[i].failed, 0);
        assert_int_equal(desks[i + 1].opened, desks[i + 1].closed);
        quern_config_free(turns[i].config);
    }
}

static quern_verdict reload_from_within(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    (void)job;
    atomic_store(&mill->verdict, quern_pool_reload(mill->pool, mill->config, NULL));
    atomic_fetch_add(&mill->ended, 1);
    return QUERN_DONE;
}

static void a_handler_may_reload_its_own_pool(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = reload_from_within});
    mill_start(mill);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    assert_int_equal(mill->verdict, QUERN_OK);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(idle_threads_close_what_the_old_handlers_have_opened),
        SCENE(many_reloads_under_load_lose_and_double_nothing),
        SCENE(reloads_on_several_threads_take_turns),
        SCENE(a_handler_may_reload_its_own_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
