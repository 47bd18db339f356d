/* SPDX-License-Identifier: MIT */

/* promises/queues: several queues in one pool, in order or by weight, each with its own group and policy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/acl.h"
#include "support/desk.h"

enum { TOLD = 4096 };

/* Which stream each job came from, in the order in which they started. */
struct diary {
    struct mill *mill;
    _Atomic int count;
    _Atomic char from[TOLD];
};

static quern_verdict note(quern_job *job, void *thread, void *user)
{
    struct diary *diary = user;
    int place = atomic_fetch_add(&diary->count, 1);
    if (place < TOLD) diary->from[place] = quern_job_stream(job).at[0];
    return mill_grind(job, thread, diary->mill);
}

static int count_from(const struct diary *diary, char stream, int from, int to)
{
    int n = 0;
    for (int i = from; i < to; i++) n += diary->from[i] == stream;
    return n;
}

/* Where the first job of this stream stands at or behind a place; -1: nowhere. */
static int place_of(const struct diary *diary, char stream, int from)
{
    for (int i = from; i < diary->count; i++)
        if (diary->from[i] == stream) return i;
    return -1;
}

static struct mill *noting(struct scene *scene, struct diary *diary, const char *queues, int work_us)
{
    struct mill *mill = mill_new(scene, "queues", queues, "threads", "1", NULL);
    *diary = (struct diary){.mill = mill};
    mill->work_us = work_us;
    mill_on(mill, &(quern_handler){.event = "*", .run = note, .user = diary});
    return mill;
}

static void in_order_a_queue_is_served_while_those_before_it_are_empty(void **state)
{
    enum { JOBS = 200 };
    static struct diary diary;
    struct scene *scene = *state;
    struct mill *mill = noting(scene, &diary, "[\"urgent\", \"normal\", \"later\"]", 500);
    desk_fill(scene, "later", 0, JOBS);
    desk_fill(scene, "normal", JOBS, JOBS);
    desk_fill(scene, "urgent", 2 * JOBS, JOBS);
    mill_start(mill);
    wait_for(diary.count == 3 * JOBS);
    assert_int_equal(JOBS, count_from(&diary, 'u', 0, JOBS));
    assert_int_equal(JOBS, count_from(&diary, 'n', JOBS, 2 * JOBS));
    mill_stop(mill);
    assert_true(mill_has_seen_once(mill, 0, 3 * JOBS));
}

/* What is fetched already is at most prefetch_ms of work. */
static void an_urgent_job_passes_those_that_wait_in_redis(void **state)
{
    enum { JOBS = 60, AHEAD = 10 };
    static struct diary diary;
    struct scene *scene = *state;
    struct mill *mill = noting(scene, &diary, "[\"urgent\", \"normal\"]", 15000);
    desk_fill(scene, "normal", 0, JOBS);
    mill_start(mill);
    wait_for(diary.count >= 5);
    atomic_store(&mill->is_shut, true); /* publishing takes as long as it likes */
    wait_for(diary.count == mill->ended + 1);
    desk_fill(scene, "urgent", JOBS, 1);
    int before = diary.count;
    atomic_store(&mill->is_shut, false);
    wait_for(place_of(&diary, 'u', 0) >= 0);
    assert_in_range(place_of(&diary, 'u', 0), before, before + AHEAD);
    mill_stop(mill);
}

static void with_weights_queues_share_the_threads_and_none_starves(void **state)
{
    enum { JOBS = 1000, LOOKED_AT = 600 };
    static struct diary diary;
    struct scene *scene = *state;
    struct mill *mill = noting(scene, &diary, "[{\"stream\": \"a\", \"weight\": 4}, {\"stream\": \"b\", \"weight\": 1}]", 200);
    desk_fill(scene, "a", 0, JOBS);
    desk_fill(scene, "b", JOBS, JOBS);
    mill_start(mill);
    wait_for(diary.count >= LOOKED_AT);
    int from_b = count_from(&diary, 'b', 0, LOOKED_AT);
    assert_in_range(from_b, LOOKED_AT / 5 - 64, LOOKED_AT / 5 + 64); /* a batch more or less */
    wait_for(diary.count == 2 * JOBS);
    mill_stop(mill);
    assert_true(mill_has_seen_once(mill, 0, 2 * JOBS));
}

