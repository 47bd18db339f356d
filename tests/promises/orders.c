/* SPDX-License-Identifier: MIT */

/* promises/orders: what operators order from outside, while pools run: events are paused and go on, jobs are cancelled wherever they
 * are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"
#include "support/seen.h"

static void order(struct seen *seen, char *answer)
{
    if (!answer) fail_msg("%s", seen->error.text);
    quern_free(answer);
}

static void pause_event(struct seen *seen, const char *event)
{
    order(seen, quern_queue_pause(seen->config, event, 0, &seen->error));
}

static void resume_event(struct seen *seen, const char *event)
{
    order(seen, quern_queue_resume(seen->config, event, 0, &seen->error));
}

static bool is_paused(struct mill *mill)
{
    return mill_lines(mill, "events_paused") > mill_lines(mill, "events_resumed");
}

/* ── pausing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_paused_event_does_not_start_and_others_do(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_run(seen->scene, NULL);
    struct desk *desk = desk_open(seen->scene, NULL);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "0"));
    wait_for(mill->ended == 1);
    pause_event(seen, "job");
    wait_for(is_paused(mill));
    for (int i = 1; i <= 20; i++) {
        char data[8];
        snprintf(data, sizeof data, "%d", i);
        assert_int_equal(QUERN_OK, PUBLISH(desk, data, .event = i % 2 ? "job" : "other"));
    }
    wait_for(mill->ended == 11);
    wait_for(mill_stat(mill, "jobs", "released") == 10 && mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(10, redis_number(&seen->scene->redis, "ZCARD", "jobs:g:delayed"));
    resume_event(seen, "job");
    wait_for(mill->ended == 21);
    assert_true(mill_has_seen_once(mill, 0, 21));
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(0, redis_number(&seen->scene->redis, "EXISTS", "jobs:failed"));
}

static void while_all_are_paused_nothing_is_read_by_whoever_starts(void **state)
{
    enum { JOBS = 300 };
    struct seen *seen = *state;
    struct mill *first = mill_run(seen->scene, NULL);
    pause_event(seen, NULL);
    wait_for(is_paused(first));
    scene_publish(seen->scene, 0, JOBS);
    struct mill *second = mill_run(seen->scene, NULL);
    wait_for(is_paused(second));
    stays(first->started + second->started == 0, 700);
    long long reads = mill_stat(first, "redis", "reads");
    stays(mill_stat(first, "redis", "reads") == reads, 300);
    resume_event(seen, NULL);
    wait_for(first->ended + second->ended == JOBS);
    mill_stop(first);
    mill_stop(second);
}

static void a_pause_is_of_one_queue(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_run(seen->scene, "queues", "[\"jobs\", \"other\"]", NULL);
    struct desk *desk = desk_open(seen->scene, "stream", "other", NULL);
    pause_event(seen, NULL);
    wait_for(is_paused(mill));
    scene_publish(seen->scene, 0, 5);
    for (int i = 5; i < 10; i++) assert_int_equal(QUERN_OK, PUBLISH(desk, "7"));
    wait_for(mill->ended == 5);
    assert_int_equal(5, mill->seen[7]);
    stays(mill->started == 5, 50);
    resume_event(seen, NULL);
    wait_for(mill->ended == 10);
    desk_close(desk);
    mill_stop(mill);
}

/* The other one is waited for, for long, and both by one read. */
static void a_queue_that_goes_on_is_read_at_once_although_another_is_waited_for(void **state)
{
    struct seen *seen = *state;
    struct mill *mill =
        mill_run(seen->scene, "queues", "[\"jobs\", \"other\"]", "block_ms", "60000", "lease_ms", "600000", NULL);
    struct desk *desk = desk_open(seen->scene, "stream", "other", NULL);
    pause_event(seen, NULL);
    wait_for(is_paused(mill));
    scene_publish(seen->scene, 0, 1);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "7"));
    wait_for(mill->ended == 1);
    resume_event(seen, NULL);
    wait_for(mill->ended == 2); /* not only when the other read is over */
    desk_close(desk);
    mill_stop(mill);
}

static void what_runs_when_its_event_is_paused_goes_on(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, NULL);
    atomic_store(&mill->is_shut, true);
    mill_started(mill);
    scene_publish(seen->scene, 0, 1);
    wait_for(mill->inside == 1);
    pause_event(seen, "job");
    wait_for(is_paused(mill));
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    resume_event(seen, "job");
    mill_stop(mill);
}

static json_t *taken(struct seen *seen, char *answer)
{
    return seen_take(seen, answer);
}

