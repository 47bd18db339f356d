/* SPDX-License-Identifier: MIT */

/* promises/stop: a stop is graceful and bounded, and hands back at once what was not begun. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"
#include "support/proxy.h"

/* A mill whose threads stand still while it holds more jobs that have not begun. */
static struct mill *stuck(struct scene *scene, int jobs)
{
    struct mill *mill = mill_run(scene, "threads", "2", "prefetch_ms", "60000", "lease_ms", "60000", NULL);
    scene_publish(scene, 0, 200); /* first, so that it knows its jobs to be short, and fetches ahead */
    wait_for(mill_stat(mill, "jobs", "done") == 200);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 200, jobs);
    wait_for(mill->inside == 2 && mill_stat(mill, "jobs", "waiting") >= jobs / 2);
    return mill;
}

static void what_was_not_begun_is_run_elsewhere_at_once_though_the_lease_is_long(void **state)
{
    enum { JOBS = 500 };
    struct scene *scene = *state;
    struct mill *one = stuck(scene, JOBS), *two = mill_run(scene, "lease_ms", "60000", NULL);
    quern_pool_stop(one->pool);
    wait_for(two->ended == JOBS - 2);
    assert_int_equal(one->inside, 2);
    assert_int_equal(one->ended, 200);
    atomic_store(&one->is_shut, false);
    mill_stop(one);
    wait_for(mill_stat(two, "jobs", "done") == JOBS - 2);
    for (int i = 0; i < JOBS; i++) assert_int_equal(one->seen[200 + i] + two->seen[200 + i], 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(redis_pending(&scene->redis, "jobs:g:retry", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
    mill_stop(two);
}

static void what_goes_back_says_where_it_came_from(void **state)
{
    enum { JOBS = 100 };
    struct scene *scene = *state;
    struct mill *mill = stuck(scene, JOBS);
    quern_pool_stop(mill->pool);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:retry") >= JOBS / 2 && mill_stat(mill, "jobs", "held") == 2);
    long long back = mill_stat(mill, "jobs", "released");
    const struct answer *list = redis_ask(&scene->redis, "XRANGE", "jobs:g:retry", "-", "+");
    assert_int_equal(list->count, back);
    for (size_t i = 0; i < list->count; i++) {
        const struct answer *fields = answer_at(answer_at(list, i), 1);
        assert_non_null(strchr(answer_of(fields, "quern_entry")->text, '-'));
        assert_true(atoll(answer_of(fields, "quern_first_seen")->text) > 1000000000000);
        assert_true(answer_is(answer_of(fields, "quern_deliveries"), "0"));
        assert_true(answer_is(answer_of(fields, "event"), "job"));
        assert_true(answer_is(answer_of(fields, "retries"), "0"));
        assert_int_equal(answer_of(fields, "id")->len, 36);
        assert_int_equal(fields->count, 2 * 8);
    }
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 2);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_true(mill_has_seen_once(mill, 200, 2));
}

static void a_blocked_read_does_not_hold_up_a_stop(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "block_ms", "60000", "lease_ms", "3600000", NULL);
    wait_for(mill_stat(mill, "redis", "reads") >= 1);
    int64_t from_ms = wait_now_ms();
    mill_stop(mill);
    assert_in_range(wait_now_ms() - from_ms, 0, SOON_MS);
}

static void a_stop_may_be_asked_for_again_and_again(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = stuck(scene, 10);
    for (int i = 0; i < 3; i++) quern_pool_stop(mill->pool);
    atomic_store(&mill->is_shut, false);
    wait_for(mill->told[QUERN_NOTICE_STOPPED] == 1);
    quern_pool_stop(mill->pool);
    mill_stop(mill);
    assert_int_equal(mill->told[QUERN_NOTICE_STOPPED], 1);
    quern_pool_stop(NULL);
}

/* ── from inside ─────────────────────────────────────────────────────────────────────────────────────────────────── */

struct inside {
    quern_pool *_Atomic pool;
    _Atomic int join_code, free_code, told;
};

static void try_all(struct inside *inside)
{
    quern_pool *pool;
    while (!(pool = atomic_load(&inside->pool))) wait_breathe();
    quern_pool_stop(pool);
    atomic_store(&inside->join_code, quern_pool_join(pool, 0, NULL));
    atomic_store(&inside->free_code, quern_pool_free(pool));
    atomic_fetch_add(&inside->told, 1);
}

static quern_verdict stop_inside(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread;
    try_all(user);
    return QUERN_DONE;
}

static void stop_on_notice(void *user, const quern_notice *notice)
{
    if (notice->what == QUERN_NOTICE_JOB) try_all(user);
}

static void stop_on_line(void *user, int level, const char *line)
{
    (void)level;
    if (strstr(line, "event=started")) try_all(user);
}

static void is_stopped_from_inside(struct mill *mill, struct inside *inside)
{
    mill_start(mill);
    atomic_store(&inside->pool, mill->pool);
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK);
    assert_int_equal(inside->told, 1);
    assert_int_equal(inside->join_code, QUERN_E_ARGUMENT);
    assert_int_equal(inside->free_code, QUERN_E_BUSY);
    mill_stop(mill);
}

