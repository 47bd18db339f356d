/* SPDX-License-Identifier: MIT */

/* promises/wait: whoever has published a job can wait for what it comes to, and misses nothing that ends before it waits. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"
#include "support/seen.h"

/* What one test publishes, and waits for. */
struct counter {
    struct seen *seen;
    struct desk *desk;
    quern_waiter *waiter;
};

static struct counter counter_open(struct seen *seen)
{
    struct counter counter = {.seen = seen, .desk = desk_open(seen->scene, NULL)};
    counter.waiter = quern_waiter_open(seen->config, &seen->error);
    if (!counter.waiter) fail_msg("%s", seen->error.text);
    return counter;
}

static void counter_close(struct counter *counter)
{
    quern_waiter_close(counter->waiter);
    desk_close(counter->desk);
}

static json_t *wait_list(struct counter *counter, const quern_receipt *receipts, size_t n, int64_t ms)
{
    return seen_take(counter->seen, quern_waiter_wait(counter->waiter, receipts, n, ms, &counter->seen->error));
}

/* For the job that was published last. */
static json_t *wait_one(struct counter *counter, int64_t ms)
{
    return seen_row(wait_list(counter, &counter->desk->receipt, 1, ms), 0);
}

static void publish(struct counter *counter, const char *data)
{
    assert_int_equal(PUBLISH(counter->desk, data, .event = "e"), QUERN_OK);
}

static void came_to(const json_t *row, const char *outcome)
{
    assert_string_equal(seen_text(row, "outcome"), outcome);
}

/* Result or error by what the data is. */
static quern_verdict answer(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    quern_bytes data = quern_job_data(job);
    (void)thread;
    while (atomic_load(&mill->is_shut)) wait_breathe();
    if (!strcmp(data.at, "\"hex\"")) return quern_job_result(job, "a\0\377", 3) ? QUERN_DEAD : QUERN_DONE;
    if (!strcmp(data.at, "\"dead\"")) {
        quern_job_error(job, "no such picture");
        return QUERN_DEAD;
    }
    if (!strcmp(data.at, "\"thrice\"") && quern_job_retries(job) < 2) return QUERN_RETRY;
    return quern_job_result(job, data.at, data.len) ? QUERN_DEAD : QUERN_DONE;
}

static struct mill *answering(struct seen *seen, const char *completed_max, const char *key, const char *value)
{
    struct mill *mill = mill_new(seen->scene, "completed_max", completed_max, "retry_base_ms", "20", key, value, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = answer, .user = mill});
    mill_start(mill);
    return mill;
}

/* ── done and dead ───────────────────────────────────────────────────────────────────────────────────────────────── */

static void what_a_job_comes_to_is_told_with_its_result_or_its_error(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "1000", NULL, NULL);
    publish(&counter, "[1, 2]");
    json_t *row = wait_one(&counter, PATIENCE_MS);
    came_to(row, "done");
    assert_string_equal(seen_text(row, "id"), counter.desk->receipt.id);
    assert_string_equal(seen_text(row, "event"), "e");
    assert_string_equal(seen_text(row, "result"), "[1, 2]");
    assert_int_equal(seen_number(row, "retries"), 0);
    assert_true(seen_null(row, "error") && seen_null(row, "reason") && seen_null(row, "letter"));
    assert_int_equal(json_object_size(row), 12);
    publish(&counter, "\"hex\"");
    row = wait_one(&counter, PATIENCE_MS);
    assert_string_equal(seen_text(row, "result_hex"), "6100ff");
    assert_true(seen_null(row, "result"));
    publish(&counter, "\"dead\"");
    row = wait_one(&counter, PATIENCE_MS);
    came_to(row, "dead");
    assert_string_equal(seen_text(row, "id"), counter.desk->receipt.id);
    assert_string_equal(seen_text(row, "event"), "e");
    assert_string_equal(seen_text(row, "reason"), "rejected");
    assert_string_equal(seen_text(row, "error"), "no such picture");
    assert_true(seen_null(row, "result"));
    assert_int_equal(json_object_size(row), 12);
    seen_letter(counter.seen, counter.desk->receipt.id);
    assert_string_equal(seen_text(counter.seen->answer, "reason"), "rejected");
    mill_stop(mill);
    counter_close(&counter);
}