static void what_is_paused_is_told(void **state)
{
    struct seen *seen = *state;
    seen_group(&seen->scene->redis);
    json_t *answer = taken(seen, quern_queue_pause(seen->config, "mail", QUERN_DRY_RUN, &seen->error));
    assert_true(json_is_true(json_object_get(answer, "changed")));
    assert_int_equal(0, json_array_size(json_object_get(answer, "paused")));
    answer = taken(seen, quern_queue_pause(seen->config, "mail", 0, &seen->error));
    assert_int_equal(1, json_array_size(json_object_get(answer, "paused")));
    answer = taken(seen, quern_queue_pause(seen->config, "mail", 0, &seen->error));
    assert_true(json_is_false(json_object_get(answer, "changed")));
    answer = taken(seen, quern_queue_stats(seen->config, 0, &seen->error));
    assert_string_equal("mail", json_string_value(json_array_get(json_object_get(answer, "paused"), 0)));
    answer = taken(seen, quern_queue_resume(seen->config, "other", 0, &seen->error));
    assert_true(json_is_false(json_object_get(answer, "changed")));
    answer = taken(seen, quern_queue_resume(seen->config, NULL, 0, &seen->error));
    assert_true(json_is_true(json_object_get(answer, "changed")));
    assert_int_equal(0, redis_number(&seen->scene->redis, "EXISTS", "jobs:g:paused"));
}

static void who_has_paused_as_many_as_may_be_can_pause_all(void **state)
{
    struct seen *seen = *state;
    char event[16];
    seen_group(&seen->scene->redis);
    for (int i = 0; i < 256; i++) {
        snprintf(event, sizeof event, "e%d", i);
        redis_ask(&seen->scene->redis, "SADD", "jobs:g:paused", event);
    }
    seen_refused(seen, quern_queue_pause(seen->config, "e256", 0, &seen->error), QUERN_E_FULL, "256 events are paused");
    json_t *answer = taken(seen, quern_queue_pause(seen->config, "e0", 0, &seen->error));
    assert_true(json_is_false(json_object_get(answer, "changed")));
    answer = taken(seen, quern_queue_pause(seen->config, NULL, 0, &seen->error));
    assert_true(json_is_true(json_object_get(answer, "changed")));
    redis_ask(&seen->scene->redis, "SREM", "jobs:g:paused", "e0");
    answer = taken(seen, quern_queue_pause(seen->config, "e0", 0, &seen->error)); /* all of them are none of the 256 */
    assert_true(json_is_true(json_object_get(answer, "changed")));
    seen_refused(seen, quern_queue_pause(seen->config, "e256", 0, &seen->error), QUERN_E_FULL, "256 events are paused");
    answer = taken(seen, quern_queue_pause(seen->config, NULL, 0, &seen->error));
    assert_true(json_is_false(json_object_get(answer, "changed")));
    assert_int_equal(257, json_array_size(json_object_get(answer, "paused")));
    struct mill *mill = mill_run(seen->scene, NULL);
    scene_publish(seen->scene, 0, 1);
    stays(mill_stat(mill, "jobs", "held") == 0 && mill->ended == 0, 2000); /* four looks, each at all of them */
    answer = taken(seen, quern_queue_resume(seen->config, "*", 0, &seen->error));
    wait_for(mill->ended == 1);
    mill_stop(mill);
}

static void a_pause_that_is_wrong_is_refused(void **state)
{
    struct seen *seen = *state;
    seen_refused(seen, quern_queue_pause(seen->config, "mail", 0, &seen->error), QUERN_E_GONE, "no group g");
    seen_group(&seen->scene->redis);
    seen_refused(seen, quern_queue_pause(seen->config, "", 0, &seen->error), QUERN_E_ARGUMENT, "event: right would be");
    seen_refused(seen, quern_queue_pause(seen->config, "\xff", 0, &seen->error), QUERN_E_ARGUMENT, "event: right would be");
    seen_refused(seen, quern_queue_pause(seen->config, "mail", QUERN_FORCE, &seen->error), QUERN_E_ARGUMENT, "flags");
    char event[16];
    for (int i = 0; i < 256; i++) {
        snprintf(event, sizeof event, "e%d", i);
        redis_ask(&seen->scene->redis, "SADD", "jobs:g:paused", event);
    }
    seen_refused(seen, quern_queue_pause(seen->config, "mail", 0, &seen->error), QUERN_E_FULL, "256 events are paused");
    redis_ask(&seen->scene->redis, "DEL", "jobs:g:paused");
    redis_ask(&seen->scene->redis, "SET", "jobs:g:paused", "a text");
    seen_refused(seen, quern_queue_pause(seen->config, "mail", 0, &seen->error), QUERN_E_SERVER, "");
}