static void a_handler_may_stop_its_pool_but_not_join_it(void **state)
{
    struct scene *scene = *state;
    struct inside inside = {0};
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = stop_inside, .user = &inside});
    scene_publish(scene, 0, 1);
    is_stopped_from_inside(mill, &inside);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

static void callbacks_may_stop_their_pool_but_not_join_it(void **state)
{
    struct scene *scene = *state;
    struct inside by_notice = {0}, by_line = {0};
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    quern_config_observe(mill->config, QUERN_NOTICE_ALL, stop_on_notice, &by_notice);
    scene_publish(scene, 0, 1);
    is_stopped_from_inside(mill, &by_notice);
    quern_config_observe(mill->config, 0, NULL, NULL);
    quern_config_log(mill->config, stop_on_line, &by_line);
    is_stopped_from_inside(mill, &by_line);
}

static void a_handler_that_does_not_return_is_named_and_the_pool_is_not_freed(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = stuck(scene, 10);
    quern_pool_stop(mill->pool);
    assert_int_equal(quern_pool_join(mill->pool, 100, &mill->error), QUERN_E_BUSY);
    assert_int_equal(mill->error.code, QUERN_E_BUSY);
    if (!strstr(mill->error.text, "2 handlers")) fail_msg("%s", mill->error.text);
    assert_int_equal(quern_pool_join(mill->pool, 0, &mill->error), QUERN_E_BUSY);
    assert_int_equal(quern_pool_free(mill->pool), QUERN_E_BUSY);
    assert_int_equal(mill_stat(mill, "jobs", "running"), 2);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

static quern_verdict until_cancelled(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    atomic_fetch_add(&mill->started, 1);
    while (!quern_job_cancelled(job)) wait_breathe();
    if (!quern_job_lost(job)) atomic_fetch_add(&mill->ended, 1);
    return QUERN_DONE;
}

static void a_running_job_is_told_when_the_drain_is_over(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "drain_ms", "200", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = until_cancelled});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    stays(mill->ended == 0, 50);
    int64_t from_ms = wait_now_ms();
    mill_stop(mill);
    assert_in_range(wait_now_ms() - from_ms, 190, SOON_MS);
    assert_int_equal(mill->ended, 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

static void a_stop_ends_in_time_when_redis_is_gone(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "drain_ms", "500", NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 10, 2);
    wait_for(mill->inside == 2);
    redis_kill(&scene->redis);
    atomic_store(&mill->is_shut, false);
    wait_for(mill->ended == 12);
    int64_t from_ms = wait_now_ms();
    mill_stop(mill);
    assert_in_range(wait_now_ms() - from_ms, 0, SOON_MS);
}

static quern_verdict gives_up_when_cancelled(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    atomic_fetch_add(&mill->inside, 1);
    while (!quern_job_cancelled(job)) wait_breathe();
    return QUERN_RETRY;
}

/* With no retries at all, one failure would be its death. */
static void a_job_that_ends_because_the_drain_is_over_goes_back_at_no_cost(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "drain_ms", "100", "retry_limit", "0", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = gives_up_when_cancelled});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:failed", "jobs:g:delayed"), 0);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill = mill_run(scene, NULL);
    wait_for(mill_has_seen_once(mill, 0, 1));
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
}

/* ── under a fault ───────────────────────────────────────────────────────────────────────────────────────────────── */

/* Redis goes while jobs that ended are still to be told to it. */
static void what_a_drain_could_not_tell_is_counted_and_runs_again(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "drain_ms", "500", "lease_ms", "1000", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    quern_pool_stop(mill->pool);
    redis_kill(&scene->redis);
    atomic_store(&mill->is_shut, false);
    int64_t from_ms = wait_now_ms();
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK);
    assert_in_range(wait_now_ms() - from_ms, 0, SOON_MS);
    assert_int_equal(mill_stat(mill, "jobs", "unsettled"), 2);
    assert_int_equal(mill_stat(mill, "jobs", "left_pending"), 2);
    assert_int_equal(mill_lines(mill, "event=stopped done=0 retry=0 dead=0 released=0 left_pending=2"), 1);
    mill_stop(mill);
    redis_again(&scene->redis);
    mill = mill_run(scene, "lease_ms", "1000", "reap_ms", "50", NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 2 && redis_pending(&scene->redis, "jobs", "g") == 0);
    mill_stop(mill);
}