static void a_job_that_is_retried_is_waited_for_until_it_has_ended(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "1000", NULL, NULL);
    publish(&counter, "\"thrice\"");
    json_t *row = wait_one(&counter, PATIENCE_MS);
    came_to(row, "done");
    assert_int_equal(seen_number(row, "retries"), 2);
    mill_stop(mill);
    counter_close(&counter);
}

static void a_job_for_later_is_waited_for(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "1000", NULL, NULL);
    assert_int_equal(PUBLISH(counter.desk, "7", .delay_ms = 600), QUERN_OK);
    came_to(wait_one(&counter, 0), "open");
    came_to(wait_one(&counter, PATIENCE_MS), "done");
    mill_stop(mill);
    counter_close(&counter);
}

/* Positions are noted when the waiter is opened, and stay there. */
static void what_ended_before_the_wait_is_told_and_told_again(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "1000", NULL, NULL);
    publish(&counter, "1");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    came_to(wait_one(&counter, 0), "done");
    came_to(wait_one(&counter, 0), "done");
    mill_stop(mill);
    counter_close(&counter);
}

static void many_jobs_are_told_in_the_order_of_their_receipts(void **state)
{
    enum { JOBS = 500 };
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "10000", NULL, NULL);
    quern_message messages[JOBS];
    quern_receipt receipts[JOBS];
    char texts[JOBS][8];
    for (int i = 0; i < JOBS; i++) {
        size_t len = (size_t)snprintf(texts[i], sizeof texts[i], i % 10 ? "%d" : "\"dead\"", i);
        messages[i] = (quern_message){.size = sizeof *messages, .event = "e", .data = {texts[i], len}};
    }
    publish(&counter, "1"); /* opens its publisher */
    assert_int_equal(quern_publish(counter.desk->publisher, messages, JOBS, receipts, NULL), QUERN_OK);
    json_t *list = wait_list(&counter, receipts, JOBS, PATIENCE_MS);
    assert_int_equal(json_array_size(list), JOBS);
    for (size_t i = 0; i < JOBS; i++) {
        assert_string_equal(seen_text(seen_row(list, i), "id"), receipts[i].id);
        came_to(seen_row(list, i), i % 10 ? "done" : "dead");
        if (i % 10) assert_string_equal(seen_text(seen_row(list, i), "result"), texts[i]);
    }
    mill_stop(mill);
    counter_close(&counter);
}

static void a_job_that_has_not_ended_in_time_is_open(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = mill_new(counter.seen->scene, "completed_max", "10", NULL);
    mill->is_shut = true;
    mill_on(mill, &(quern_handler){.event = "*", .run = answer, .user = mill});
    mill_start(mill);
    publish(&counter, "1");
    int64_t from_ms = wait_now_ms();
    json_t *row = wait_one(&counter, 400);
    assert_in_range(wait_now_ms() - from_ms, 400, PATIENCE_MS);
    came_to(row, "open");
    assert_string_equal(seen_text(row, "id"), counter.desk->receipt.id);
    assert_true(seen_null(row, "result") && seen_null(row, "error"));
    atomic_store(&mill->is_shut, false);
    came_to(wait_one(&counter, PATIENCE_MS), "done");
    mill_stop(mill);
    counter_close(&counter);
}

/* One command sleeps in Redis; looks grow rarer. */
static void an_idle_wait_hardly_asks(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    publish(&counter, "1");
    wait_one(&counter, 0); /* the script is there */
    long long reads = redis_calls(redis, "xread"), looks = redis_calls(redis, "evalsha");
    came_to(wait_one(&counter, 2000), "open");
    assert_in_range(redis_calls(redis, "xread") - reads, 2,
                    10); /* looks at 0.25, 0.75, 1.75 s and at the end, each reads once more */
    assert_in_range(redis_calls(redis, "evalsha") - looks, 1, 5);
    counter_close(&counter);
}

/* Of several queues stream names the one that is published to, and that one's group is waited for. */
static void of_several_queues_the_one_that_was_published_to_is_waited_for(void **state)
{
    static const char queues[] = "[\"other\", {\"stream\": \"jobs\", \"group\": \"h\", \"completed_max\": 10}]";
    struct seen *seen = *state;
    seen_set(seen, "group", "elsewhere");
    seen_set(seen, "queues", queues);
    struct counter counter = counter_open(seen);
    struct mill *mill = answering(seen, "10", "queues", queues);
    publish(&counter, "1");
    came_to(wait_one(&counter, PATIENCE_MS), "done");
    publish(&counter, "\"dead\"");
    came_to(wait_one(&counter, PATIENCE_MS), "dead");
    mill_stop(mill);
    counter_close(&counter);
}

