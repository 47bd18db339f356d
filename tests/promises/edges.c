/* SPDX-License-Identifier: MIT */

/* promises/edges: what is rare and was once wrong: entries deleted while they are held, bounds that are reached, words that race. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/mill.h"
#include "wire/script.h"

/* ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void jobs_larger_than_the_bound_of_bytes_run_all_the_same(void **state)
{
    enum { JOBS = 10, BYTES = 100000 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "prefetch_bytes", "65536", "start", "0", NULL);
    char *data = malloc(BYTES + 1);
    assert_non_null(data);
    memset(data, '1', BYTES);
    data[BYTES] = 0;
    for (int i = 0; i < JOBS; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "e", "data", data);
    free(data);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    mill_stop(mill);
}

/* ── deleted while it is held ────────────────────────────────────────────────────────────────────────────────────── */

static void delete_all(struct scene *scene)
{
    char id[64];
    while (redis_number(&scene->redis, "XLEN", "jobs")) {
        const struct answer *entries = redis_ask(&scene->redis, "XRANGE", "jobs", "-", "+", "COUNT", "1");
        snprintf(id, sizeof id, "%s", answer_at(answer_at(entries, 0), 0)->text);
        assert_int_equal(redis_number(&scene->redis, "XDEL", "jobs", id), 1);
    }
}

static void a_job_whose_entry_is_deleted_while_it_runs_is_finished_and_recorded(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "300", "completed_max", "100", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    delete_all(scene);
    wait_for(mill_lines(mill, "entry_deleted") == 1); /* a renewal has seen it */
    stays(mill->told[QUERN_NOTICE_LOST] == 0, 200);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 1);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    mill_stop(mill);
}

/* One job runs, another of many fields waits behind it; both entries are deleted; a stop puts the second one back. */
static void an_unstarted_job_whose_entry_is_deleted_is_put_back_from_memory(void **state)
{
    enum { FIELDS = 3890, WORDS = 2 * FIELDS + 7 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "300", "threads", "1", "fields_max", "3900", "prefetch_ms", "60000", NULL);
    scene_publish(scene, 0, 1); /* jobs are known to be short from then on, and fetched ahead */
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    atomic_store(&mill->is_shut, true);
    const char *words[WORDS] = {"XADD", "jobs", "*", "event", "e", "data", "1"};
    for (int i = 7; i < WORDS; i++) words[i] = "x";
    for (int i = 0; i < 2; i++) resp_ask_words(scene->redis.client, i ? WORDS : 7, words, NULL);
    wait_for(mill->inside == 1 && mill_stat(mill, "jobs", "held") == 2);
    delete_all(scene);
    wait_for(mill_lines(mill, "entry_deleted") == 2);
    quern_pool_stop(mill->pool);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 1);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    const struct answer *entries = redis_ask(&scene->redis, "XRANGE", "jobs:g:retry", "-", "+");
    assert_true(answer_is(answer_of(answer_at(answer_at(entries, 0), 1), "data"), "1"));
    assert_int_equal(answer_at(answer_at(entries, 0), 1)->count, 2 * FIELDS + 4 + 6); /* and where it came from */
    mill = mill_run(scene, "fields_max", "3900", NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
}

/* ── left pending ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A stream whose last id is taken takes no entry any more: dead letters cannot be written, so dead jobs stay pending. */
static void exhaust(struct scene *scene, const char *stream)
{
    const struct answer *answer =
        redis_ask(&scene->redis, "XADD", stream, "18446744073709551615-18446744073709551615", "a", "b");
    assert_int_equal(answer->kind, '$');
}

/* Nobody finds it later, and that is said. */
static void a_job_whose_entry_is_deleted_and_that_cannot_be_settled_is_not_said_to_be_pending(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "lease_ms", "300", NULL);
    exhaust(scene, "jobs:failed");
    mill->verdict = QUERN_DEAD;
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    delete_all(scene);
    wait_for(mill_lines(mill, "event=entry_deleted") == 1);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "left_pending") == 1);
    wait_for(mill_lines(mill, "event=job_left") == 1 && mill_lines(mill, "what it came to is not recorded") == 1);
    mill_stop(mill);
}