/* Its server accepts, and says nothing any more. */
static void a_stop_ends_in_time_when_redis_says_nothing(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    assert_non_null(proxy);
    struct mill *mill = mill_run(scene, "redis", proxy_url(proxy), "drain_ms", "500", "block_ms", "100", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    proxy_fault(proxy, &(struct proxy_fault){.name = "", .kind = PROXY_SILENT, .times = INT32_MAX});
    quern_pool_stop(mill->pool);
    atomic_store(&mill->is_shut, false);
    int64_t from_ms = wait_now_ms();
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK);
    assert_in_range(wait_now_ms() - from_ms, 0, SOON_MS);
    assert_int_equal(mill_stat(mill, "jobs", "left_pending") + mill_stat(mill, "jobs", "done"), 2);
    mill_stop(mill);
    proxy_close(proxy);
}

static quern_verdict defers(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    atomic_store(&mill->ticket, quern_job_ticket(job));
    atomic_fetch_add(&mill->started, 1);
    return QUERN_PENDING;
}

/* Nobody can end it from outside: the join says so, in its own time, as often as it is asked. */
static void a_stop_names_jobs_whose_ticket_nobody_finishes(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "drain_ms", "100", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = defers});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1 && mill_stat(mill, "jobs", "running") == 0);
    quern_pool_stop(mill->pool);
    for (int i = 0; i < 2; i++) {
        int64_t from_ms = wait_now_ms();
        assert_int_equal(quern_pool_join(mill->pool, 300, &mill->error), QUERN_E_BUSY);
        assert_in_range(wait_now_ms() - from_ms, 290, SOON_MS);
        if (!strstr(mill->error.text, "0 handlers, 1 jobs held")) fail_msg("%s", mill->error.text);
    }
    wait_for(mill_lines(mill, "event=still_running jobs=1") == 1);
    assert_int_equal(quern_pool_free(mill->pool), QUERN_E_BUSY);
    assert_int_equal(quern_pool_finish(mill->pool, mill->ticket, QUERN_DONE, NULL), QUERN_OK);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

/* ── from several sides at once ──────────────────────────────────────────────────────────────────────────────────── */

enum { SIDES = 8 };

struct side {
    quern_pool *pool;
    pthread_barrier_t *together;
    bool stops;
    int code, again;
};

static void *stop_and_join(void *given)
{
    struct side *side = given;
    pthread_barrier_wait(side->together);
    if (side->stops) quern_pool_stop(side->pool);
    side->code = quern_pool_join(side->pool, PATIENCE_MS, NULL);
    side->again = quern_pool_join(side->pool, 0, NULL);
    return NULL;
}

static void many_may_stop_and_join_at_once(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = stuck(scene, 100);
    struct side sides[SIDES];
    pthread_t threads[SIDES];
    pthread_barrier_t together;
    pthread_barrier_init(&together, NULL, SIDES + 1);
    for (int i = 0; i < SIDES; i++) {
        sides[i] = (struct side){.pool = mill->pool, .together = &together, .stops = i % 2 == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, stop_and_join, &sides[i]), 0);
    }
    pthread_barrier_wait(&together);
    atomic_store(&mill->is_shut, false);
    for (int i = 0; i < SIDES; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SIDES; i++) assert_true(sides[i].code == QUERN_OK && sides[i].again == QUERN_OK);
    pthread_barrier_destroy(&together);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    wait_for(mill->told[QUERN_NOTICE_STOPPED] == 1);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define KEPT(test)  cmocka_unit_test_setup_teardown(test, scene_open_aof, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(what_was_not_begun_is_run_elsewhere_at_once_though_the_lease_is_long),
        SCENE(what_goes_back_says_where_it_came_from),
        SCENE(a_blocked_read_does_not_hold_up_a_stop),
        SCENE(a_stop_may_be_asked_for_again_and_again),
        SCENE(a_handler_may_stop_its_pool_but_not_join_it),
        SCENE(callbacks_may_stop_their_pool_but_not_join_it),
        SCENE(a_handler_that_does_not_return_is_named_and_the_pool_is_not_freed),
        SCENE(a_running_job_is_told_when_the_drain_is_over),
        SCENE(a_stop_ends_in_time_when_redis_is_gone),
        SCENE(a_job_that_ends_because_the_drain_is_over_goes_back_at_no_cost),
        KEPT(what_a_drain_could_not_tell_is_counted_and_runs_again),
        SCENE(a_stop_ends_in_time_when_redis_says_nothing),
        SCENE(a_stop_names_jobs_whose_ticket_nobody_finishes),
        SCENE(many_may_stop_and_join_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