/* The one that was paused is not served alone until it has what the other one has had meanwhile. */
static void a_queue_that_was_paused_has_saved_nothing_up(void **state)
{
    enum { JOBS_A = 2500, JOBS_B = 1200, BEFORE = 200, MEANWHILE = 600, LOOKED_AT = 400 };
    static struct diary diary;
    struct scene *scene = *state;
    struct mill *mill = noting(scene, &diary, "[{\"stream\": \"a\", \"weight\": 1}, {\"stream\": \"b\", \"weight\": 1}]", 1000);
    desk_fill(scene, "a", 0, JOBS_A);
    desk_fill(scene, "b", JOBS_A, JOBS_B);
    mill_start(mill);
    wait_for(diary.count >= BEFORE);
    redis_ask(&scene->redis, "SADD", "b:g:paused", "*");
    wait_for(mill_lines(mill, "events_paused") == 1);
    wait_for(diary.count >= BEFORE + MEANWHILE);
    int before = diary.count;
    redis_ask(&scene->redis, "DEL", "b:g:paused");
    wait_for(place_of(&diary, 'b', before) >= 0);
    int from = place_of(&diary, 'b', before);
    wait_for(diary.count >= from + LOOKED_AT);
    assert_in_range(count_from(&diary, 'a', from, from + LOOKED_AT), LOOKED_AT / 2 - 130, LOOKED_AT / 2 + 130);
    mill_stop(mill);
}

static void an_idle_pool_hears_of_a_job_in_any_of_its_queues(void **state)
{
    static struct diary diary;
    struct scene *scene = *state;
    struct mill *mill = noting(scene, &diary, "[\"one\", {\"stream\": \"two\", \"group\": \"other\"}, \"three\"]", 0);
    static const char *const streams[] = {"three", "two", "one", "two", "three"};
    mill_set(mill, "block_ms", "60000");
    mill_set(mill, "lease_ms", "600000");
    mill_start(mill);
    for (int i = 0; i < 5; i++) {
        desk_fill(scene, streams[i], i, 1);
        wait_for(diary.count == i + 1); /* sooner than a read ends by itself */
    }
    mill_stop(mill); /* out of each of the blocking reads, at once */
}

static void each_has_its_own_group_policy_and_keys(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "retry_base_ms", "600000", "queues",
                                 "[{\"stream\": \"a\", \"completed_max\": 10}, {\"stream\": \"b\", \"group\": \"bees\", "
                                 "\"retry_limit\": 0, \"dead_letter_stream\": \"graves\"}]",
                                 NULL);
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    desk_fill(scene, "a", 0, 3);
    desk_fill(scene, "b", 3, 4);
    wait_for(mill_stat(mill, "jobs", "retry") == 3 && mill_stat(mill, "jobs", "dead") == 4);
    assert_int_equal(3, redis_number(&scene->redis, "ZCARD", "a:g:delayed"));
    assert_int_equal(4, redis_number(&scene->redis, "XLEN", "graves"));
    mill->verdict = QUERN_DONE;
    desk_fill(scene, "a", 7, 2);
    desk_fill(scene, "b", 9, 2);
    wait_for(mill_stat(mill, "jobs", "done") == 4);
    assert_int_equal(2, redis_number(&scene->redis, "XLEN", "a:g:completed"));
    assert_int_equal(0, redis_number(&scene->redis, "EXISTS", "b:bees:completed"));
    mill_stop(mill);
    assert_int_equal(0, redis_pending(&scene->redis, "a", "g") + redis_pending(&scene->redis, "b", "bees"));
}

static void what_holds_for_a_handler_holds_in_every_queue(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", "[{\"stream\": \"a\", \"retry_limit\": 7}, \"b\"]", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind, .policy = "{\"retry_limit\": 0}"});
    mill->verdict = QUERN_RETRY;
    mill_start(mill);
    desk_fill(scene, "a", 0, 1);
    desk_fill(scene, "b", 1, 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 2);
    mill_stop(mill);
}