static void a_job_that_was_left_pending_is_not_run_again_when_a_connection_breaks(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    exhaust(scene, "jobs:failed");
    mill->verdict = QUERN_DEAD;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "left_pending") == 1);
    for (int cut = 1; cut <= 3; cut++) {
        assert_int_equal(redis_cut(&scene->redis, ":dispatcher"), 1);
        wait_for(redis_clients(&scene->redis, ":dispatcher") == 1);
        scene_publish(scene, cut, 1);
        wait_for(mill_stat(mill, "jobs", "left_pending") == 1 + cut);
    }
    assert_int_equal(mill->started, 4);
    wait_for(mill_lines(mill, "event=job_left") == 4);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 4);
    assert_int_equal(mill_stat(mill, "jobs", "dead"), 0);
    mill_stop(mill); /* gives them back */
    redis_ask(&scene->redis, "DEL", "jobs:failed");
    mill = mill_run(scene, NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 4);
    mill_stop(mill);
}

static void many_jobs_left_pending_between_two_do_not_hide_their_leases(void **state)
{
    enum { LEFT = 2500 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "600", "threads", "3", NULL);
    exhaust(scene, "jobs:failed");
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    redis_ask(&scene->redis, "EVAL",
              "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', 'jobs', '*', 'event', 'nobody', 'retries', 'wrong', 'data', "
              "'1') end",
              "0", "2500");
    scene_publish(scene, 1, 1);
    wait_for(mill->inside == 2 && mill_stat(mill, "jobs", "left_pending") == LEFT);
    long long renewed = mill_stat(mill, "leases", "renewed");
    wait_for(mill_stat(mill, "leases", "renewed") >= renewed + 4);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    atomic_store(&mill->verdict, QUERN_DONE);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
}

/* ── what is too much for one answer, and what comes too late ────────────────────────────────────────────────────── */

/* Together more items than an answer may have; each by itself is only a dead letter. */
static void entries_that_are_too_many_for_one_answer_stop_nobody(void **state)
{
    enum { FIELDS = 300000, WORDS = 2 * FIELDS + 7 };
    static const char *words[WORDS] = {"XADD", "jobs", "*", "event", "e", "data", "1"};
    struct scene *scene = *state;
    for (int i = 7; i < WORDS; i++) words[i] = "x";
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    for (int i = 0; i < 2; i++) resp_ask_words(scene->redis.client, WORDS, words, NULL);
    scene_publish(scene, 0, 10);
    struct mill *mill = mill_run(scene, "threads", "4", NULL);
    wait_until(mill_stat(mill, "jobs", "dead") == 2 && mill_has_seen_once(mill, 0, 10), 3 * PATIENCE_MS);
    wait_for(redis_pending(&scene->redis, "jobs", "g") == 0);
    mill_stop(mill);
}

/* Its connection was given up, and the batch behind it was answered on the next one. */
static void an_old_copy_of_a_batch_that_comes_late_changes_nothing(void **state)
{
    struct scene *scene = *state;
    static const struct script *const scripts[] = {&script_done, &script_retry, &script_dead};
    static const char *const thirds[] = {"jobs:g:completed", "jobs:g:retry", "jobs:failed"};
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    for (size_t i = 0; i < 3; i++) {
        const char *numbers[] = {"1", "2", "2", "1"};
        for (size_t n = 0; n < 4; n++) {
            const char *words[] = {"EVAL",
                                   scripts[i]->text,
                                   "5",
                                   "jobs",
                                   "jobs:g:settles",
                                   thirds[i],
                                   "jobs:g:delayed",
                                   "jobs:g:delayed:jobs",
                                   "g",
                                   scripts[i]->name,
                                   numbers[n],
                                   "0-1",
                                   "0-1",
                                   "10",
                                   "0",
                                   "0",
                                   "0"};
            size_t count = sizeof words / sizeof *words - (scripts[i] != &script_done); /* the others' head is shorter by one */
            const struct answer *answer = resp_ask_words(scene->redis.client, count, words, NULL);
            assert_int_equal(answer->kind, n < 3 ? '$' : '-');
        }
    }
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:completed", "jobs:g:retry", "jobs:failed"), 0);
}

