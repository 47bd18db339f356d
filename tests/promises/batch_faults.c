/* SPDX-License-Identifier: MIT */

/* promises/batch_faults: batches when processes die, answers are lost or jobs never end: nothing is counted twice, and each batch is closed
 * once. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/lot.h"
#include "support/proxy.h"
#include "support/runner.h"
#include "wire/script.h"

static void a_killed_process_loses_no_count(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    int status = 0;
    quern_batch *batch = lot_open(desk, id);
    lot_add(desk, batch, "0", 30);
    lot_add(desk, batch, "2", 1); /* the runner never comes to its end */
    lot_add(desk, batch, "0", 30);
    lot_seal(desk, batch);
    int pidfd = runner_start(scene, NULL);
    wait_for(lot_count(&scene->redis, id, "done") == 30 && redis_pending(&scene->redis, "jobs", "g") > 0);
    assert_int_equal(runner_signal(pidfd, SIGKILL), 0);
    wait_for(runner_has_exited(pidfd, &status));
    struct mill *mill = lot_working(mill_new(scene, "lease_ms", "300", "reap_ms", "50", NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 61, 61, 0, 0);
    assert_true(lot_is_gone(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(lot_closings(), 1);
}

/* Another has taken the job and settled it: what its first owner says of it later changes nothing. */
static void a_late_owner_counts_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, NULL);
    atomic_store(&mill->is_shut, true);
    lot_working(mill);
    quern_batch *batch = lot_open(desk, id);
    lot_add(desk, batch, "4", 1);
    wait_for(mill->started == 1);
    const char *entry = lot_receipts[0].entry, *job = lot_receipts[0].id;
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "thief", "0", entry);
    const struct answer *answer =
        redis_ask(&scene->redis, "EVAL", script_done.text, "7", "jobs", "jobs:g:settles", "jobs:g:completed", "jobs:g:batches",
                  "jobs:g:batches:open", "jobs:g:batches:state", "jobs:g:retry", "g", "thief", "1", entry, entry, "10", "0",
                  "0", "1", entry, "2", job, "job", "", "0", "0", "0", "", "1", job, id);
    assert_true(answer_is(answer, "d"));
    assert_int_equal(lot_count(&scene->redis, id, "done"), 1);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "leases", "lost") == 1 && mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(lot_count(&scene->redis, id, "done"), 1);
    lot_seal(desk, batch);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 1, 1, 0, 0);
    desk_close(desk);
    mill_stop(mill);
}

static const struct proxy_fault faults[] = {{.kind = PROXY_CLOSE},
                                            {.kind = PROXY_CLOSE, .after = 3},
                                            {.kind = PROXY_RESET, .after = 1},
                                            {.kind = PROXY_SILENT},
                                            {.kind = PROXY_DELAY, .pause_ms = 20}};
enum { FAULTS = sizeof faults / sizeof *faults };

static void strike(struct proxy *proxy, const char *name, const struct script *script, struct proxy_fault fault)
{
    fault.name = name;
    fault.question = script->sha1;
    fault.times = 1;
    proxy_fault(proxy, &fault);
}

/* The answer to the first, a middle or the last call, or to the seal. */
static void a_publishers_lost_answers_publish_and_count_nothing_twice(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = lot_desk(scene, "redis", proxy_url(proxy), "publish_ms", "6000", NULL);
    char id[40];
    int expected = 0;
    lot_publish(desk, "0", 1, NULL); /* the script is known from here on */
    redis_ask(&scene->redis, "DEL", "jobs", "jobs:g:batches", "jobs:g:batches:open", "jobs:g:batches:state");
    struct mill *mill = lot_working(mill_new(scene, NULL));
    for (int i = 0; i < FAULTS; i++)
        for (int call = 0; call < 4; call++, expected++) {
            int before = proxy_swallowed(proxy);
            quern_batch *batch = lot_open(desk, id);
            for (int part = 0; part < 3; part++) {
                if (part == call) strike(proxy, ":publisher", &script_enqueue, faults[i]);
                lot_add(desk, batch, "0", 5);
            }
            if (call == 3) strike(proxy, ":publisher", &script_enqueue, faults[i]);
            lot_seal(desk, batch);
            wait_for(proxy_swallowed(proxy) == before + 1);
            wait_for(lot_closings() == expected + 1);
            lot_is_told(id, 15, 15, 0, 0);
        }
    wait_for(lot_book.ran == 15 * expected);
    desk_close(desk);
    mill_stop(mill);
    proxy_close(proxy);
}