/* ── duplicates ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void of_a_duplicate_the_job_that_opened_its_window_is_told(void **state)
{
    struct seen *seen = *state;
    struct desk *first = desk_open(seen->scene, NULL);
    struct mill *mill = answering(seen, "1000", NULL, NULL);
    assert_int_equal(PUBLISH(first, "1", .unique = "one"), QUERN_OK);
    assert_int_equal(PUBLISH(first, "2", .unique = "two", .delay_ms = 1), QUERN_OK);
    assert_int_equal(PUBLISH(first, "\"dead\"", .unique = "three"), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 2 && mill_stat(mill, "jobs", "dead") == 1);
    struct counter counter = counter_open(seen); /* their end is past */
    static const char *const keys[] = {"one", "two", "three"}, *const outcomes[] = {"done", "done", "dead"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(PUBLISH(counter.desk, "9", .unique = keys[i]), QUERN_OK);
        assert_true(counter.desk->receipt.is_duplicate);
        came_to(wait_one(&counter, 0), outcomes[i]);
        assert_string_equal(seen_text(seen_row(seen->answer, 0), "id"), counter.desk->receipt.id);
    }
    quern_receipt both[] = {counter.desk->receipt, counter.desk->receipt};
    json_t *list = wait_list(&counter, both, 2, 0);
    came_to(seen_row(list, 0), "dead");
    came_to(seen_row(list, 1), "dead");
    mill_stop(mill);
    counter_close(&counter);
    desk_close(first);
}

/* ── no record ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void without_a_log_it_is_said_that_it_has_ended_and_why_no_more_is_known(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "0", NULL, NULL);
    publish(&counter, "1");
    json_t *row = wait_one(&counter, PATIENCE_MS);
    came_to(row, "unknown");
    assert_non_null(strstr(seen_text(row, "error"), "group g keeps no completed log; set completed_max above 0"));
    assert_int_equal(PUBLISH(counter.desk, "1", .delay_ms = 300), QUERN_OK);
    came_to(wait_one(&counter, 100), "open");
    came_to(wait_one(&counter, PATIENCE_MS), "unknown");
    publish(&counter, "\"dead\"");
    came_to(wait_one(&counter, PATIENCE_MS), "dead");
    mill_stop(mill);
    counter_close(&counter);
}

static void a_record_that_was_trimmed_before_it_was_read_is_said(void **state)
{
    struct counter counter = counter_open(*state);
    struct mill *mill = answering(*state, "1", NULL, NULL);
    publish(&counter, "1");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    redis_ask(&counter.seen->scene->redis, "XTRIM", "jobs:g:completed", "MAXLEN", "0");
    json_t *row = wait_one(&counter, 0);
    came_to(row, "unknown");
    assert_non_null(strstr(seen_text(row, "error"), "not in the completed log of group g: trimmed (completed_max)"));
    mill_stop(mill);
    counter_close(&counter);
}

/* Wherever a job may be, it is not taken for one that has ended. */
static void a_job_that_is_anywhere_before_the_group_has_not_ended(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    const char *id = counter.desk->receipt.id, *entry = counter.desk->receipt.entry;
    publish(&counter, "1");
    came_to(wait_one(&counter, 0), "open"); /* no group yet */
    seen_group(redis);
    came_to(wait_one(&counter, 0), "open"); /* unread */
    redis_ask(redis, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "jobs", ">");
    came_to(wait_one(&counter, 0), "open"); /* held */
    seen_shelve(redis, "jobs:g:delayed", "s:1-1", "1999999999999", "id", id, "event", "e", "data", "1", NULL);
    redis_ask(redis, "XACK", "jobs", "g", entry);
    came_to(wait_one(&counter, 0), "open"); /* delayed */
    redis_ask(redis, "XADD", "jobs:g:retry", "*", "id", id, "event", "e", "data", "1");
    redis_ask(redis, "DEL", "jobs:g:delayed", "jobs:g:delayed:jobs");
    came_to(wait_one(&counter, 0), "open"); /* to be tried again */
    redis_ask(redis, "XADD", "jobs:g:alone", "*", "id", id, "event", "e", "data", "1");
    redis_ask(redis, "DEL", "jobs:g:retry");
    came_to(wait_one(&counter, 0), "open"); /* alone */
    redis_ask(redis, "DEL", "jobs:g:alone");
    came_to(wait_one(&counter, 0), "unknown");
    counter_close(&counter);
}

