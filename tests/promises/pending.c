/* SPDX-License-Identifier: MIT */

/* promises/pending: a job whose handler has returned QUERN_PENDING is finished by its ticket, once, by any thread. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"

static struct mill *pending(struct scene *scene, const char *key, const char *value)
{
    struct mill *mill = mill_new(scene, key, value, NULL);
    mill->verdict = QUERN_PENDING;
    return mill_started(mill);
}

/* The ticket of job number, whose handler has returned. */
static uint64_t ticket_of(struct scene *scene, struct mill *mill, int number)
{
    scene_publish(scene, number, 1);
    wait_for(mill->ended == number + 1);
    return atomic_load(&mill->ticket);
}

struct finish {
    quern_pool *pool;
    uint64_t ticket;
    quern_verdict verdict;
    int code;
};

static void *finish(void *given)
{
    struct finish *it = given;
    it->code = quern_pool_finish(it->pool, it->ticket, it->verdict, it->verdict == QUERN_DONE ? NULL : "as told by ticket");
    return NULL;
}

static int finish_elsewhere(struct mill *mill, uint64_t ticket, quern_verdict verdict)
{
    pthread_t thread;
    struct finish it = {mill->pool, ticket, verdict, -1};
    assert_int_equal(pthread_create(&thread, NULL, finish, &it), 0);
    pthread_join(thread, NULL);
    return it.code;
}

static void a_pending_job_is_finished_by_its_ticket_from_another_thread(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = pending(scene, "threads", "1");
    uint64_t ticket = ticket_of(scene, mill, 0);
    stays(redis_pending(&scene->redis, "jobs", "g") == 1 && mill_stat(mill, "jobs", "done") == 0, 50);
    assert_int_equal(finish_elsewhere(mill, ticket, QUERN_DONE), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
}

static void pending_jobs_do_not_hold_their_threads(void **state)
{
    enum { JOBS = 50 };
    struct scene *scene = *state;
    uint64_t tickets[JOBS];
    struct mill *mill = pending(scene, "threads", "1");
    for (int i = 0; i < JOBS; i++) tickets[i] = ticket_of(scene, mill, i);
    assert_int_equal(mill_stat(mill, "jobs", "held"), JOBS);
    for (int i = JOBS; i--;) assert_int_equal(quern_pool_finish(mill->pool, tickets[i], QUERN_DONE, NULL), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    mill_stop(mill);
}

static void a_second_finish_is_refused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = pending(scene, "threads", "1");
    uint64_t ticket = ticket_of(scene, mill, 0);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_OK);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_E_GONE);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DEAD, NULL), QUERN_E_GONE);
    mill_stop(mill);
}

static void a_ticket_of_another_generation_or_of_nothing_is_refused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = pending(scene, "prefetch_max", "1");
    uint64_t old[400];
    for (int i = 0; i < 400; i++) { /* more jobs than there are slots: each slot has had an older job */
        old[i] = ticket_of(scene, mill, i);
        assert_int_equal(quern_pool_finish(mill->pool, old[i], QUERN_DONE, NULL), QUERN_OK);
        wait_for(mill_stat(mill, "jobs", "held") == 0);
    }
    uint64_t now = ticket_of(scene, mill, 400);
    for (int i = 0; i < 400; i++) assert_int_equal(quern_pool_finish(mill->pool, old[i], QUERN_DONE, NULL), QUERN_E_GONE);
    assert_int_equal(quern_pool_finish(mill->pool, 0, QUERN_DONE, NULL), QUERN_E_GONE);
    assert_int_equal(quern_pool_finish(mill->pool, UINT64_MAX, QUERN_DONE, NULL), QUERN_E_GONE);
    assert_int_equal(quern_pool_finish(mill->pool, now, QUERN_PENDING, NULL), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_finish(mill->pool, now, QUERN_DONE, NULL), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 401);
    mill_stop(mill);
}

static void verdicts_by_ticket_count_like_those_of_a_handler(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = pending(scene, "threads", "1");
    assert_int_equal(finish_elsewhere(mill, ticket_of(scene, mill, 0), QUERN_RETRY), QUERN_OK);
    assert_int_equal(finish_elsewhere(mill, ticket_of(scene, mill, 1), QUERN_DEAD), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "retry") == 1 && mill_stat(mill, "jobs", "dead") == 1);
    wait_for(mill_lines(mill, "as told by ticket") == 2);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
}

/* ── finished before its handler has returned ────────────────────────────────────────────────────────────────────── */

static quern_verdict finish_inside(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    int by_hand = atoi(quern_job_data(job).at) % 2;
    (void)thread;
    while (atomic_load(&mill->is_shut)) wait_breathe(); /* until mill->pool is there */
    struct finish it = {mill->pool, quern_job_ticket(job), QUERN_DONE, -1};
    pthread_t other;
    if (by_hand)
        finish(&it);
    else if (!pthread_create(&other, NULL, finish, &it))
        pthread_join(other, NULL);
    atomic_fetch_add(it.code == QUERN_OK ? &mill->ended : &mill->inside, 1);
    int again = quern_pool_finish(mill->pool, it.ticket, QUERN_DEAD, NULL);
    atomic_fetch_add(again == QUERN_E_GONE ? &mill->started : &mill->inside, 1);
    burn_us(100);
    return QUERN_PENDING;
}

static void a_job_may_be_finished_before_its_handler_has_returned(void **state)
{
    enum { JOBS = 300 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "4", NULL);
    mill->is_shut = true;
    mill_on(mill, &(quern_handler){.event = "*", .run = finish_inside});
    mill_start(mill);
    atomic_store(&mill->is_shut, false);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_int_equal(mill->ended, JOBS);
    assert_int_equal(mill->started, JOBS);
    assert_int_equal(mill->inside, 0);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
}

static void a_pool_waits_for_its_pending_jobs(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = pending(scene, "threads", "1");
    uint64_t ticket = ticket_of(scene, mill, 0);
    quern_pool_stop(mill->pool);
    assert_int_equal(quern_pool_join(mill->pool, 100, &mill->error), QUERN_E_BUSY);
    assert_int_equal(quern_pool_free(mill->pool), QUERN_E_BUSY);
    assert_int_equal(finish_elsewhere(mill, ticket, QUERN_DONE), QUERN_OK);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
}

/* What is held is not about to be free: the last slots are for others. */
static void many_pending_jobs_leave_the_free_slots_to_others(void **state)
{
    enum { HELD = 140 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "2", "prefetch_max", "64", NULL); /* 192 slots */
    mill->verdict = QUERN_PENDING;
    mill_started(mill);
    uint64_t tickets[HELD];
    for (int i = 0; i < HELD; i++) tickets[i] = ticket_of(scene, mill, i);
    assert_int_equal(mill_stat(mill, "jobs", "held"), HELD);
    for (int i = 0; i < HELD; i++) assert_int_equal(quern_pool_finish(mill->pool, tickets[i], QUERN_DONE, NULL), QUERN_OK);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(many_pending_jobs_leave_the_free_slots_to_others),
        SCENE(a_pending_job_is_finished_by_its_ticket_from_another_thread),
        SCENE(pending_jobs_do_not_hold_their_threads),
        SCENE(a_second_finish_is_refused),
        SCENE(a_ticket_of_another_generation_or_of_nothing_is_refused),
        SCENE(verdicts_by_ticket_count_like_those_of_a_handler),
        SCENE(a_job_may_be_finished_before_its_handler_has_returned),
        SCENE(a_pool_waits_for_its_pending_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
