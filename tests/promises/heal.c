/* SPDX-License-Identifier: MIT */

/* promises/heal: groups and streams vanish under jobs that run and wait, ids are given out twice: nothing is lost, what runs is not run
 * twice, and what it comes to is kept. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/acl.h"
#include "support/mill.h"
#include "support/proxy.h"

/* Leases so long that no renewal meets what the test is about, and a pool that does not trim. */
static struct mill *gated(struct scene *scene, quern_verdict verdict)
{
    struct mill *mill = mill_new(scene, "lease_ms", "60000", "retry_base_ms", "0", "trim", "false", NULL);
    mill->is_shut = true;
    mill->verdict = verdict;
    return mill_started(mill);
}

static bool is_clean(struct scene *scene)
{
    return redis_pending(&scene->redis, "jobs", "g") == 0 && redis_pending(&scene->redis, "jobs:g:retry", "g") == 0 &&
           redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 0;
}

static void open_gate(struct mill *mill)
{
    atomic_store(&mill->is_shut, false);
}

static void add(struct scene *scene, const char *entry, const char *job, const char *data)
{
    const struct answer *answer =
        redis_ask(&scene->redis, "XADD", "jobs", entry, "id", job, "event", "job", "data", data, "retries", "0");
    assert_true(answer_is(answer, entry));
}

static const char old_id[] = "00000000-0000-4000-8000-000000000001", new_id[] = "00000000-0000-4000-8000-000000000002";

/* What is held has its lease again: as many rows as there are jobs in hand. */
static void wait_for_leases(struct scene *scene, struct mill *mill, int jobs)
{
    wait_for(mill_lines(mill, "event=group_made_again") >= 1 && redis_pending(&scene->redis, "jobs", "g") == jobs);
}

static void a_group_destroyed_under_jobs_comes_back_and_each_runs_once(void **state)
{
    enum { JOBS = 20 };
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_DONE);
    scene_publish(scene, 0, JOBS);
    wait_for(mill->inside == 2);
    assert_int_equal(redis_number(&scene->redis, "XGROUP", "DESTROY", "jobs", "g"), 1);
    wait_for(mill_lines(mill, "event=group_made_again") == 1 && redis_pending(&scene->redis, "jobs", "g") >= 2);
    open_gate(mill);
    wait_for(mill_has_seen(mill, 0, JOBS) && is_clean(scene) && mill_stat(mill, "jobs", "held") == 0);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    assert_int_equal(mill->told[QUERN_NOTICE_OUTAGE], 0);
    mill_stop(mill);
}

/* The read that hands it out again is on its way: who settled it now would leave a pending entry behind, or see it run once more. */
static void a_job_that_ends_before_it_has_its_lease_again_waits_for_it(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct mill *mill = mill_new(scene, "redis", proxy_url(proxy), "lease_ms", "60000", "reap_ms", "50", "trim", "false", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    /* no thread is free, so no read is on its way: the next one is that which hands them out again */
    proxy_fault(proxy, &(struct proxy_fault){":dispatcher", "XREADGROUP", PROXY_DELAY, .pause_ms = 500, .times = 1});
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    wait_for(mill_lines(mill, "event=group_made_again") == 1 && redis_pending(&scene->redis, "jobs", "g") == 2);
    open_gate(mill);
    wait_for(mill->ended >= 2 && mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(proxy_swallowed(proxy), 1);
    assert_true(mill_has_seen_once(mill, 0, 2) && is_clean(scene));
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    scene_publish(scene, 2, 2);
    wait_for(mill_has_seen_once(mill, 0, 4) && is_clean(scene));
    mill_stop(mill);
    proxy_close(proxy);
}

/* Nobody reads for a pool that is paused: it does not wait for ever. */
static void a_job_whose_lease_does_not_come_again_is_settled_all_the_same(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_RETRY);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    quern_pool_pause(mill->pool);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    wait_for(mill_lines(mill, "event=group_made_again") == 1);
    open_gate(mill);
    wait_for(mill_stat(mill, "jobs", "retry") == 2 && mill_stat(mill, "jobs", "held") == 0);
    mill->verdict = QUERN_DONE;
    quern_pool_resume(mill->pool);
    wait_for(mill_stat(mill, "jobs", "done") >= 2 && is_clean(scene) && mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
}

static void what_was_settled_before_is_not_delivered_again(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_DONE);
    open_gate(mill);
    scene_publish(scene, 0, 100);
    wait_for(mill_stat(mill, "jobs", "done") == 100);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    wait_for(mill_lines(mill, "event=group_made_again") == 1);
    scene_publish(scene, 100, 10);
    wait_for(mill_has_seen_once(mill, 0, 110) && is_clean(scene));
    mill_stop(mill);
}

/* Between the loss of its group and the new lease it ends with a verdict that must not be dropped. */
static void a_retry_of_a_job_that_runs_is_kept(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_RETRY);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    wait_for_leases(scene, mill, 2);
    mill->verdict = QUERN_RETRY;
    open_gate(mill);
    wait_for(mill->started >= 3);
    mill->verdict = QUERN_DONE;
    wait_for(mill_stat(mill, "jobs", "held") == 0 && is_clean(scene));
    assert_true(mill_stat(mill, "jobs", "retry") + mill_stat(mill, "jobs", "done") == mill->started);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    mill_stop(mill);
}

