/* SPDX-License-Identifier: MIT */

/* promises/pause: a paused pool starts nothing and loses nothing, however long it is paused. */
#include "support/mill.h"

enum { LEASE_MS = 300, MANY_LEASES_MS = 6 * LEASE_MS };
#define SHORT_LEASE "lease_ms", "300", "reap_ms", "50"

static long long deliveries_of_all(struct scene *scene)
{
    long long deliveries = 0;
    const struct answer *rows = redis_ask(&scene->redis, "XPENDING", "jobs", "g", "-", "+", "1000");
    for (size_t i = 0; i < rows->count; i++) deliveries += answer_at(answer_at(rows, i), 3)->number;
    return deliveries;
}

/* A pool that runs two jobs, has fetched more, and is paused; nobody else has had a chance to take any of them. */
static struct mill *paused_mill(struct scene *scene, int jobs)
{
    struct mill *mill = mill_run(scene, SHORT_LEASE, "prefetch_ms", "60000", "threads", "2", NULL);
    scene_publish(scene, 0, 20);
    wait_for(mill_stat(mill, "jobs", "done") == 20); /* how long they take is known now: it fetches in advance */
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 20, jobs - 20);
    wait_for(mill->inside == 2 && mill_stat(mill, "jobs", "held") == jobs - 20);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    assert_int_equal(mill_stat(mill, NULL, "paused"), 1);
    return mill;
}

static void a_pause_of_many_leases_redelivers_nothing_and_each_job_runs_once(void **state)
{
    enum { JOBS = 60, HELD = JOBS - 20 };
    struct scene *scene = *state;
    struct mill *mill = paused_mill(scene, JOBS);
    struct mill *other = mill_run(scene, SHORT_LEASE, NULL);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 22); /* the running ones end, and are settled */
    stays(mill->started == 22 && other->started == 0, MANY_LEASES_MS);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), HELD - 2);
    assert_int_equal(deliveries_of_all(scene), HELD - 2);
    assert_int_equal(mill_stat(mill, "jobs", "waiting"), HELD - 2);
    assert_true(mill_stat(mill, "leases", "renewed") > 2 * HELD);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_int_equal(mill_stat(mill, NULL, "paused"), 0);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    mill_stop(mill);
    mill_stop(other);
    assert_int_equal(other->started, 0);
}

/* What waits for a thread is given back after a while; what waits for the end of a pause is not. */
static void a_pause_is_no_reason_to_give_jobs_back(void **state)
{
    enum { STALE_MS = 1000 }; /* at least, by the dispatcher */
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, SHORT_LEASE, "prefetch_ms", "200", "threads", "1", NULL);
    atomic_store(&mill->work_us, 1000);
    scene_publish(scene, 0, 20);
    wait_for(mill_stat(mill, "jobs", "done") == 20);
    atomic_store(&mill->work_us, 0);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 20, 6);
    wait_for(mill->inside == 1 && mill_stat(mill, "jobs", "waiting") == 5);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    stays(mill_stat(mill, "jobs", "waiting") == 5, 2 * STALE_MS);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK); /* its only thread is still busy */
    stays(mill_stat(mill, "jobs", "waiting") == 5, STALE_MS / 2);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 26);
    assert_int_equal(mill_stat(mill, "jobs", "released"), 0);
    assert_true(mill_has_seen_once(mill, 0, 26));
    mill_stop(mill);
}

static void a_paused_pool_leaves_new_jobs_to_others(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, SHORT_LEASE, "block_ms", "20", NULL), *other = NULL;
    wait_for(mill_stat(mill, "redis", "reads") > 2);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    long long reads = mill_stat(mill, "redis", "reads"); /* the last of them may still be under way */
    wait_for(mill_stat(mill, "redis", "last_fetch_ms") > 200);
    scene_publish(scene, 0, 10);
    stays(mill_stat(mill, "jobs", "fetched") == 0 && mill_stat(mill, "redis", "reads") <= reads + 1, 300);
    other = mill_run(scene, SHORT_LEASE, NULL);
    wait_for(other->ended == 10);
    assert_int_equal(quern_pool_pause(other->pool), QUERN_OK);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    wait_for(mill_stat(other, "redis", "last_fetch_ms") > 200); /* what it had asked for is answered */
    scene_publish(scene, 10, 10);
    wait_for(mill->ended + other->started == 20);
    mill_stop(mill);
    mill_stop(other);
    assert_true(mill_has_seen_once(mill, 10, 10));
}

