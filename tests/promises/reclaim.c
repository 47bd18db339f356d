/* SPDX-License-Identifier: MIT */

/* promises/reclaim: what an owner has let go comes back; a late owner changes nothing; what is not needed any more goes. */
#include <stdio.h>
#include <string.h>

#include "support/mill.h"

/* n entries are read by a consumer that then is never heard of again. The group exists. */
static void read_as(struct scene *scene, const char *consumer, const char *stream, int n)
{
    char count[16];
    snprintf(count, sizeof count, "%d", n);
    const struct answer *answer =
        redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", stream, ">");
    assert_int_equal(answer_at(answer_at(answer, 0), 1)->count, n);
}

static void make_group(struct scene *scene)
{
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
}

static bool is_clean(struct scene *scene)
{
    return redis_pending(&scene->redis, "jobs", "g") == 0 && redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 0;
}

static struct mill *quick(struct scene *scene)
{
    return mill_run(scene, "lease_ms", "200", "reap_ms", "50", NULL);
}

static void jobs_of_a_dead_process_come_back_and_run_once(void **state)
{
    enum { JOBS = 3000 };
    struct scene *scene = *state;
    make_group(scene);
    scene_publish(scene, 0, JOBS);
    read_as(scene, "dead-1", "jobs", JOBS);
    struct mill *mill = quick(scene);
    wait_for(mill_has_seen_once(mill, 0, JOBS) && is_clean(scene));
    wait_for(mill_stat(mill, "upkeep", "reclaimed") == JOBS);
    mill_stop(mill);
}

static void jobs_whose_lease_is_not_over_are_let_be(void **state)
{
    struct scene *scene = *state;
    make_group(scene);
    scene_publish(scene, 0, 10);
    read_as(scene, "alive-1", "jobs", 10);
    struct mill *mill = mill_run(scene, "lease_ms", "60000", "reap_ms", "10", NULL);
    stays(redis_pending(&scene->redis, "jobs", "g") == 10 && mill->started == 0, 300);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 10);
}

static _Atomic int deliveries;

static quern_verdict count_deliveries(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    atomic_store(&deliveries, (int)quern_job_deliveries(job));
    return QUERN_DONE;
}

static void a_reclaimed_job_says_how_often_it_was_handed_out(void **state)
{
    struct scene *scene = *state;
    char id[64];
    make_group(scene);
    scene_publish(scene, 0, 1);
    read_as(scene, "dead-1", "jobs", 1);
    const struct answer *rows = redis_ask(&scene->redis, "XPENDING", "jobs", "g", "-", "+", "1");
    snprintf(id, sizeof id, "%s", answer_at(answer_at(rows, 0), 0)->text);
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "dead-2", "0", id);
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "dead-3", "0", id);
    struct mill *mill = mill_new(scene, "lease_ms", "200", "reap_ms", "50", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = count_deliveries});
    mill_start(mill);
    wait_for(deliveries == 4);
    mill_stop(mill);
}

static void what_a_dead_process_had_from_the_retry_stream_comes_back_too(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs:g:retry", "g", "0", "MKSTREAM");
    for (int i = 0; i < 5; i++)
        redis_ask(&scene->redis, "XADD", "jobs:g:retry", "*", "event", "e", "data", "7", "retries", "0", "quern_retries", "2");
    read_as(scene, "dead-1", "jobs:g:retry", 5);
    struct mill *mill = quick(scene);
    wait_for(mill->seen[7] == 5 && is_clean(scene));
    mill_stop(mill);
}

static void an_entry_deleted_while_it_was_pending_is_counted_and_said(void **state)
{
    struct scene *scene = *state;
    make_group(scene);
    scene_publish(scene, 0, 3);
    read_as(scene, "dead-1", "jobs", 3);
    redis_ask(&scene->redis, "XTRIM", "jobs", "MAXLEN", "2");
    struct mill *mill = quick(scene);
    wait_for(mill->ended == 2 && is_clean(scene));
    wait_for(mill_stat(mill, "upkeep", "deleted") == 1);
    wait_for(mill_lines(mill, "event=pending_deleted") == 1);
    mill_stop(mill);
}