/* ── pausing what is not at its beginning ────────────────────────────────────────────────────────────────────────── */

static void put_alone(struct scene *scene)
{
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    redis_ask(&scene->redis, "XADD", "jobs:g:alone", "*", "event", "job", "data", "7", "quern_entry", "1-0");
    redis_ask(&scene->redis, "HSET", "jobs:g:crashes", "1-0", "1");
}

static void a_job_that_is_to_run_alone_stays_so_while_all_are_paused(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    put_alone(seen->scene);
    pause_event(seen, NULL);
    struct mill *mill = mill_run(seen->scene, NULL);
    wait_for(is_paused(mill));
    stays(redis_number(redis, "XLEN", "jobs:g:alone") == 1 && redis_number(redis, "ZCARD", "jobs:g:delayed") == 0, 1500);
    assert_string_equal("1", redis_ask(redis, "HGET", "jobs:g:crashes", "1-0")->text);
    resume_event(seen, NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && redis_number(redis, "EXISTS", "jobs:g:alone", "jobs:g:crashes") == 0);
    mill_stop(mill);
}

static void a_job_that_is_to_run_alone_stays_so_while_its_event_is_paused(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    put_alone(seen->scene);
    pause_event(seen, "job");
    struct mill *mill = mill_run(seen->scene, NULL);
    wait_for(mill_stat(mill, "jobs", "released") == 1);
    assert_int_equal(1, redis_number(redis, "XLEN", "jobs:g:alone"));
    assert_int_equal(0, redis_number(redis, "ZCARD", "jobs:g:delayed"));
    assert_string_equal("1", redis_ask(redis, "HGET", "jobs:g:crashes", "1-0")->text);
    stays(mill_stat(mill, "jobs", "released") == 1, 700);
    mill_stop(mill);
}

/* ── cancelling ──────────────────────────────────────────────────────────────────────────────────────────────────── */

struct watch {
    struct mill *mill;
    _Atomic int started, told;
    _Atomic int verdict;
    _Atomic bool waits_for_it;
};

static quern_verdict heed_it(quern_job *job, void *thread, void *user)
{
    struct watch *watch = user;
    (void)thread;
    atomic_fetch_add(&watch->started, 1);
    while (atomic_load(&watch->waits_for_it) && !quern_job_cancelled(job)) burn_us(500);
    atomic_fetch_add(&watch->told, quern_job_cancelled(job));
    return (quern_verdict)atomic_load(&watch->verdict);
}

static struct mill *watching(struct scene *scene, struct watch *watch, quern_verdict verdict)
{
    struct mill *mill = mill_new(scene, "threads", "1", "retry_base_ms", "0", NULL);
    *watch = (struct watch){.mill = mill, .verdict = verdict, .waits_for_it = true};
    mill_on(mill, &(quern_handler){.event = "*", .run = heed_it, .user = watch});
    mill_start(mill);
    return mill;
}

static void cancel_job(struct seen *seen, const char *id)
{
    json_t *answer = taken(seen, quern_queue_cancel(seen->config, id, 0, &seen->error));
    assert_true(json_is_true(json_object_get(answer, "marked")));
}

static void the_handler_of_a_cancelled_job_is_told_and_it_is_not_tried_again(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct mill *mill = watching(seen->scene, &watch, QUERN_RETRY);
    struct desk *desk = desk_open(seen->scene, NULL);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    wait_for(watch.started == 1);
    cancel_job(seen, desk->receipt.id);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(1, watch.told);
    wait_for(mill_stat(mill, "jobs", "cancelled") == 1);
    assert_int_equal(0, mill_stat(mill, "jobs", "retry"));
    json_t *letters = taken(seen, quern_queue_dead(seen->config, 10, &seen->error));
    assert_string_equal("cancelled", seen_text(seen_row(letters, 0), "reason"));
    desk_close(desk);
    mill_stop(mill);
}

static void what_a_cancelled_job_has_done_nevertheless_is_recorded(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct mill *mill = watching(seen->scene, &watch, QUERN_DONE);
    struct desk *desk = desk_open(seen->scene, NULL);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    wait_for(watch.started == 1);
    cancel_job(seen, desk->receipt.id);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(0, redis_number(&seen->scene->redis, "EXISTS", "jobs:failed"));
    desk_close(desk);
    mill_stop(mill);
}

/* ── one that waits for somebody to pull it ──────────────────────────────────────────────────────────────────────── */

static struct mill *offering(struct seen *seen)
{
    struct mill *mill = mill_new(seen->scene, "threads", "1", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = quern_pulled});
    mill_start(mill);
    return mill;
}