static void a_stop_while_paused_releases_what_waits_and_finishes_what_runs(void **state)
{
    enum { JOBS = 60 };
    struct scene *scene = *state;
    struct mill *mill = paused_mill(scene, JOBS);
    quern_pool_stop(mill->pool);
    wait_for(mill_stat(mill, "jobs", "released") == JOBS - 22);
    assert_int_equal(mill->inside, 2);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_E_GONE);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_E_GONE);
    struct mill *other = mill_run(scene, SHORT_LEASE, NULL);
    wait_for(other->ended == JOBS - 22); /* at once, and at no cost */
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    mill_stop(other);
    for (int i = 0; i < JOBS; i++) assert_int_equal(mill->seen[i] + other->seen[i], 1);
    assert_int_equal(mill->ended, 22);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

static void the_number_of_threads_changes_while_paused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = paused_mill(scene, 60);
    assert_int_equal(quern_pool_set_threads(mill->pool, 6, &mill->error), QUERN_OK);
    stays(mill->inside == 2, 100); /* the new ones start nothing either */
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    wait_for(mill->inside == 6);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    assert_int_equal(quern_pool_set_threads(mill->pool, 1, &mill->error), QUERN_OK);
    atomic_store(&mill->is_shut, false);
    wait_for(mill->inside == 0);
    atomic_store(&mill->is_shut, true);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    wait_for(mill->inside == 1);
    stays(mill->inside == 1, 100);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 60);
    assert_true(mill_has_seen_once(mill, 0, 60));
    mill_stop(mill);
}

static void a_pool_that_stops_when_empty_does_not_stop_while_paused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, SHORT_LEASE, "until_empty", "true", "threads", "2", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 1);
    mill_started(mill);
    wait_for(mill->inside == 1);
    long long reads = mill_stat(mill, "redis", "reads");
    wait_for(mill_stat(mill, "redis", "reads") > reads); /* it has asked for more, and has just begun to wait for it */
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    stays(!mill_stat(mill, NULL, "stopping"), 500);
    scene_publish(scene, 1, 5);
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK); /* nobody else has asked it to stop */
    assert_true(mill_has_seen_once(mill, 0, 6));
}

static void pauses_and_resumes_under_load_lose_and_double_nothing(void **state)
{
    enum { JOBS = 4000, ROUNDS = 200 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, SHORT_LEASE, "threads", "4", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        scene_publish(scene, round * JOBS / ROUNDS, JOBS / ROUNDS);
        assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
        assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
        if (round % 20 == 0) wait_for(mill->inside == 0);
        assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
        assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
        if (round % 10 == 0) wait_for(mill->ended == (round + 1) * JOBS / ROUNDS); /* no wake was lost */
    }
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    mill_stop(mill);
}

static quern_verdict pause_from_within(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    (void)job;
    atomic_store(&mill->verdict, quern_pool_pause(mill->pool));
    atomic_fetch_add(&mill->ended, 1);
    return QUERN_DONE;
}

static void a_handler_may_pause_its_own_pool(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "log_level", "debug", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = pause_from_within});
    mill_start(mill);
    scene_publish(scene, 0, 3);
    for (int job = 1; job <= 3; job++) {
        wait_for(mill_stat(mill, "jobs", "done") == job);
        assert_int_equal(mill->verdict, QUERN_OK);
        stays(mill->ended == job, 100);
        assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    }
    wait_for(mill_lines(mill, "event=paused") && mill_lines(mill, "event=resumed"));
    mill_stop(mill);
    assert_int_equal(quern_pool_pause(NULL), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_resume(NULL), QUERN_E_ARGUMENT);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_pause_of_many_leases_redelivers_nothing_and_each_job_runs_once),
        SCENE(a_pause_is_no_reason_to_give_jobs_back),
        SCENE(a_paused_pool_leaves_new_jobs_to_others),
        SCENE(a_stop_while_paused_releases_what_waits_and_finishes_what_runs),
        SCENE(the_number_of_threads_changes_while_paused),
        SCENE(a_pool_that_stops_when_empty_does_not_stop_while_paused),
        SCENE(pauses_and_resumes_under_load_lose_and_double_nothing),
        SCENE(a_handler_may_pause_its_own_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