static void a_workers_lost_answers_count_nothing_twice(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = lot_desk(scene, NULL);
    static const struct script *const scripts[] = {&script_done, &script_dead};
    char id[40];
    int expected = 0;
    struct mill *mill = lot_working(mill_new(scene, "redis", proxy_url(proxy), "lease_ms", "20000", NULL));
    lot_publish(desk, "0123", 8, id); /* the scripts are known from here on */
    wait_for(lot_closings() == 1);
    for (int i = 0; i < FAULTS; i++)
        for (int script = 0; script < 2; script++) {
            int before = proxy_swallowed(proxy);
            strike(proxy, ":settler", scripts[script], faults[i]);
            lot_publish(desk, "0123", 20, id);
            expected++;
            wait_for(lot_closings() == 1 + expected);
            wait_for(proxy_swallowed(proxy) == before + 1);
            lot_is_told(id, 20, 10, 10, 0);
            wait_for(lot_is_gone(&scene->redis));
        }
    desk_close(desk);
    mill_stop(mill);
    proxy_close(proxy);
}

/* Nothing was published, or all of it: and then it is sealed, for it was one call. */
static void one_attempt_whose_answer_is_lost_is_unknown_and_ends(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = lot_desk(scene, "redis", proxy_url(proxy), "publish_ms", "0", NULL);
    char ids[3][40];
    lot_publish(desk, "0", 1, ids[0]);
    strike(proxy, ":publisher", &script_enqueue, faults[0]);
    assert_int_equal(lot_try(desk, 3, &lot_closing, ids[1]), QUERN_E_UNKNOWN);
    quern_batch *batch = lot_open(desk, ids[2]);
    strike(proxy, ":publisher", &script_enqueue, faults[0]);
    assert_int_equal(quern_batch_add(batch, lot_members("0", 2), 2, lot_receipts, &desk->error), QUERN_E_UNKNOWN);
    assert_int_equal(quern_batch_add(batch, lot_members("0", 2), 2, lot_receipts, &desk->error), QUERN_E_GONE);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_E_GONE);
    quern_batch_free(batch);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 2);
    lot_is_told(ids[1], 3, 3, 0, 0);
    wait_for(lot_count(&scene->redis, ids[2], "done") == 2);
    lot_time_passes(&scene->redis, ids[2]);
    wait_for(lot_closings() == 3);
    assert_non_null(strstr(lot_book.data[2], "\"published\":2,\"done\":2,\"dead\":0,\"open\":0,\"complete\":false}"));
    desk_close(desk);
    mill_stop(mill);
    proxy_close(proxy);
}

/* ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_batch_whose_publisher_dies_before_the_seal_ends_incomplete(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    quern_batch *batch = lot_open(desk, id);
    lot_add(desk, batch, "0", 70);
    quern_batch_free(batch);
    desk_close(desk); /* it was never sealed */
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_count(&scene->redis, id, "done") == 70);
    assert_int_equal(lot_closings(), 0);
    lot_time_passes(&scene->redis, id);
    wait_for(lot_closings() == 1);
    assert_non_null(strstr(lot_book.data[0], "\"published\":70,\"done\":70,\"dead\":0,\"open\":0,\"complete\":false}"));
    assert_true(lot_is_gone(&scene->redis));
    mill_stop(mill);
}