static void a_job_that_waits_to_be_pulled_does_not_start_once_it_is_paused(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = offering(seen);
    quern_job *job = NULL;
    scene_publish(seen->scene, 7, 1);
    wait_for(mill_stat(mill, "jobs", "held") == 1);
    pause_event(seen, "job");
    wait_for(is_paused(mill));
    assert_int_equal(QUERN_E_TIMEOUT, quern_pull(mill->pool, 100, &job, &seen->error));
    wait_for(redis_number(&seen->scene->redis, "ZCARD", "jobs:g:delayed") == 1);
    resume_event(seen, "job");
    mill_stop(mill);
}

static void a_job_that_waits_to_be_pulled_is_cancelled_there(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = offering(seen);
    struct desk *desk = desk_open(seen->scene, NULL);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    wait_for(mill_stat(mill, "jobs", "held") == 1);
    cancel_job(seen, desk->receipt.id);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    wait_for(mill_stat(mill, "jobs", "cancelled") == 1);
    desk_close(desk);
    mill_stop(mill);
}

static void a_pool_that_starts_knows_the_orders_before_its_first_job(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct desk *desk = desk_open(seen->scene, NULL);
    redis_ask(&seen->scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    cancel_job(seen, desk->receipt.id);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "2", .event = "paused"));
    pause_event(seen, "paused");
    struct mill *mill = watching(seen->scene, &watch, QUERN_DONE);
    wait_for(mill_stat(mill, "jobs", "dead") == 1 && mill_stat(mill, "jobs", "released") == 1);
    assert_int_equal(0, watch.started);
    desk_close(desk);
    mill_stop(mill);
}