static void jobs_of_a_deleted_stream_are_finished_and_new_ones_taken(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_DONE);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    redis_ask(&scene->redis, "DEL", "jobs");
    wait_for(mill_lines(mill, "event=group_made_again") == 1);
    open_gate(mill);
    wait_for(mill_stat(mill, "jobs", "done") == 2 && mill_stat(mill, "jobs", "held") == 0);
    scene_publish(scene, 2, 10);
    wait_for(mill_has_seen_once(mill, 0, 12) && is_clean(scene));
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    mill_stop(mill);
}

static void verdict_outlives(struct scene *scene, const char *command, const char *key)
{
    struct mill *mill = gated(scene, QUERN_RETRY);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    redis_ask(&scene->redis, command, key);
    wait_for(mill_lines(mill, "event=group_made_again") >= 1);
    open_gate(mill);
    wait_for(mill->started >= 4); /* both, once more */
    mill->verdict = QUERN_DONE;
    wait_for(mill_stat(mill, "jobs", "held") == 0 && mill_stat(mill, "jobs", "done") == 2);
    assert_true(mill_has_seen(mill, 0, 2) && is_clean(scene));
    mill_stop(mill);
}

static void a_retry_is_kept_from_memory_when_the_stream_is_deleted(void **state)
{
    verdict_outlives(*state, "DEL", "jobs");
}

static void a_retry_is_kept_when_everything_is_flushed(void **state)
{
    verdict_outlives(*state, "FLUSHALL", NULL);
}

static void a_retry_is_kept_when_the_retry_stream_is_deleted(void **state)
{
    verdict_outlives(*state, "DEL", "jobs:g:retry");
}

/* Those that run are retries themselves: what is deleted is the stream they came from. */
static void retries_whose_stream_is_deleted_are_kept_too(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_RETRY);
    open_gate(mill);
    scene_publish(scene, 0, 2);
    atomic_store(&mill->is_shut, true);
    wait_for(mill->inside == 2 && mill_stat(mill, "jobs", "retry") >= 0 &&
             redis_pending(&scene->redis, "jobs:g:retry", "g") >= 0);
    redis_ask(&scene->redis, "DEL", "jobs:g:retry");
    wait_for(mill_lines(mill, "event=group_made_again") >= 1);
    open_gate(mill);
    mill->verdict = QUERN_DONE;
    wait_for(mill_stat(mill, "jobs", "held") == 0 && mill_stat(mill, "jobs", "done") == 2 && is_clean(scene));
    mill_stop(mill);
}

static void two_pools_that_lose_their_group_lose_no_job(void **state)
{
    enum { JOBS = 300 };
    struct scene *scene = *state;
    struct mill *one = mill_run(scene, "lease_ms", "300", "reap_ms", "50", "trim", "false", NULL);
    struct mill *two = mill_run(scene, "lease_ms", "300", "reap_ms", "50", "trim", "false", NULL);
    one->work_us = two->work_us = 500;
    for (int round = 0; round < 3; round++) {
        scene_publish(scene, round * JOBS, JOBS);
        wait_for(one->ended + two->ended > round * JOBS + JOBS / 4);
        redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    }
    for (int i = 0; i < 3 * JOBS; i++) wait_for(one->seen[i] + two->seen[i] >= 1); /* who knows what the other held? */
    wait_for(is_clean(scene) && mill_stat(one, "jobs", "held") == 0 && mill_stat(two, "jobs", "held") == 0);
    mill_stop(one);
    mill_stop(two);
}

/* It hears nothing of its leases. Meanwhile another has the job, and settles it: so it is pending for nobody, as if it had vanished. */
static void who_was_away_for_a_lease_takes_nothing_for_vanished(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct mill *mill =
        mill_new(scene, "redis", proxy_url(proxy), "lease_ms", "300", "retry_base_ms", "0", "trim", "false", NULL);
    mill->is_shut = true;
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    proxy_fault(proxy, &(struct proxy_fault){.name = ":heartbeat", .kind = PROXY_CLOSE, .times = INT_MAX});
    add(scene, "5-1", old_id, "1");
    wait_for(mill->inside == 1);
    int64_t from_ms = wait_now_ms();
    wait_for(wait_now_ms() - from_ms > 400);
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "other", "0", "5-1", "JUSTID");
    assert_int_equal(redis_number(&scene->redis, "XACK", "jobs", "g", "5-1"), 1);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs:g:retry", "g");
    wait_for(mill_lines(mill, "event=group_made_again") == 1);
    open_gate(mill);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(mill_stat(mill, "jobs", "retry"), 0);
    wait_for(mill_stat(mill, "leases", "lost") == 1);
    assert_true(mill_has_seen_once(mill, 1, 1) && is_clean(scene));
    mill_stop(mill);
    proxy_close(proxy);
}

/* ── ids that are given out twice ────────────────────────────────────────────────────────────────────────────────── */