static void an_entry_with_more_fields_than_can_be_moved_is_buried_and_not_lost(void **state)
{
    enum { FIELDS = 4500, WORDS = 2 * FIELDS + 7 };
    static const char *words[WORDS] = {"XADD", "jobs", "*", "event", "e", "data", "1"};
    struct scene *scene = *state;
    for (int i = 7; i < WORDS; i++) words[i] = "x";
    make_group(scene);
    resp_ask_words(scene->redis.client, WORDS, words, NULL);
    scene_publish(scene, 0, 1);
    read_as(scene, "dead-1", "jobs", 2);
    struct mill *mill = quick(scene);
    wait_for(mill->ended == 1 && mill_stat(mill, "jobs", "dead") == 1 && is_clean(scene));
    mill_stop(mill);
    const struct answer *letters = redis_ask(&scene->redis, "XRANGE", "jobs:failed", "-", "+");
    const struct answer *data = answer_of(answer_at(answer_at(letters, 0), 1), "data");
    assert_non_null(strstr(data->text, "quern_packed"));
    assert_true(data->len > 2 * FIELDS * 2 * 2); /* each field's byte in hex, and its head */
}

static void only_one_of_several_pools_looks_in_each_period(void **state)
{
    enum { POOLS = 5 };
    struct scene *scene = *state;
    struct mill *mills[POOLS];
    for (int i = 0; i < POOLS; i++) mills[i] = mill_run(scene, "reap_ms", "200", NULL);
    long long asked = redis_calls(&scene->redis, "set"), looked = redis_calls(&scene->redis, "xpending");
    wait_for(redis_calls(&scene->redis, "set") >= asked + 10 * POOLS);
    looked = redis_calls(&scene->redis, "xpending") - looked;
    asked = redis_calls(&scene->redis, "set") - asked;
    assert_in_range(looked, 10, 2 * asked / POOLS + 4); /* two lists each time, and one of five gets the turn */
    for (int i = 0; i < POOLS; i++) mill_stop(mills[i]);
}

/* ── late owners ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The pool's lease is over although it is alive, as after a stop of its process: its connection for renewals leads nowhere. */
static void lose_the_lease(struct scene *scene, struct mill *late, const char *verdict_then)
{
    char id[64], consumer[200];
    (void)verdict_then;
    const struct answer *rows = redis_ask(&scene->redis, "XPENDING", "jobs", "g", "-", "+", "1");
    snprintf(id, sizeof id, "%s", answer_at(answer_at(rows, 0), 0)->text);
    snprintf(consumer, sizeof consumer, "thief-of-%s", id);
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", consumer, "0", id);
    wait_for(mill_stat(late, "leases", "lost") == 1 || mill_lines(late, "event=lease_lost"));
}

static void says_too_late(struct scene *scene, quern_verdict verdict)
{
    struct mill *late = mill_new(scene, "lease_ms", "300", "reap_ms", "3600000", "retry_base_ms", "0", NULL);
    late->verdict = verdict;
    late->is_shut = true;
    mill_started(late);
    scene_publish(scene, 0, 1);
    wait_for(late->inside == 1);
    lose_the_lease(scene, late, NULL);
    atomic_store(&late->is_shut, false);
    wait_for(mill_stat(late, "jobs", "held") == 0);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 1); /* still the thief's */
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:failed"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 0);
    wait_for(mill_stat(late, "leases", "lost") == 1 && late->told[QUERN_NOTICE_LOST] == 1);
    mill_stop(late);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 1);
}

static void a_late_owner_cannot_retry_a_job(void **state)
{
    says_too_late(*state, QUERN_RETRY);
}

static void a_late_owner_cannot_bury_a_job(void **state)
{
    says_too_late(*state, QUERN_DEAD);
}

/* ── tidying ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void consumers_long_gone_are_swept_but_not_those_that_hold_something(void **state)
{
    struct scene *scene = *state;
    make_group(scene);
    scene_publish(scene, 0, 1);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "gone-%d", i);
        redis_ask(&scene->redis, "XGROUP", "CREATECONSUMER", "jobs", "g", name);
    }
    read_as(scene, "holder", "jobs", 1);
    struct mill *mill = mill_run(scene, "lease_ms", "100", "reap_ms", "50", "threads", "1", NULL);
    wait_for(mill_stat(mill, "upkeep", "swept") >= 20);
    wait_for(redis_number(&scene->redis, "XINFO", "CONSUMERS", "jobs", "g") <= 2);
    wait_for(mill->ended == 1); /* what the holder had was reclaimed first */
    mill_stop(mill);
}