/* As is one that has expired before it could start. */
static void a_cancelled_job_is_on_the_bill_of_its_event(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct desk *desk = desk_open(seen->scene, NULL);
    redis_ask(&seen->scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    cancel_job(seen, desk->receipt.id);
    struct mill *mill = watching(seen->scene, &watch, QUERN_DONE);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    json_t *event = seen_row(json_object_get(taken(seen, quern_pool_stats(mill->pool)), "events"), 0);
    assert_string_equal("*", seen_text(event, "event"));
    assert_int_equal(1, seen_number(event, "dead"));
    desk_close(desk);
    mill_stop(mill);
}

/* The one that runs is marked last: when its handler hears of it, the others are known, too. */
static void a_mark_is_known_before_a_job_that_was_published_earlier_starts(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct mill *mill = watching(seen->scene, &watch, QUERN_DONE);
    struct desk *desk = desk_open(seen->scene, NULL);
    char running[40];
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    strcpy(running, desk->receipt.id);
    wait_for(watch.started == 1);
    redis_ask(&seen->scene->redis, "XADD", "jobs", "*", "id", "told", "event", "job", "data", "3");
    assert_int_equal(QUERN_OK, PUBLISH(desk, "2"));
    cancel_job(seen, "told");
    cancel_job(seen, desk->receipt.id);
    cancel_job(seen, running);
    wait_for(mill_stat(mill, "jobs", "dead") == 2 && mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(1, watch.started);
    wait_for(mill_stat(mill, "jobs", "cancelled") == 2);
    desk_close(desk);
    mill_stop(mill);
}

static void a_job_that_is_replayed_later_is_not_meant(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct mill *mill = watching(seen->scene, &watch, QUERN_DEAD);
    struct desk *desk = desk_open(seen->scene, NULL);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    wait_for(watch.started == 1);
    cancel_job(seen, desk->receipt.id);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    atomic_store(&watch.verdict, QUERN_DONE);
    atomic_store(&watch.waits_for_it, false);
    quern_free(quern_queue_replay(seen->config, NULL, 0, &seen->error));
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(2, watch.started);
    desk_close(desk);
    mill_stop(mill);
}

/* Whoever cancels a job that is dead has cancelled nothing. */
static void a_cancellation_of_a_dead_job_does_not_meet_its_replay(void **state)
{
    struct seen *seen = *state;
    struct watch watch;
    struct mill *mill = watching(seen->scene, &watch, QUERN_DEAD);
    struct desk *desk = desk_open(seen->scene, NULL);
    atomic_store(&watch.waits_for_it, false);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    cancel_job(seen, desk->receipt.id);
    atomic_store(&watch.verdict, QUERN_DONE);
    quern_free(quern_queue_replay(seen->config, NULL, 0, &seen->error));
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(0, mill_stat(mill, "jobs", "cancelled"));
    desk_close(desk);
    mill_stop(mill);
}

static void what_is_cancelled_while_a_replay_goes_on_is_not_what_it_replays_later(void **state)
{
    static const char *const ids[] = {"first", "second"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    const quern_replay slowly = {.size = sizeof slowly, .per_s = 1};
    char record[200];
    seen_group(redis);
    for (int i = 0; i < 2; i++) {
        snprintf(record, sizeof record,
                 "{\"original_id\": \"%s\", \"original_event\": \"job\", \"original_data\": %d, \"group\": \"g\"}", ids[i], i);
        redis_ask(redis, "XADD", "jobs:failed", "*", "id", "letter", "event", "job", "retries", "0", "data", record);
    }
    /* behind the beginning of the replay, and before the second letter's turn, a second later */
    redis_ask(
        redis, "EVAL",
        "local now = redis.call('TIME') redis.call('ZADD', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000) + 500, ARGV[1])",
        "1", "jobs:g:cancelled", "second");
    json_t *answer = taken(seen, quern_queue_replay(seen->config, &slowly, 0, &seen->error));
    assert_int_equal(2, seen_number(answer, "replayed"));
    struct mill *mill = mill_run(seen->scene, NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
    assert_int_equal(0, redis_number(redis, "XLEN", "jobs:failed"));
}

static void marks_are_bounded_and_grow_old(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "EVAL", "for i = 1, 10000 do redis.call('ZADD', KEYS[1], 1, 'id' .. i) end", "1", "jobs:g:cancelled");
    seen_refused(seen, quern_queue_cancel(seen->config, "one", 0, &seen->error), QUERN_E_FULL, "10000 jobs are marked");
    struct mill *mill = mill_run(seen->scene, NULL);
    wait_for(redis_number(redis, "EXISTS", "jobs:g:cancelled") == 0); /* of 1970 */
    mill_stop(mill);
    seen_refused(seen, quern_queue_cancel(seen->config, "one", QUERN_FORCE, &seen->error), QUERN_E_ARGUMENT, "flags");
    redis_ask(redis, "SET", "jobs:g:cancelled", "a text");
    seen_refused(seen, quern_queue_cancel(seen->config, "one", 0, &seen->error), QUERN_E_SERVER,
                 "jobs:g:cancelled holds a string");
}

/* More than a page of marks, one of them meant. */
static void one_among_thousands_of_marks_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct watch watch;
    struct mill *mill = watching(seen->scene, &watch, QUERN_RETRY);
    struct desk *desk = desk_open(seen->scene, NULL);
    assert_int_equal(QUERN_OK, PUBLISH(desk, "1"));
    wait_for(watch.started == 1);
    redis_ask(redis, "EVAL",
              "local now = redis.call('TIME')[1] .. '000' for i = 1, 5000 do redis.call('ZADD', KEYS[1], now, 'id' .. i) end",
              "1", "jobs:g:cancelled");
    cancel_job(seen, desk->receipt.id);
    wait_for(mill_stat(mill, "jobs", "cancelled") == 1);
    desk_close(desk);
    mill_stop(mill);
}

#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEEN(a_paused_event_does_not_start_and_others_do),
        SEEN(while_all_are_paused_nothing_is_read_by_whoever_starts),
        SEEN(a_pause_is_of_one_queue),
        SEEN(a_queue_that_goes_on_is_read_at_once_although_another_is_waited_for),
        SEEN(what_runs_when_its_event_is_paused_goes_on),
        SEEN(a_job_that_is_to_run_alone_stays_so_while_all_are_paused),
        SEEN(a_job_that_is_to_run_alone_stays_so_while_its_event_is_paused),
        SEEN(what_is_paused_is_told),
        SEEN(who_has_paused_as_many_as_may_be_can_pause_all),
        SEEN(a_pause_that_is_wrong_is_refused),
        SEEN(the_handler_of_a_cancelled_job_is_told_and_it_is_not_tried_again),
        SEEN(what_a_cancelled_job_has_done_nevertheless_is_recorded),
        SEEN(a_job_that_waits_to_be_pulled_does_not_start_once_it_is_paused),
        SEEN(a_job_that_waits_to_be_pulled_is_cancelled_there),
        SEEN(a_pool_that_starts_knows_the_orders_before_its_first_job),
        SEEN(a_cancelled_job_is_on_the_bill_of_its_event),
        SEEN(a_mark_is_known_before_a_job_that_was_published_earlier_starts),
        SEEN(a_job_that_is_replayed_later_is_not_meant),
        SEEN(a_cancellation_of_a_dead_job_does_not_meet_its_replay),
        SEEN(what_is_cancelled_while_a_replay_goes_on_is_not_what_it_replays_later),
        SEEN(marks_are_bounded_and_grow_old),
        SEEN(one_among_thousands_of_marks_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