static void what_somebody_has_deleted_is_open_when_its_time_is_over(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, "batch_ms", "1000", NULL);
    char id[40];
    lot_publish(desk, "0", 100, id);
    for (int i = 0; i < 40; i++) redis_ask(&scene->redis, "XDEL", "jobs", lot_receipts[i].entry);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 100, 60, 0, 40);
    wait_for(lot_is_gone(&scene->redis));
    wait_for(mill_lines(mill, "event=batches_overdue") == 1);
    desk_close(desk);
    mill_stop(mill);
}

static void what_ends_after_its_batch_is_closed_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, NULL);
    atomic_store(&mill->is_shut, true);
    lot_working(mill);
    lot_publish(desk, "40", 2, id);
    wait_for(lot_count(&scene->redis, id, "done") == 1);
    lot_time_passes(&scene->redis, id);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 2, 1, 0, 1);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    assert_true(lot_is_gone(&scene->redis));
    assert_int_equal(lot_closings(), 1);
    desk_close(desk);
    mill_stop(mill);
}

static void a_large_batch_is_closed_once_and_taken_away_in_steps(void **state)
{
    enum { MANY = 5000 };
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char ids[2][40];
    lot_publish(desk, "0", 1, ids[0]);
    lot_publish(desk, "0", 2, ids[1]);
    static const char fill[] = "for n = 1, tonumber(ARGV[2]) do redis.call('ZADD', KEYS[1], 0, ARGV[1] .. '/' .. n) end "
                               "redis.call('HINCRBY', KEYS[2], ARGV[1] .. ':published', ARGV[2])";
    redis_ask(&scene->redis, "EVAL", fill, "2", "jobs:g:batches:open", "jobs:g:batches:state", ids[0], "5000");
    redis_ask(&scene->redis, "DEL", "jobs");
    lot_time_passes(&scene->redis, ids[0]);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(ids[0], MANY + 1, 0, 0, MANY + 1);
    wait_for(redis_number(&scene->redis, "ZCARD", "jobs:g:batches") == 1);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:batches:open"), 2); /* the other's */
    assert_int_equal(lot_closings(), 1);
    desk_close(desk);
    mill_stop(mill);
}

static void an_added_job_comes_too_late_for_a_closed_batch(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    quern_batch *batch = lot_open(desk, id);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    lot_add(desk, batch, "0", 1);
    lot_time_passes(&scene->redis, id);
    wait_for(lot_closings() == 1);
    long long entries = redis_number(&scene->redis, "XINFO", "STREAM", "jobs");
    assert_int_equal(quern_batch_add(batch, lot_members("0", 2), 2, lot_receipts, &desk->error), QUERN_E_GONE);
    assert_int_equal(lot_receipts[0].code, QUERN_E_GONE);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_E_GONE);
    assert_int_equal(redis_number(&scene->redis, "XINFO", "STREAM", "jobs"), entries);
    quern_batch_free(batch);
    wait_for(lot_book.ran == 1); /* the one that was added in time; the closing job may have been faster */
    stays(lot_closings() == 1 && lot_book.ran == 1, 100);
    desk_close(desk);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, lot_scene, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_killed_process_loses_no_count),
        SCENE(a_late_owner_counts_nothing),
        SCENE(a_publishers_lost_answers_publish_and_count_nothing_twice),
        SCENE(a_workers_lost_answers_count_nothing_twice),
        SCENE(one_attempt_whose_answer_is_lost_is_unknown_and_ends),
        SCENE(a_batch_whose_publisher_dies_before_the_seal_ends_incomplete),
        SCENE(what_somebody_has_deleted_is_open_when_its_time_is_over),
        SCENE(what_ends_after_its_batch_is_closed_changes_nothing),
        SCENE(a_large_batch_is_closed_once_and_taken_away_in_steps),
        SCENE(an_added_job_comes_too_late_for_a_closed_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