static void two_groups_of_one_stream_each_get_every_job(void **state)
{
    enum { JOBS = 500 };
    struct scene *scene = *state;
    struct mill *mill =
        mill_run(scene, "queues", "[{\"stream\": \"a\", \"group\": \"x\"}, {\"stream\": \"a\", \"group\": \"y\"}]", NULL);
    desk_fill(scene, "a", 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == 2 * JOBS);
    for (int i = 0; i < JOBS; i++) assert_int_equal(2, mill->seen[i]);
    mill_stop(mill);
    assert_in_range(redis_number(&scene->redis, "XLEN", "a"), 0, 100);
}

/* ── until_empty ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Each job of the last queue brings one in the first. */
struct chain {
    struct mill *mill;
    struct desk *desk;
    pthread_mutex_t lock;
};

static quern_verdict hand_on(quern_job *job, void *thread, void *user)
{
    struct chain *chain = user;
    int number = atoi(quern_job_data(job).at);
    char data[16];
    snprintf(data, sizeof data, "%d", number + 100);
    pthread_mutex_lock(&chain->lock);
    if (quern_job_stream(job).at[0] == 'l') desk_publish(chain->desk, data, (quern_message){.event = "job"});
    pthread_mutex_unlock(&chain->lock);
    return mill_grind(job, thread, chain->mill);
}

static void until_empty_ends_when_all_of_them_are(void **state)
{
    enum { JOBS = 40 };
    struct scene *scene = *state;
    struct mill *mill =
        mill_new(scene, "until_empty", "true", "queues", "[{\"stream\": \"first\", \"group\": \"f\"}, \"last\"]", NULL);
    struct chain chain = {.mill = mill, .desk = desk_open(scene, "stream", "first", NULL)};
    pthread_mutex_init(&chain.lock, NULL);
    mill->work_us = 5000;
    mill_on(mill, &(quern_handler){.event = "*", .run = hand_on, .user = &chain});
    desk_fill(scene, "last", 0, JOBS);
    mill_start(mill);
    assert_int_equal(QUERN_OK, quern_pool_join(mill->pool, PATIENCE_MS, &mill->error));
    assert_true(mill_has_seen_once(mill, 0, JOBS) && mill_has_seen_once(mill, 100, JOBS));
    desk_close(chain.desk);
    pthread_mutex_destroy(&chain.lock);
}

/* Its jobs are still there: whoever has paused it will let it go on. */
static void until_empty_does_not_end_while_a_queue_with_jobs_is_paused(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "second", "g", "0", "MKSTREAM");
    redis_ask(&scene->redis, "SADD", "second:g:paused", "*");
    desk_fill(scene, "second", 0, 5);
    struct mill *mill = mill_run(scene, "until_empty", "true", "queues", "[\"first\", \"second\"]", NULL);
    assert_int_equal(QUERN_E_BUSY, quern_pool_join(mill->pool, 1000, &mill->error));
    redis_ask(&scene->redis, "DEL", "second:g:paused");
    assert_int_equal(QUERN_OK, quern_pool_join(mill->pool, PATIENCE_MS, &mill->error));
    assert_true(mill_has_seen_once(mill, 0, 5));
}

/* ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t cpu_ms(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

/* The last queue is answered while the first one's read, which nobody may unblock, has a while to go. */
static void a_stop_that_waits_for_one_of_several_reads_sleeps(void **state)
{
    struct scene *scene = *state;
    acl_change(&scene->redis, "quern-worker", "-client|unblock");
    struct mill *mill = mill_run(scene, "block_ms", "4000", "queues", "[\"a\", {\"stream\": \"b\", \"group\": \"h\"}]", NULL);
    wait_for(redis_number(&scene->redis, "XLEN", "b") == 0 && mill_stat(mill, "redis", "reads") >= 4);
    long long reads = mill_stat(mill, "redis", "reads");
    wait_for(mill_stat(mill, "redis", "reads") >= reads + 2); /* both begin anew */
    int64_t used_ms = cpu_ms(), from_ms = wait_now_ms();
    quern_pool_stop(mill->pool);
    desk_fill(scene, "b", 0, 1);
    mill_stop(mill);
    int64_t took_ms = wait_now_ms() - from_ms;
    assert_in_range(took_ms, 1000, 6000);
    assert_in_range(cpu_ms() - used_ms, 0, took_ms / 4);
}

