/* SPDX-License-Identifier: MIT */

/* promises/pull: a host with threads of its own takes jobs one by one, and ends them by their tickets. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"

static struct mill *source(struct mill *mill)
{
    mill_on(mill, &(quern_handler){.event = "*", .run = quern_pulled});
    mill_start(mill);
    return mill;
}

static int number_of(const quern_job *job)
{
    return atoi(quern_job_data(job).at);
}

static quern_job *pulled(struct mill *mill)
{
    quern_job *job = NULL;
    if (quern_pull(mill->pool, PATIENCE_MS, &job, &mill->error)) fail_msg("%s", mill->error.text);
    return job;
}

static void a_job_is_pulled_and_ended_by_its_ticket(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "1", "completed_max", "10", NULL));
    scene_publish(scene, 7, 1);
    quern_job *job = pulled(mill);
    assert_int_equal(number_of(job), 7);
    assert_true(quern_job_event(job).len == 3 && !memcmp(quern_job_event(job).at, "job", 3));
    assert_int_equal(quern_job_deliveries(job), 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 1);
    assert_int_equal(quern_job_result(job, "fine", 4), QUERN_OK);
    uint64_t ticket = quern_job_ticket(job);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && redis_pending(&scene->redis, "jobs", "g") == 0);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_E_GONE);
    const struct answer *log = answer_at(answer_at(redis_ask(&scene->redis, "XRANGE", "jobs:g:completed", "-", "+"), 0), 1);
    assert_true(answer_is(answer_of(log, "result"), "fine"));
    mill_stop(mill);
}

static void a_pull_waits_no_longer_than_it_may(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, NULL));
    quern_job *job = NULL;
    assert_int_equal(quern_pull(mill->pool, 0, &job, &mill->error), QUERN_E_TIMEOUT);
    int64_t from_ms = wait_now_ms();
    assert_int_equal(quern_pull(mill->pool, 60, &job, &mill->error), QUERN_E_TIMEOUT);
    assert_in_range(wait_now_ms() - from_ms, 60, PATIENCE_MS);
    assert_string_equal(mill->error.text, "no job came within 60 ms");
    assert_null(job);
    assert_int_equal(quern_pull(NULL, 0, &job, &mill->error), QUERN_E_ARGUMENT);
    scene_publish(scene, 1, 1); /* those that gave up have left nothing behind */
    job = pulled(mill);
    assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_DONE, NULL), QUERN_OK);
    mill_stop(mill);
}

static void a_failed_job_is_tried_again_and_then_dead(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "retry_limit", "1", "retry_base_ms", "0", NULL));
    scene_publish(scene, 3, 1);
    for (unsigned round = 0; round < 2; round++) {
        quern_job *job = pulled(mill);
        assert_int_equal(quern_job_retries(job), round);
        assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_RETRY, "not this time"), QUERN_OK);
    }
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    mill_stop(mill);
}

/* As many are held as there are threads; the lease of one that is held long is renewed. */
static void no_more_is_held_than_there_are_threads_and_what_is_held_keeps_its_lease(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "2", "lease_ms", "300", "reap_ms", "50", "prefetch_ms", "0", NULL));
    scene_publish(scene, 0, 50);
    quern_job *one = pulled(mill), *two = pulled(mill), *three = pulled(mill);
    wait_for(mill_stat(mill, "leases", "renewed") >= 20);
    assert_in_range(mill_stat(mill, "jobs", "held"), 3,
                    3 + 2 + 2); /* ours, those that are offered, and what one read brings more */
    assert_false(quern_job_lost(one) || quern_job_lost(two) || quern_job_lost(three));
    assert_int_equal(mill_stat(mill, "upkeep", "reclaimed"), 0);
    quern_job *jobs[] = {one, two, three};
    for (int i = 0; i < 3; i++)
        assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(jobs[i]), QUERN_DONE, NULL), QUERN_OK);
    mill_stop(mill);
}

/* ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void what_nobody_pulls_goes_back_at_a_stop_at_no_cost(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "2", NULL));
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "held") >= 2);
    mill_stop(mill);
    struct mill *other = mill_run(scene, NULL);
    wait_for(mill_has_seen_once(other, 0, 10));
    wait_for(mill_stat(other, "jobs", "done") == 10);
    assert_int_equal(mill_stat(other, "jobs", "retry"), 0);
    mill_stop(other);
}

struct puller {
    pthread_t thread;
    struct mill *mill;
    _Atomic bool is_in;
    int code, jobs;
};

static void *pull_all(void *given)
{
    struct puller *puller = given;
    quern_job *job;
    atomic_store(&puller->is_in, true);
    while (!(puller->code = quern_pull(puller->mill->pool, -1, &job, NULL))) {
        atomic_fetch_add(&puller->mill->seen[number_of(job)], 1);
        puller->jobs++;
        quern_pool_finish(puller->mill->pool, quern_job_ticket(job), QUERN_DONE, NULL);
    }
    return NULL;
}

static void a_stop_ends_those_who_wait_and_waits_for_what_was_pulled(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "1", NULL));
    struct puller puller = {.mill = mill};
    scene_publish(scene, 1, 1);
    quern_job *job = pulled(mill);
    assert_int_equal(pthread_create(&puller.thread, NULL, pull_all, &puller), 0);
    wait_for(puller.is_in);
    quern_pool_stop(mill->pool);
    pthread_join(puller.thread, NULL);
    assert_int_equal(puller.code, QUERN_E_GONE);
    assert_int_equal(quern_pool_join(mill->pool, 100, &mill->error), QUERN_E_BUSY);
    assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_DONE, NULL), QUERN_OK);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

/* ── many ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void many_threads_pull_each_job_once(void **state)
{
    enum { PULLERS = 8, JOBS = 5000 };
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "4", NULL));
    struct puller pullers[PULLERS];
    for (int i = 0; i < PULLERS; i++) {
        pullers[i] = (struct puller){.mill = mill};
        assert_int_equal(pthread_create(&pullers[i].thread, NULL, pull_all, &pullers[i]), 0);
    }
    scene_publish(scene, 0, JOBS);
    wait_for(mill_has_seen(mill, 0, JOBS) && mill_stat(mill, "jobs", "held") == 0);
    quern_pool_stop(mill->pool);
    for (int i = 0; i < PULLERS; i++) pthread_join(pullers[i].thread, NULL);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    mill_stop(mill);
}

/* Times that are over just when a job comes: it is pulled by somebody, or goes back; it is never lost between the two. */
static void pulls_that_end_in_the_moment_a_job_comes_lose_none(void **state)
{
    enum { JOBS = 300 };
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "2", NULL));
    quern_job *job;
    int done = 0;
    for (int i = 0; i < JOBS; i++) scene_publish(scene, i, 1);
    for (int64_t from_ms = wait_now_ms(); done < JOBS && wait_now_ms() - from_ms < PATIENCE_MS;) {
        if (quern_pull(mill->pool, done % 2, &job, NULL)) continue;
        assert_int_equal(mill->seen[number_of(job)]++, 0);
        assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_DONE, NULL), QUERN_OK);
        done++;
    }
    assert_int_equal(done, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    mill_stop(mill);
}

static void a_paused_pool_hands_out_nothing(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "1", NULL));
    quern_job *job;
    scene_publish(scene, 0, 3);
    wait_for(mill_stat(mill, "jobs", "held") == 1 && mill_stat(mill, "jobs", "waiting") == 0);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    assert_int_equal(quern_pull(mill->pool, 100, &job, NULL), QUERN_E_TIMEOUT);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    for (int i = 0; i < 3; i++) {
        job = pulled(mill);
        assert_int_equal(quern_job_retries(job), 0);
        assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_DONE, NULL), QUERN_OK);
    }
    mill_stop(mill);
}

static void a_pulled_job_has_its_timeout_from_then_on(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "1", "timeout_ms", "400", "timeout_grace_ms", "100", "retry_base_ms",
                                        "60000", "reap_ms", "50", NULL));
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "held") == 1 && mill_stat(mill, "jobs", "waiting") == 0);
    stays(mill_stat(mill, "jobs", "timeout") == 0, 700); /* it waits for somebody */
    quern_job *job = pulled(mill);
    uint64_t ticket = quern_job_ticket(job);
    assert_in_range(quern_job_left_ms(job), 1, 400);
    wait_for(mill_stat(mill, "jobs", "timeout") == 1 && mill_stat(mill, "jobs", "retry") == 1);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_E_GONE);
    mill_stop(mill);
}

