/* SPDX-License-Identifier: MIT */

/* promises/completed: the log of finished jobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/acl.h"
#include "support/mill.h"
#include "wire/script.h"

static const char log_key[] = "jobs:g:completed";

static quern_verdict answer(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    static char large[65537];
    int number = atoi(quern_job_data(job).at);
    if (number == 0) return QUERN_DONE;
    if (quern_job_result(job, "first", 5) || quern_job_result(job, "a\0b\n\377", 5)) return QUERN_DEAD;
    if (number == 2) return quern_job_result(job, large, sizeof large) == QUERN_E_FULL ? QUERN_DONE : QUERN_DEAD;
    burn_us(3000);
    return QUERN_DONE;
}

static void an_entry_has_exactly_its_fields(const struct answer *fields)
{
    static const char *const names[] = {"id", "event", "result", "retries", "wait_ms", "run_ms", "consumer", "finished_at"};
    assert_int_equal(fields->count, 2 * sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(answer_is(answer_at(fields, 2 * i), names[i]));
}

static void what_is_done_is_written_with_its_result(void **state)
{
    struct scene *scene = *state;
    char consumer[200];
    struct mill *mill = mill_new(scene, "completed_max", "1000", "threads", "1", "consumer", "me", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = answer});
    mill_start(mill);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "i0", "event", "e", "data", "0");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "i1", "event", "e", "data", "1", "retries", "4");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "i2", "event", "e", "data", "2");
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    snprintf(consumer, sizeof consumer, "%s",
             answer_of(answer_at(redis_ask(&scene->redis, "XINFO", "CONSUMERS", "jobs", "g"), 0), "name")->text);
    const struct answer *log = redis_ask(&scene->redis, "XRANGE", log_key, "-", "+");
    assert_int_equal(log->count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct answer *fields = answer_at(answer_at(log, i), 1), *result = answer_of(fields, "result");
        char id[3] = {'i', (char)('0' + i), 0};
        an_entry_has_exactly_its_fields(fields);
        assert_true(answer_is(answer_of(fields, "id"), id));
        assert_true(answer_is(answer_of(fields, "event"), "e"));
        assert_true(answer_is(answer_of(fields, "retries"), i == 1 ? "4" : "0"));
        assert_true(answer_is(answer_of(fields, "consumer"), consumer));
        assert_int_equal(result->len, i ? 5 : 0);
        assert_memory_equal(result->text, "a\0b\n\377", result->len);
        assert_in_range(atoll(answer_of(fields, "run_ms")->text), i == 1 ? 3 : 0, PATIENCE_MS);
        assert_in_range(atoll(answer_of(fields, "wait_ms")->text), 0, PATIENCE_MS);
        assert_int_equal(strncmp(answer_of(fields, "finished_at")->text, "20", 2), 0);
        assert_non_null(strstr(answer_of(fields, "finished_at")->text, "+00:00"));
    }
    assert_int_equal(strncmp(consumer, "me-", 3), 0);
    mill_stop(mill);
}

static void the_log_is_capped(void **state)
{
    enum { JOBS = 3000, CAP = 500 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "completed_max", "500", NULL);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    mill_stop(mill);
    assert_in_range(redis_number(&scene->redis, "XLEN", log_key), CAP, CAP + 200);
}

static void what_is_not_done_is_not_in_the_log(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "completed_max", "1000", NULL);
    mill->verdict = QUERN_DEAD;
    mill_started(mill);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "dead") == 10);
    atomic_store(&mill->verdict, QUERN_DONE);
    scene_publish(scene, 10, 5);
    wait_for(mill_stat(mill, "jobs", "done") == 5);
    assert_int_equal(redis_number(&scene->redis, "XLEN", log_key), 5);
    mill_stop(mill);
}

static void without_a_cap_there_is_no_log(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", log_key), 0);
}

/* As a connection that was given up may deliver it at last: the batch was asked for again on another one, and a later one too. */
static void a_transaction_that_comes_late_leaves_no_second_record(void **state)
{
    struct scene *scene = *state;
    struct redis *redis = &scene->redis;
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    redis_ask(redis, "XADD", "jobs", "7-1", "id", "i", "event", "e", "data", "0");
    redis_ask(redis, "XREADGROUP", "GROUP", "g", "me", "COUNT", "1", "STREAMS", "jobs", ">");
    redis_ask(redis, "HSET", "jobs:g:settles", "me", "8:d");
    redis_ask(redis, "XADD", log_key, "*", "id", "before", "event", "e");
    redis_ask(redis, "MULTI");
    redis_ask(redis, "XADD", log_key, "*", "id", "i", "event", "e");
    redis_ask(redis, "EVAL", script_logged.text, "3", "jobs", "jobs:g:settles", log_key, "g", "me", "7", "1000", "i", "0",
              "7-1");
    redis_ask(redis, "EXEC");
    assert_int_equal(redis_number(redis, "XLEN", log_key), 1);
    assert_int_equal(redis_pending(redis, "jobs", "g"), 1);
    assert_true(answer_is(redis_ask(redis, "HGET", "jobs:g:settles", "me"), "8:d"));
}

static void a_record_goes_again_where_its_job_cannot_be_acknowledged(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "completed_max", "1000", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    redis_ask(&scene->redis, "SET", "jobs:g:settles", "planted");
    atomic_store(&mill->is_shut, false);
    wait_for(mill_lines(mill, "WRONGTYPE"));
    assert_int_equal(redis_number(&scene->redis, "XLEN", log_key), 0);
    redis_ask(&scene->redis, "DEL", "jobs:g:settles");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", log_key), 1);
    mill_stop(mill);
}

/* What was begun is not continued on the same connection: "QUEUED" would be taken for the outcome of six jobs. */
static void who_may_begin_a_transaction_and_not_end_it_keeps_the_log_all_the_same(void **state)
{
    enum { ROUNDS = 60, TOGETHER = 7, JOBS = ROUNDS * TOGETHER };
    struct scene *scene = *state;
    struct redis *redis = &scene->redis;
    struct mill *mill = mill_run(scene, "completed_max", "10000", "threads", "7", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        acl_change(redis, "quern-worker", round % 3 ? "-exec" : "+exec");
        atomic_store(&mill->is_shut, true);
        scene_publish(scene, round * TOGETHER, TOGETHER);
        wait_for(mill->inside == TOGETHER);
        atomic_store(&mill->is_shut, false);
        wait_for(mill_stat(mill, "jobs", "done") == (round + 1) * TOGETHER);
    }
    assert_int_equal(redis_pending(redis, "jobs", "g"), 0);
    assert_int_equal(redis_number(redis, "XLEN", log_key), JOBS);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(what_is_done_is_written_with_its_result),
        SCENE(the_log_is_capped),
        SCENE(what_is_not_done_is_not_in_the_log),
        SCENE(without_a_cap_there_is_no_log),
        SCENE(a_transaction_that_comes_late_leaves_no_second_record),
        SCENE(a_record_goes_again_where_its_job_cannot_be_acknowledged),
        SCENE(who_may_begin_a_transaction_and_not_end_it_keeps_the_log_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