/* Few, since the one that stands still is thought to be long the longer it does, and fewer are fetched behind it. */
static void a_stop_gives_back_what_was_not_started_to_each(void **state)
{
    enum { JOBS = 10 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "1", "prefetch_ms", "60000", "queues",
                                 "[\"a\", {\"stream\": \"b\", \"group\": \"h\"}]", NULL);
    desk_fill(scene, "a", 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    atomic_store(&mill->is_shut, true);
    desk_fill(scene, "a", 1, JOBS);
    desk_fill(scene, "b", 1 + JOBS, JOBS);
    wait_for(mill->inside == 1);
    wait_for(mill_stat(mill, "jobs", "waiting") == 2 * JOBS - 1);
    quern_pool_stop(mill->pool);
    wait_for(mill_stat(mill, "jobs", "released") == 2 * JOBS - 1);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    assert_int_equal(0, redis_pending(&scene->redis, "a", "g") + redis_pending(&scene->redis, "b", "h"));
    struct mill *next = mill_run(scene, "queues", "[\"a\", {\"stream\": \"b\", \"group\": \"h\"}]", NULL);
    wait_for(mill_stat(next, "jobs", "done") == 2 * JOBS - 1);
    for (int i = 0; i <= 2 * JOBS; i++) assert_int_equal(1, mill->seen[i] + next->seen[i]);
    mill_stop(next);
}

static void a_queue_whose_stream_is_deleted_heals_and_the_others_go_on(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "queues", "[\"a\", {\"stream\": \"b\", \"group\": \"h\"}, \"c\"]", NULL);
    desk_fill(scene, "b", 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    redis_ask(&scene->redis, "DEL", "b", "b:h:retry");
    desk_fill(scene, "a", 1, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    desk_fill(scene, "b", 2, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "c", "g");
    desk_fill(scene, "c", 3, 1);
    desk_fill(scene, "a", 4, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 5);
    mill_stop(mill);
    assert_true(mill_has_seen_once(mill, 0, 5));
}

static void an_outage_loses_nothing_of_any_queue(void **state)
{
    enum { JOBS = 600 };
    struct scene *scene = *state;
    struct mill *mill =
        mill_new(scene, "queues", "[\"a\", {\"stream\": \"b\", \"group\": \"h\"}, \"c\"]", "lease_ms", "2000", NULL);
    mill->work_us = 1000;
    desk_fill(scene, "a", 0, JOBS / 3);
    desk_fill(scene, "b", JOBS / 3, JOBS / 3);
    desk_fill(scene, "c", 2 * JOBS / 3, JOBS / 3);
    mill_started(mill); /* not before: most of them would have ended by now */
    for (int round = 0; round < 3; round++) {
        int before = mill->ended;
        wait_for(mill->ended > before + 20 || mill_has_seen(mill, 0, JOBS));
        redis_ask(&scene->redis, "CLIENT", "KILL", "TYPE", "normal");
    }
    wait_for(mill_has_seen(mill, 0, JOBS));
    wait_for(redis_pending(&scene->redis, "a", "g") + redis_pending(&scene->redis, "b", "h") +
                 redis_pending(&scene->redis, "c", "g") ==
             0);
    mill_stop(mill);
    assert_int_equal(0, redis_number(&scene->redis, "EXISTS", "a:failed", "b:failed", "c:failed"));
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(in_order_a_queue_is_served_while_those_before_it_are_empty),
        SCENE(an_urgent_job_passes_those_that_wait_in_redis),
        SCENE(with_weights_queues_share_the_threads_and_none_starves),
        SCENE(a_queue_that_was_paused_has_saved_nothing_up),
        SCENE(an_idle_pool_hears_of_a_job_in_any_of_its_queues),
        SCENE(each_has_its_own_group_policy_and_keys),
        SCENE(what_holds_for_a_handler_holds_in_every_queue),
        SCENE(two_groups_of_one_stream_each_get_every_job),
        SCENE(until_empty_ends_when_all_of_them_are),
        SCENE(until_empty_does_not_end_while_a_queue_with_jobs_is_paused),
        SCENE(a_stop_that_waits_for_one_of_several_reads_sleeps),
        SCENE(a_stop_gives_back_what_was_not_started_to_each),
        SCENE(a_queue_whose_stream_is_deleted_heals_and_the_others_go_on),
        SCENE(an_outage_loses_nothing_of_any_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