/* Each wait looks once, while jobs fail, wait, come back, and change their pool. */
static void no_job_is_taken_for_ended_while_it_goes_from_place_to_place(void **state)
{
    enum { JOBS = 200, POOLS = 4 };
    struct counter counter = counter_open(*state);
    quern_receipt receipts[JOBS];
    size_t ended = 0;
    struct mill *mill = answering(counter.seen, "10000", "retry_factor", "2");
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(i % 5 ? PUBLISH(counter.desk, "\"thrice\"") : PUBLISH(counter.desk, "\"thrice\"", .delay_ms = 20),
                         QUERN_OK);
        receipts[i] = counter.desk->receipt;
    }
    int64_t from_ms = wait_now_ms();
    for (int looks = 0; ended < JOBS && wait_now_ms() - from_ms < PATIENCE_MS; looks++) {
        json_t *list = wait_list(&counter, receipts, JOBS, 0);
        ended = 0;
        for (size_t i = 0; i < JOBS; i++) {
            if (strcmp(seen_text(seen_row(list, i), "outcome"), "open") == 0) continue;
            came_to(seen_row(list, i), "done");
            ended++;
        }
        if (looks % 20 != 10 || looks >= 20 * POOLS) continue;
        mill_stop(mill);
        mill = answering(counter.seen, "10000", "retry_factor", "2");
    }
    assert_int_equal(ended, JOBS);
    mill_stop(mill);
    counter_close(&counter);
}

/* More than a look may go through: nobody can tell, so nothing is said. */
static void among_very_many_retries_no_end_is_guessed(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    seen_group(redis);
    publish(&counter, "1");
    redis_ask(redis, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "jobs", ">");
    redis_ask(redis, "XACK", "jobs", "g", counter.desk->receipt.entry);
    redis_ask(redis, "EVAL", "for i = 1, 1001 do redis.call('XADD', KEYS[1], '*', 'id', i, 'event', 'e', 'data', '1') end", "1",
              "jobs:g:retry");
    came_to(wait_one(&counter, 0), "open");
    redis_ask(redis, "XTRIM", "jobs:g:retry", "MAXLEN", "900");
    came_to(wait_one(&counter, 0), "unknown");
    counter_close(&counter);
}

static void what_is_run_at_most_once_is_not_taken_for_ended(void **state)
{
    struct seen *seen = *state;
    seen_set(seen, "delivery", "at-most-once");
    struct counter counter = counter_open(seen);
    seen_group(&seen->scene->redis);
    publish(&counter, "1");
    redis_ask(&seen->scene->redis, "XREADGROUP", "GROUP", "g", "a", "NOACK", "STREAMS", "jobs", ">");
    came_to(wait_one(&counter, 0), "open");
    counter_close(&counter);
}

static void another_groups_end_is_none(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    struct mill *mill = mill_new(counter.seen->scene, "completed_max", "10", "group", "h", NULL);
    mill->verdict = QUERN_DEAD;
    mill_started(mill);
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "g", "0");
    publish(&counter, "1");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    came_to(wait_one(&counter, 0), "open");
    mill_stop(mill);
    counter_close(&counter);
}

/* Both streams are open to everybody. */
static void records_that_are_none_are_passed_over(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    char longer[200], zero[400];
    publish(&counter, "1");
    snprintf(longer, sizeof longer, "%s%0100d", counter.desk->receipt.id, 1);
    snprintf(zero, sizeof zero, "{\"group\": \"g\", \"original_id\": \"%s\\u0000%0100d\"}", counter.desk->receipt.id, 1);
    redis_ask(redis, "XADD", "jobs:g:completed", "*", "what", "is this");
    redis_ask(redis, "XADD", "jobs:g:completed", "*", "id", longer);
    redis_ask(redis, "XADD", "jobs:g:completed", "*", "id", "", "retries", "-1");
    redis_ask(redis, "XADD", "jobs:failed", "*", "data", "no JSON");
    redis_ask(redis, "XADD", "jobs:failed", "*", "data", "[]");
    redis_ask(redis, "XADD", "jobs:failed", "*", "data", "{\"group\": 7, \"original_id\": {}}");
    redis_ask(redis, "XADD", "jobs:failed", "*", "data", zero);
    came_to(wait_one(&counter, 0), "open");
    snprintf(zero, sizeof zero,
             "{\"group\": \"g\", \"original_id\": \"%s\", \"retries\": 99999999999999999999, \"error\": 1.5}",
             counter.desk->receipt.id);
    redis_ask(redis, "XADD", "jobs:failed", "*", "data", zero);
    came_to(wait_one(&counter, 0), "dead");
    counter_close(&counter);
}

/* ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct later {
    pthread_t thread;
    struct counter *counter;
    char *text;
    _Atomic bool has_ended;
};

static void *wait_later(void *given)
{
    struct later *later = given;
    later->text = quern_waiter_wait(later->counter->waiter, &later->counter->desk->receipt, 1, PATIENCE_MS, NULL);
    atomic_store(&later->has_ended, true);
    return NULL;
}

static void a_wait_goes_on_through_lost_connections(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    struct later later = {.counter = &counter};
    publish(&counter, "1");
    assert_int_equal(pthread_create(&later.thread, NULL, wait_later, &later), 0);
    for (int i = 0; i < 3; i++) wait_for(redis_cut(redis, ":waiter") == 1);
    struct mill *mill = answering(counter.seen, "10", NULL, NULL);
    wait_for(later.has_ended);
    pthread_join(later.thread, NULL);
    came_to(seen_row(seen_take(counter.seen, later.text), 0), "done");
    mill_stop(mill);
    counter_close(&counter);
}

static void what_is_wrong_is_refused(void **state)
{
    struct seen *seen = *state;
    struct counter counter = counter_open(seen);
    quern_receipt receipts[2] = {{.code = QUERN_OK, .id = "a"}, {.code = QUERN_E_TIMEOUT, .id = "b"}};
    seen_refused(seen, quern_waiter_wait(counter.waiter, receipts, 2, 0, &seen->error), QUERN_E_ARGUMENT,
                 "receipt 2 of 2: its message was not published");
    seen_refused(seen, quern_waiter_wait(NULL, receipts, 1, 0, &seen->error), QUERN_E_ARGUMENT, "no waiter");
    seen_refused(seen, quern_waiter_wait(counter.waiter, NULL, 1, 0, &seen->error), QUERN_E_ARGUMENT, "no receipts");
    assert_int_equal(json_array_size(wait_list(&counter, NULL, 0, -1)), 0);
    assert_null(quern_waiter_open(NULL, &seen->error));
    assert_int_equal(seen->error.code, QUERN_E_ARGUMENT);
    redis_ask(&seen->scene->redis, "SET", "jobs:g:delayed:jobs", "a text");
    publish(&counter, "1");
    seen_refused(seen, quern_waiter_wait(counter.waiter, &counter.desk->receipt, 1, 0, &seen->error), QUERN_E_SERVER,
                 "delayed jobs holds a string");
    redis_ask(&seen->scene->redis, "SET", "jobs:g:completed", "a text");
    assert_null(quern_waiter_open(seen->config, &seen->error));
    assert_non_null(strstr(seen->error.text, "jobs:g:completed holds a string"));
    counter_close(&counter);
}

static void a_server_that_is_gone_is_said_when_the_time_is_over(void **state)
{
    struct seen *seen = *state;
    struct counter counter = counter_open(seen);
    publish(&counter, "1");
    redis_kill(&seen->scene->redis);
    int64_t from_ms = wait_now_ms();
    seen_refused(seen, quern_waiter_wait(counter.waiter, &counter.desk->receipt, 1, 500, &seen->error), QUERN_E_CONNECT, "");
    assert_in_range(wait_now_ms() - from_ms, 500, PATIENCE_MS);
    redis_again(&seen->scene->redis);
    counter_close(&counter);
}

static void a_user_with_the_rights_that_are_named_may_wait_and_a_missing_one_is_named(void **state)
{
    static const char *const rights[] = {"-@all",  "~jobs*", "+xread",    "+eval",           "+evalsha",   "+hexists",
                                         "+hscan", "+xinfo", "+xpending", "+xrange",         "+xrevrange", "+exists",
                                         "+type",  "+time",  "+info",     "+client|setname", "+client|id"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct desk *desk = desk_open(seen->scene, NULL);
    char url[160];
    redis_ask(redis, "ACL", "SETUSER", "waiter", "on", ">sesame", "resetkeys");
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) redis_ask(redis, "ACL", "SETUSER", "waiter", rights[i]);
    snprintf(url, sizeof url, "unix://waiter:sesame@%s", redis->socket);
    seen_set(seen, "redis", url);
    seen_group(redis);
    assert_int_equal(PUBLISH(desk, "1", .delay_ms = 60000), QUERN_OK);
    quern_waiter *waiter = quern_waiter_open(seen->config, &seen->error);
    came_to(seen_row(seen_take(seen, quern_waiter_wait(waiter, &desk->receipt, 1, 0, &seen->error)), 0), "open");
    redis_ask(redis, "DEL", "jobs:scheduled:jobs");
    came_to(seen_row(seen_take(seen, quern_waiter_wait(waiter, &desk->receipt, 1, 0, &seen->error)), 0), "unknown");
    redis_ask(redis, "ACL", "SETUSER", "waiter", "-xread");
    seen_refused(seen, quern_waiter_wait(waiter, &desk->receipt, 1, 0, &seen->error), QUERN_E_AUTH, "xread");
    quern_waiter_close(waiter);
    desk_close(desk);
}

static void waiting_changes_nothing(void **state)
{
    struct counter counter = counter_open(*state);
    struct redis *redis = &counter.seen->scene->redis;
    publish(&counter, "1");
    seen_group(redis);
    long long before = seen_changes(redis);
    wait_one(&counter, 0);
    assert_int_equal(seen_changes(redis), before);
    counter_close(&counter);
}

/* Each of them might be in any entry that has come since. Entries are read one by one: as many are read as there are calls. */
static void a_wait_for_many_does_not_hold_up_the_server_however_large_its_jobs_are(void **state)
{
    enum { JOBS = 64, ENTRIES = 8 };
    static char large[1 << 20];
    static quern_receipt receipts[JOBS];
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct counter counter = counter_open(seen);
    memset(large, 'x', sizeof large - 1);
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    for (int i = 0; i < ENTRIES; i++) redis_ask(redis, "XADD", "jobs", "*", "event", "e", "data", large);
    for (int i = 0; i < JOBS; i++) snprintf(receipts[i].id, sizeof receipts[i].id, "scheduled-%d", i);
    for (int i = 0; i < JOBS; i++) receipts[i].due_ms = 1;
    redis_ask(redis, "CONFIG", "RESETSTAT");
    came_to(seen_row(wait_list(&counter, receipts, JOBS, 0), 0), "open");
    assert_in_range(redis_calls(redis, "xrange"), 1, ENTRIES);
    counter_close(&counter);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(what_a_job_comes_to_is_told_with_its_result_or_its_error),
        SEEN(a_job_that_is_retried_is_waited_for_until_it_has_ended),
        SEEN(a_job_for_later_is_waited_for),
        SEEN(what_ended_before_the_wait_is_told_and_told_again),
        SEEN(many_jobs_are_told_in_the_order_of_their_receipts),
        SEEN(a_job_that_has_not_ended_in_time_is_open),
        SEEN(an_idle_wait_hardly_asks),
        SEEN(of_several_queues_the_one_that_was_published_to_is_waited_for),
        SEEN(of_a_duplicate_the_job_that_opened_its_window_is_told),
        SEEN(without_a_log_it_is_said_that_it_has_ended_and_why_no_more_is_known),
        SEEN(a_record_that_was_trimmed_before_it_was_read_is_said),
        SEEN(a_job_that_is_anywhere_before_the_group_has_not_ended),
        SEEN(no_job_is_taken_for_ended_while_it_goes_from_place_to_place),
        SEEN(among_very_many_retries_no_end_is_guessed),
        SEEN(what_is_run_at_most_once_is_not_taken_for_ended),
        SEEN(another_groups_end_is_none),
        SEEN(records_that_are_none_are_passed_over),
        SEEN(a_wait_goes_on_through_lost_connections),
        SEEN(what_is_wrong_is_refused),
        SEEN(a_server_that_is_gone_is_said_when_the_time_is_over),
        SEEN(a_user_with_the_rights_that_are_named_may_wait_and_a_missing_one_is_named),
        SEEN(waiting_changes_nothing),
        SEEN(a_wait_for_many_does_not_hold_up_the_server_however_large_its_jobs_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