static void a_retry_that_cannot_be_read_is_said_and_holds_up_no_other(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "retry_base_ms", "200", "retry_limit", "1", NULL);
    mill->verdict = QUERN_RETRY;
    redis_ask(&scene->redis, "ZADD", "jobs:g:delayed", "1", "s:1-1");
    redis_ask(&scene->redis, "HSET", "jobs:g:delayed:jobs", "s:1-1", "no MessagePack of a list");
    mill_started(mill);
    scene_publish(scene, 0, 5);
    wait_for(mill_stat(mill, "jobs", "dead") == 5);
    wait_for(mill_lines(mill, "event=waiting_stuck") == 1);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 1);
    mill_stop(mill);
}

/* ── tickets ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct duel {
    struct mill *mill;
    _Atomic uint64_t ticket;
    _Atomic bool has_finished;
};

static quern_verdict says_much(quern_job *job, void *thread, void *user)
{
    struct duel *duel = user;
    (void)thread;
    atomic_store(&duel->ticket, quern_job_ticket(job));
    while (!atomic_load(&duel->has_finished)) {
        quern_job_error(job, "the handler's own words");
        quern_job_result(job, "result", 6);
    }
    return QUERN_PENDING;
}

static void a_ticket_may_be_finished_while_the_handler_still_speaks(void **state)
{
    struct scene *scene = *state;
    for (int round = 0; round < 20; round++) {
        struct duel duel = {.mill = mill_new(scene, "threads", "1", NULL)};
        mill_on(duel.mill, &(quern_handler){.event = "*", .run = says_much, .user = &duel});
        mill_start(duel.mill);
        scene_publish(scene, 0, 1);
        wait_for(duel.ticket);
        assert_int_equal(quern_pool_finish(duel.mill->pool, duel.ticket, QUERN_DEAD, "as told by ticket"), QUERN_OK);
        atomic_store(&duel.has_finished, true);
        wait_for(mill_lines(duel.mill, "as told by ticket") == 1);
        wait_for(mill_stat(duel.mill, "jobs", "dead") == 1);
        mill_stop(duel.mill);
        assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), round + 1);
    }
}

static quern_verdict takes_no_ticket(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    return QUERN_PENDING;
}

static void pending_without_a_ticket_is_a_failure_that_says_so(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = takes_no_ticket});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "retry") == 1);
    wait_for(mill_lines(mill, "took no ticket") == 1);
    mill_stop(mill);
}

/* ── after an outage ─────────────────────────────────────────────────────────────────────────────────────────────── */

static double cpu_s(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
}

static void after_an_outage_nothing_spins_and_the_statistics_say_up(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "600", "reap_ms", "60000", NULL);
    scene_publish(scene, 0, 2000);
    wait_for(mill_stat(mill, "jobs", "done") == 2000);
    redis_kill(&scene->redis);
    wait_for(mill_lines(mill, "redis_lost") == 1);
    redis_again(&scene->redis);
    wait_for(mill_lines(mill, "redis_back") == 1);
    wait_for(mill_stat(mill, "redis", "up") == 1);
    double before_s = cpu_s();
    int64_t from_ms = wait_now_ms();
    stays(quern_pool_join(mill->pool, 500, &mill->error) == QUERN_E_BUSY, 1000); /* the test itself waits idly */
    double wall_s = (double)(wait_now_ms() - from_ms) / 1000;
    assert_true(cpu_s() - before_s < wall_s / 2);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(jobs_larger_than_the_bound_of_bytes_run_all_the_same),
        SCENE(a_job_whose_entry_is_deleted_while_it_runs_is_finished_and_recorded),
        SCENE(an_unstarted_job_whose_entry_is_deleted_is_put_back_from_memory),
        SCENE(a_job_whose_entry_is_deleted_and_that_cannot_be_settled_is_not_said_to_be_pending),
        SCENE(a_job_that_was_left_pending_is_not_run_again_when_a_connection_breaks),
        SCENE(many_jobs_left_pending_between_two_do_not_hide_their_leases),
        SCENE(entries_that_are_too_many_for_one_answer_stop_nobody),
        SCENE(an_old_copy_of_a_batch_that_comes_late_changes_nothing),
        SCENE(a_retry_that_cannot_be_read_is_said_and_holds_up_no_other),
        SCENE(a_ticket_may_be_finished_while_the_handler_still_speaks),
        SCENE(pending_without_a_ticket_is_a_failure_that_says_so),
        cmocka_unit_test_setup_teardown(after_an_outage_nothing_spins_and_the_statistics_say_up, scene_open_aof, scene_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