/* Who is too late ends nothing but his own: the place of his job is not given to another before he returns with it. */
static void a_late_puller_does_not_end_another_job(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "1", "timeout_ms", "100", "timeout_grace_ms", "0", "retry_base_ms",
                                        "0", "retry_limit", "0", "reap_ms", "20", NULL));
    scene_publish(scene, 0, 1);
    quern_job *late = pulled(mill);
    wait_for(mill_stat(mill, "jobs", "dead") == 1 && quern_job_lost(late));
    assert_int_equal(number_of(late), 0); /* still his to read */
    for (int i = 1; i < 200; i++) {
        scene_publish(scene, i, 1);
        quern_job *job = pulled(mill);
        assert_ptr_not_equal(job, late);
        if (i == 100) assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(late), QUERN_DONE, NULL), QUERN_E_GONE);
        assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_DONE, NULL), QUERN_OK);
        if (i == 100) break;
    }
    wait_for(mill_stat(mill, "jobs", "done") == 100 && mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
}

static quern_verdict count(quern_job *job, void *thread, void *user)
{
    (void)thread;
    atomic_fetch_add(&((struct mill *)user)->seen[number_of(job)], 1);
    return QUERN_DONE;
}

static void a_reload_takes_jobs_that_nobody_has_pulled_to_their_new_handler(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = source(mill_new(scene, "threads", "2", NULL));
    scene_publish(scene, 0, 20);
    wait_for(mill_stat(mill, "jobs", "held") >= 2);
    quern_config *next = quern_config_new();
    assert_false(
        quern_config_set(next, "redis", scene->redis.url, NULL) || quern_config_set(next, "stream", "jobs", NULL) ||
        quern_config_set(next, "group", "g", NULL) || quern_config_set(next, "threads", "2", NULL) ||
        quern_config_on(next, &(quern_handler){.size = sizeof(quern_handler), .event = "*", .run = count, .user = mill}, NULL));
    if (quern_pool_reload(mill->pool, next, &mill->error)) fail_msg("%s", mill->error.text);
    quern_config_free(next);
    wait_for(mill_has_seen_once(mill, 0, 20) && mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
}

/* It is given back, and others run; when somebody pulls again, it is taken up. */
static void a_job_that_is_to_run_alone_does_not_keep_others_waiting_for_a_puller(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "2", "reap_ms", "50", NULL);
    mill_on(mill, &(quern_handler){.event = "pulled", .run = quern_pulled});
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    redis_ask(&scene->redis, "XADD", "jobs:g:alone", "*", "id", "a", "event", "pulled", "data", "1");
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs:g:alone", "g", "0");
    mill_start(mill);
    wait_for(mill_stat(mill, "jobs", "held") == 1);
    scene_publish(scene, 0, 50);
    wait_for(mill_has_seen_once(mill, 0, 50) && mill_stat(mill, "jobs", "released") >= 1);
    assert_int_equal(redis_number(&scene->redis, "HLEN", "jobs:g:crashes"), 0); /* it was not begun */
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:alone"), 1);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_job_is_pulled_and_ended_by_its_ticket),
        SCENE(a_pull_waits_no_longer_than_it_may),
        SCENE(a_failed_job_is_tried_again_and_then_dead),
        SCENE(no_more_is_held_than_there_are_threads_and_what_is_held_keeps_its_lease),
        SCENE(what_nobody_pulls_goes_back_at_a_stop_at_no_cost),
        SCENE(a_stop_ends_those_who_wait_and_waits_for_what_was_pulled),
        SCENE(many_threads_pull_each_job_once),
        SCENE(pulls_that_end_in_the_moment_a_job_comes_lose_none),
        SCENE(a_paused_pool_hands_out_nothing),
        SCENE(a_pulled_job_has_its_timeout_from_then_on),
        SCENE(a_late_puller_does_not_end_another_job),
        SCENE(a_reload_takes_jobs_that_nobody_has_pulled_to_their_new_handler),
        SCENE(a_job_that_is_to_run_alone_does_not_keep_others_waiting_for_a_puller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