/* The server has no AOF: who answers there after its death is empty. The old job ends while the new one is pending by its id. */
static void an_old_job_does_not_settle_the_one_that_has_its_id_after_a_failover(void **state)
{
    struct scene *scene = *state;
    struct mill *old = mill_new(scene, "lease_ms", "60000", "threads", "1", NULL);
    old->is_shut = true;
    mill_started(old);
    add(scene, "5-1", old_id, "1");
    wait_for(old->inside == 1);
    redis_kill(&scene->redis);
    redis_again(&scene->redis);
    wait_for(mill_lines(old, "event=group_made_again") >= 2);
    add(scene, "5-1", new_id, "2");
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "other", "STREAMS", "jobs", ">");
    open_gate(old);
    wait_for(old->seen[1] == 1 && mill_stat(old, "jobs", "done") == 1);
    if (old->seen[2] == 0) assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 1);
    mill_stop(old);
}

/* A replica that was behind: the group and the stream are there, and the same pool is handed the same id for another job. */
static void an_id_that_names_another_job_now_has_lost_the_old_one(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_DONE);
    add(scene, "5-1", old_id, "1");
    wait_for(mill->inside == 1);
    redis_ask(&scene->redis, "MULTI");
    redis_ask(&scene->redis, "DEL", "jobs");
    redis_ask(&scene->redis, "XADD", "jobs", "5-1", "id", new_id, "event", "job", "data", "2", "retries", "0");
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0");
    redis_ask(&scene->redis, "EXEC");
    wait_for(mill->inside == 2);
    wait_for(mill_stat(mill, "leases", "lost") == 1 && mill->told[QUERN_NOTICE_LOST] == 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 1);
    open_gate(mill);
    wait_for(mill->seen[1] == 1 && mill->seen[2] == 1 && is_clean(scene) && mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
}

/* ── what is no loss ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_client_that_is_unblocked_with_an_error_heals_nothing(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = gated(scene, QUERN_DONE);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    for (int i = 0; i < 5; i++) {
        char id[24];
        const struct answer *list = redis_ask(&scene->redis, "CLIENT", "LIST");
        const char *end = strstr(list->text, ":dispatcher "), *line = end;
        assert_non_null(end);
        while (line > list->text && line[-1] != '\n') line--;
        snprintf(id, sizeof id, "%lld", atoll(line + 3));
        redis_ask(&scene->redis, "CLIENT", "UNBLOCK", id, "ERROR");
        stays(redis_pending(&scene->redis, "jobs", "g") == 1, 50);
    }
    open_gate(mill);
    scene_publish(scene, 1, 20);
    wait_for(mill_has_seen_once(mill, 0, 21) && is_clean(scene) && mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(mill_lines(mill, "event=group_made_again") + mill_lines(mill, "event=pending_vanished"), 0);
    assert_int_equal(mill->told[QUERN_NOTICE_OUTAGE] + mill_stat(mill, "leases", "lost"), 0);
    mill_stop(mill);
}

static void a_group_that_may_not_be_made_is_not_asked_for_in_a_hot_loop(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "300", "reap_ms", "50", "trim", "false", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 10);
    wait_for(mill->inside == 2);
    acl_change(&scene->redis, "quern-worker", "-xgroup|create");
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    wait_for(mill_lines(mill, "event=heal_failed") >= 1);
    open_gate(mill);
    long long before = redis_calls(&scene->redis, NULL);
    int64_t from_ms = wait_now_ms();
    wait_for(wait_now_ms() - from_ms >= 2000);
    assert_in_range(redis_calls(&scene->redis, NULL) - before, 0, 600);
    acl_change(&scene->redis, "quern-worker", "+xgroup|create");
    wait_for(mill_has_seen(mill, 0, 10) && is_clean(scene) && mill_stat(mill, "jobs", "held") == 0);
    wait_for(mill_stat(mill, "redis", "up") == 1);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_group_destroyed_under_jobs_comes_back_and_each_runs_once),
        SCENE(a_job_that_ends_before_it_has_its_lease_again_waits_for_it),
        SCENE(a_job_whose_lease_does_not_come_again_is_settled_all_the_same),
        SCENE(what_was_settled_before_is_not_delivered_again),
        SCENE(a_retry_of_a_job_that_runs_is_kept),
        SCENE(jobs_of_a_deleted_stream_are_finished_and_new_ones_taken),
        SCENE(a_retry_is_kept_from_memory_when_the_stream_is_deleted),
        SCENE(a_retry_is_kept_when_everything_is_flushed),
        SCENE(a_retry_is_kept_when_the_retry_stream_is_deleted),
        SCENE(retries_whose_stream_is_deleted_are_kept_too),
        SCENE(two_pools_that_lose_their_group_lose_no_job),
        SCENE(who_was_away_for_a_lease_takes_nothing_for_vanished),
        SCENE(an_old_job_does_not_settle_the_one_that_has_its_id_after_a_failover),
        SCENE(an_id_that_names_another_job_now_has_lost_the_old_one),
        SCENE(a_client_that_is_unblocked_with_an_error_heals_nothing),
        SCENE(a_group_that_may_not_be_made_is_not_asked_for_in_a_hot_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