/* Before 7.2, Redis takes a reader that gets nothing for silent, and ten leases are over here after two seconds. */
static void pools_without_work_are_not_taken_for_gone(void **state)
{
    struct scene *scene = *state;
    struct mill *one = mill_run(scene, "lease_ms", "200", "reap_ms", "10", NULL);
    struct mill *two = mill_run(scene, "lease_ms", "200", "reap_ms", "60000", NULL);
    stays(redis_number(&scene->redis, "XINFO", "CONSUMERS", "jobs:g:retry", "g") == 2, 3500);
    assert_int_equal(mill_stat(one, "upkeep", "swept") + mill_stat(two, "upkeep", "swept"), 0);
    assert_int_equal(mill_lines(one, "group_made_again") + mill_lines(two, "group_made_again"), 0);
    assert_int_equal(mill_stat(one, "redis", "outages") + mill_stat(two, "redis", "outages"), 0);
    mill_stop(one);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry"), 1);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(two, "jobs", "done") == 10);
    mill_stop(two);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry"), 0);
}

static void a_pool_that_stops_leaves_no_consumer_and_no_key_of_its_own(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "retry_base_ms", "0", "reap_ms", "50", NULL), *other = quick(scene);
    scene_publish(scene, 0, 100);
    wait_for(mill->ended + other->ended == 100);
    mill_stop(mill);
    /* In the stream itself a name appears with its first job; in the retry stream each says that it is there. */
    assert_int_equal(redis_number(&scene->redis, "XINFO", "CONSUMERS", "jobs:g:retry", "g"), 1);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry"), 1);
    mill_stop(other);
    assert_int_equal(redis_number(&scene->redis, "XINFO", "CONSUMERS", "jobs", "g"), 0);
    quern_publisher_close(scene->publisher);
    scene->publisher = NULL;
    wait_for(redis_number(&scene->redis, "DBSIZE") == 1); /* the stream */
}

static void one_old_job_does_not_keep_what_was_done_behind_it(void **state)
{
    enum { JOBS = 15000 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "reap_ms", "100", "threads", "2", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    struct mill *busy = mill_run(scene, "reap_ms", "100", NULL);
    scene_publish(scene, 1, JOBS - 1); /* one of these stands still too, on the other thread */
    wait_for(busy->ended >= JOBS - 3);
    /* What was settled before the second gear stays until the old job ends; what comes after goes at once. */
    wait_for(mill_stat(busy, "upkeep", "second_gear") == 1 && mill_stat(busy, "jobs", "held") == 0);
    long long kept = redis_number(&scene->redis, "XLEN", "jobs");
    assert_true(kept >= JOBS - 3);
    scene_publish(scene, 0, 2000);
    wait_for(busy->ended >= JOBS + 2000 - 3);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs") <= kept + 100);
    atomic_store(&mill->is_shut, false);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs") < 200);
    mill_stop(mill);
    mill_stop(busy);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(jobs_of_a_dead_process_come_back_and_run_once),
        SCENE(jobs_whose_lease_is_not_over_are_let_be),
        SCENE(a_reclaimed_job_says_how_often_it_was_handed_out),
        SCENE(what_a_dead_process_had_from_the_retry_stream_comes_back_too),
        SCENE(an_entry_deleted_while_it_was_pending_is_counted_and_said),
        SCENE(an_entry_with_more_fields_than_can_be_moved_is_buried_and_not_lost),
        SCENE(only_one_of_several_pools_looks_in_each_period),
        SCENE(a_late_owner_cannot_retry_a_job),
        SCENE(a_late_owner_cannot_bury_a_job),
        SCENE(consumers_long_gone_are_swept_but_not_those_that_hold_something),
        SCENE(pools_without_work_are_not_taken_for_gone),
        SCENE(a_pool_that_stops_leaves_no_consumer_and_no_key_of_its_own),
        SCENE(one_old_job_does_not_keep_what_was_done_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
