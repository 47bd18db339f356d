/* SPDX-License-Identifier: MIT */

/* promises/timeout: a handler that takes too long is asked to end; one that does not is given up, and holds up nobody. */
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"

/* Job 0 stands still in its first attempt until the gate opens, whatever it is told; all others are quick. */
struct stubborn {
    struct mill *mill;
    _Atomic bool is_open;
    _Atomic int inside, first_saw_loss;
};

static quern_verdict stubborn_run(quern_job *job, void *thread, void *user)
{
    struct stubborn *it = user;
    int number = atoi(quern_job_data(job).at);
    (void)thread;
    if (number == 0 && quern_job_retries(job) == 0) {
        atomic_fetch_add(&it->inside, 1);
        while (!atomic_load(&it->is_open)) wait_breathe();
        atomic_store(&it->first_saw_loss, quern_job_lost(job) && quern_job_cancelled(job));
        quern_job_error(job, "said too late");
        atomic_fetch_sub(&it->inside, 1);
        return QUERN_DONE;
    }
    atomic_fetch_add(&it->mill->seen[number], 1);
    return QUERN_DONE;
}

static void open_stubborn(struct scene *scene, struct stubborn *it, const char *retry_limit, const char *threads)
{
    it->mill = mill_new(scene, "threads", threads, "timeout_ms", "50", "timeout_grace_ms", "50", "retry_limit", retry_limit,
                        "retry_base_ms", "0", "completed_max", "1000", NULL);
    mill_on(it->mill, &(quern_handler){.event = "*", .run = stubborn_run, .user = it});
    mill_start(it->mill);
}

static void a_stuck_handler_is_given_up_and_its_thread_replaced(void **state)
{
    struct scene *scene = *state;
    struct stubborn it = {0};
    open_stubborn(scene, &it, "0", "1");
    scene_publish(scene, 0, 1);
    wait_for(atomic_load(&it.inside) == 1);
    scene_publish(scene, 1, 10);
    wait_for(mill_has_seen_once(it.mill, 1, 10)); /* on another thread: the only one is stuck */
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:failed") == 1);
    wait_for(redis_pending(&scene->redis, "jobs", "g") == 0);
    const struct answer *letters = redis_ask(&scene->redis, "XRANGE", "jobs:failed", "-", "+");
    const struct answer *data = answer_of(answer_at(answer_at(letters, 0), 1), "data");
    assert_non_null(strstr(data->text, "\"reason\":\"timeout\""));
    assert_non_null(strstr(data->text, "timeout_grace_ms"));
    wait_for(mill_stat(it.mill, NULL, "threads") == 1);
    wait_for(mill_stat(it.mill, NULL, "threads_stuck") == 1);
    wait_for(mill_stat(it.mill, "jobs", "timeout") == 1);
    wait_for(it.mill->told[QUERN_NOTICE_STUCK] == 1 && mill_lines(it.mill, "event=handler_stuck") == 1);
    atomic_store(&it.is_open, true);
    wait_for(mill_stat(it.mill, NULL, "threads_stuck") == 0 && mill_stat(it.mill, "jobs", "held") == 0);
    wait_for(mill_stat(it.mill, "jobs", "done") == 10);
    wait_for(mill_stat(it.mill, "jobs", "dead") == 1);
    assert_int_equal(mill_stat(it.mill, "leases", "lost"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 10);
    mill_stop(it.mill);
}

static void what_a_stuck_handler_says_at_last_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct stubborn it = {0};
    open_stubborn(scene, &it, "1", "2");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(it.mill, "jobs", "done") == 1); /* the second attempt, while the first one still stands */
    assert_int_equal(it.inside, 1);
    wait_for(mill_stat(it.mill, "jobs", "retry") == 1);
    atomic_store(&it.is_open, true);
    wait_for(mill_stat(it.mill, "jobs", "held") == 0);
    assert_int_equal(it.first_saw_loss, 1);
    wait_for(mill_stat(it.mill, "jobs", "done") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 1);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:failed"), 0);
    mill_stop(it.mill);
}

static void a_stuck_job_keeps_its_lease_until_it_is_settled(void **state)
{
    struct scene *scene = *state;
    struct stubborn it = {0};
    struct mill *other;
    it.mill = mill_new(scene, "threads", "1", "timeout_ms", "600", "timeout_grace_ms", "600", "lease_ms", "300", "reap_ms",
                       "50", "retry_limit", "0", NULL);
    mill_on(it.mill, &(quern_handler){.event = "*", .run = stubborn_run, .user = &it});
    mill_start(it.mill);
    scene_publish(scene, 0, 1);
    wait_for(atomic_load(&it.inside) == 1);
    other = mill_run(scene, "lease_ms", "300", "reap_ms", "50", NULL);
    wait_for(mill_stat(it.mill, "jobs", "dead") == 1);
    assert_int_equal(other->started, 0); /* nobody could take it meanwhile */
    assert_int_equal(mill_stat(other, "upkeep", "reclaimed") + mill_stat(it.mill, "upkeep", "reclaimed"), 0);
    atomic_store(&it.is_open, true);
    mill_stop(it.mill);
    mill_stop(other);
}

static void a_deferred_job_past_its_timeout_is_taken_from_its_ticket(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "timeout_ms", "50", "timeout_grace_ms", "50", "retry_limit", "0", NULL);
    mill->verdict = QUERN_PENDING;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->ended == 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(quern_pool_finish(mill->pool, mill->ticket, QUERN_DONE, NULL), QUERN_E_GONE);
    assert_int_equal(mill_stat(mill, NULL, "threads_stuck"), 0);
    wait_for(mill_stat(mill, "jobs", "timeout") == 1);
    mill_stop(mill);
}

static quern_verdict obedient_run(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    while (!quern_job_cancelled(job)) wait_breathe();
    atomic_fetch_add(&mill->ended, 1);
    return quern_job_left_ms(job) == 0 ? QUERN_DONE : QUERN_DEAD;
}

static void a_handler_that_ends_within_the_grace_has_the_last_word(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "timeout_ms", "100", "timeout_grace_ms", "60000", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = obedient_run});
    mill_start(mill);
    scene_publish(scene, 0, 3);
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    assert_int_equal(mill_stat(mill, "jobs", "timeout"), 0);
    assert_int_equal(mill->told[QUERN_NOTICE_STUCK], 0);
    mill_stop(mill);
}

static void a_stop_says_that_a_given_up_handler_still_runs(void **state)
{
    struct scene *scene = *state;
    struct stubborn it = {0};
    open_stubborn(scene, &it, "0", "1");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(it.mill, "jobs", "dead") == 1);
    quern_pool_stop(it.mill->pool);
    assert_int_equal(quern_pool_join(it.mill->pool, 200, &it.mill->error), QUERN_E_BUSY);
    assert_non_null(strstr(it.mill->error.text, "still running: 1 handlers"));
    atomic_store(&it.is_open, true);
    mill_stop(it.mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_stuck_handler_is_given_up_and_its_thread_replaced),
        SCENE(what_a_stuck_handler_says_at_last_changes_nothing),
        SCENE(a_stuck_job_keeps_its_lease_until_it_is_settled),
        SCENE(a_deferred_job_past_its_timeout_is_taken_from_its_ticket),
        SCENE(a_handler_that_ends_within_the_grace_has_the_last_word),
        SCENE(a_stop_says_that_a_given_up_handler_still_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
