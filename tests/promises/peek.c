/* SPDX-License-Identifier: MIT */

/* promises/peek: the jobs at each place of a queue can be seen one by one, as they are, without changing anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/seen.h"

#define FAR "1999999999999"

static void add(struct redis *redis, const char *stream, const char *entry, const char *id, const char *data)
{
    redis_ask(redis, "XADD", stream, entry, "id", id, "event", "e", "data", data, "retries", "2");
}

static void is_row(const json_t *list, size_t i, const char *entry, const char *id)
{
    assert_string_equal(seen_text(seen_row(list, i), "entry"), entry);
    assert_string_equal(seen_text(seen_row(list, i), "id"), id);
}

static void what_waits_is_listed_behind_what_was_handed_out(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    assert_int_equal(json_array_size(seen_peek(seen, "waiting", 9)), 0);
    add(redis, "jobs", "1000-0", "one", "1");
    add(redis, "jobs", "3000-0", "three", "{\"n\": 1.10}");
    add(redis, "jobs", "4000-0", "four", "4");
    redis_ask(redis, "XADD", "jobs:g:retry", "2000-0", "id", "two", "event", "e", "data", "2", "quern_retries", "5");
    redis_ask(redis, "XREADGROUP", "GROUP", "g", "a", "COUNT", "1", "STREAMS", "jobs", ">");
    json_t *list = seen_peek(seen, "waiting", 9);
    assert_int_equal(json_array_size(list), 3);
    is_row(list, 0, "3000-0", "three");
    is_row(list, 1, "4000-0", "four");
    is_row(list, 2, "2000-0", "two");
    assert_string_equal(seen_text(seen_row(list, 0), "stream"), "jobs");
    assert_string_equal(seen_text(seen_row(list, 2), "stream"), "jobs:g:retry");
    assert_string_equal(seen_text(seen_row(list, 0), "event"), "e");
    assert_int_equal(seen_number(seen_row(list, 0), "retries"), 2);
    assert_int_equal(seen_number(seen_row(list, 2), "retries"), 5);
    assert_true(seen_number(seen_row(list, 0), "age_ms") > 1000000);
    assert_int_equal(json_array_size(seen_peek(seen, "waiting", 1)), 1);
    assert_int_equal(json_array_size(seen_peek(seen, "waiting", 0)), 0);
    assert_int_equal(json_array_size(seen_peek(seen, "running", 9)), 1);
    assert_string_equal(seen_text(seen_row(seen->answer, 0), "consumer"), "a");
}

static void data_is_given_byte_for_byte_or_in_hex(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    add(redis, "jobs", "1000-0", "one", "{ \"n\": 1.10, \"m\": 123456789012345678901234567890}");
    add(redis, "jobs", "2000-0", "two", "no JSON");
    redis_ask(redis, "XADD", "jobs", "3000-0", "id", "three", "event", "e", "data", "7", "data_type", "bytes");
    redis_ask(redis, "XADD", "jobs", "4000-0", "what", "\xff");
    char *text = quern_queue_peek(seen->config, "waiting", 9, &seen->error);
    assert_non_null(text);
    assert_non_null(strstr(text, ",\"data\":{ \"n\": 1.10, \"m\": 123456789012345678901234567890}}"));
    assert_non_null(strstr(text, "\"data\":null,\"data_hex\":\"6e6f204a534f4e\"}"));
    assert_non_null(strstr(text, "\"data\":null,\"data_hex\":\"37\"}"));
    assert_non_null(strstr(text, "\"event\":null,\"retries\":null,\"age_ms\":null,\"data\":null}"));
    quern_free(text);
}

static void more_than_a_page_is_listed(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char entry[24], due[24];
    seen_group(redis);
    for (int i = 1; i <= 100; i++) {
        snprintf(entry, sizeof entry, "%d-0", i);
        snprintf(due, sizeof due, "19999999%05d", i);
        add(redis, "jobs", entry, entry, "1");
        redis_ask(redis, "XADD", "jobs:g:completed", entry, "id", entry);
        seen_shelve(redis, "jobs:scheduled", entry, due, "id", entry, "event", "e", "data", "1", NULL);
    }
    assert_int_equal(json_array_size(seen_peek(seen, "waiting", 1000)), 100);
    is_row(seen->answer, 99, "100-0", "100-0");
    assert_int_equal(json_array_size(seen_peek(seen, "waiting", 64)), 64);
    assert_int_equal(json_array_size(seen_peek(seen, "completed", 1000)), 100);
    is_row(seen->answer, 0, "100-0", "100-0");
    is_row(seen->answer, 99, "1-0", "1-0");
    assert_int_equal(json_array_size(seen_peek(seen, "scheduled", 1000)), 100);
    for (int i = 1; i <= 100; i++) {
        snprintf(entry, sizeof entry, "%d-0", i);
        assert_string_equal(seen_text(seen_row(seen->answer, (size_t)i - 1), "id"), entry);
    }
}

static void what_waits_for_its_time_is_listed_first_due_first(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    seen_shelve(redis, "jobs:scheduled", "late", "1999999999999", "id", "late", "event", "e", "data", "{}", NULL);
    seen_shelve(redis, "jobs:scheduled", "\xff", "5", "id", "\xff", "event", "e", "data", "{}", NULL);
    seen_shelve(redis, "jobs:g:delayed", "s:9-9", FAR, "id", "d", "event", "e", "data", "1", "quern_entry", "1000-0",
                "quern_retries", "3", NULL);
    redis_ask(redis, "ZADD", "jobs:g:delayed", "1", "r:7-7", "2", "s:8-8");
    redis_ask(redis, "HSET", "jobs:g:delayed:jobs", "s:8-8", "no pack");
    json_t *list = seen_peek(seen, "scheduled", 9);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(seen_text(seen_row(list, 0), "id_hex"), "ff");
    assert_int_equal(seen_number(seen_row(list, 0), "due_ms"), 0);
    assert_string_equal(seen_text(seen_row(list, 0), "due_at"), "1970-01-01T00:00:00.005000+00:00");
    assert_string_equal(seen_text(seen_row(list, 1), "id"), "late");
    assert_true(seen_number(seen_row(list, 1), "due_ms") > 1000000);
    assert_true(seen_null(seen_row(list, 1), "entry") && seen_null(seen_row(list, 1), "age_ms"));
    list = seen_peek(seen, "delayed", 9);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(seen_text(seen_row(list, 0), "entry"), "7-7"); /* somebody has deleted it */
    assert_true(seen_null(seen_row(list, 0), "id") && seen_null(seen_row(list, 0), "data"));
    assert_true(seen_null(seen_row(list, 1), "event"));
    is_row(list, 2, "9-9", "d");
    assert_int_equal(seen_number(seen_row(list, 2), "retries"), 3);
    assert_true(seen_number(seen_row(list, 2), "age_ms") > 1000000);
}

static void a_pools_jobs_are_seen_where_they_are(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, "retry_base_ms", "3600000", "completed_max", "100", NULL);
    mill_started(mill);
    scene_publish(seen->scene, 0, 3);
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    atomic_store(&mill->verdict, QUERN_RETRY);
    scene_publish(seen->scene, 3, 2);
    wait_for(seen_number(seen_stats(seen), "delayed") == 2);
    atomic_store(&mill->verdict, QUERN_DEAD);
    scene_publish(seen->scene, 5, 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    mill_stop(mill);
    json_t *list = seen_peek(seen, "delayed", 9);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(seen_text(seen_row(list, 0), "event"), "job");
    assert_int_equal(seen_number(seen_row(list, 0), "retries"), 1);
    assert_true(json_is_integer(json_object_get(seen_row(list, 0), "data")));
    list = seen_peek(seen, "completed", 9);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(seen_text(seen_row(list, 0), "event"), "job");
    assert_int_equal(seen_number(seen_row(list, 0), "retries"), 0);
    assert_true(json_is_real(json_object_get(seen_row(list, 0), "run_ms")));
    assert_int_equal(json_array_size(seen_peek(seen, "dead", 9)), 1);
    assert_int_equal(json_array_size(seen_peek(seen, "waiting", 9)), 0);
}

static void jobs_that_run_alone_are_listed(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "XADD", "jobs:g:alone", "1000-0", "id", "one", "event", "e", "data", "1", "quern_deliveries", "1");
    is_row(seen_peek(seen, "alone", 9), 0, "1000-0", "one");
    assert_string_equal(seen_text(seen_row(seen->answer, 0), "stream"), "jobs:g:alone");
    assert_int_equal(seen_number(seen_stats(seen), "alone"), 1);
}

/* It is held as any other, by whom, and waits no more. */
static void a_job_that_runs_alone_is_among_those_that_run(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, "consumer", "me", NULL);
    mill->is_shut = true;
    mill_started(mill);
    redis_ask(&seen->scene->redis, "XADD", "jobs:g:alone", "1000-0", "id", "one", "event", "e", "data", "1");
    wait_for(mill->inside == 1);
    is_row(seen_peek(seen, "running", 9), 0, "1000-0", "one");
    assert_memory_equal(seen_text(seen_row(seen->answer, 0), "consumer"), "me-", 3);
    json_t *stats = seen_stats(seen);
    assert_int_equal(seen_number(stats, "running"), 1);
    assert_int_equal(seen_number(stats, "alone"), 0);
    assert_int_equal(seen_number(seen_row(json_object_get(stats, "processes"), 0), "held"), 1);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void where_there_is_nothing_to_look_at_it_is_said(void **state)
{
    static const char *const ours[] = {"waiting", "delayed", "alone", "completed", "batches"};
    struct seen *seen = *state;
    seen_refused(seen, quern_queue_peek(seen->config, "sleeping", 9, &seen->error), QUERN_E_ARGUMENT,
                 "'sleeping' is no place to look at; right would be waiting, running,");
    seen_refused(seen, quern_queue_peek(seen->config, NULL, 9, &seen->error), QUERN_E_ARGUMENT, "right would be");
    assert_null(quern_queue_peek(seen->config, "x", 9, NULL));
    seen_refused(seen, quern_queue_peek(seen->config, "scheduled", 9, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_refused(seen, quern_queue_peek(seen->config, "waiting", 9, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_group(&seen->scene->redis);
    seen_set(seen, "group", "h");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        seen_refused(seen, quern_queue_peek(seen->config, ours[i], 9, &seen->error), QUERN_E_GONE, "has no group h");
    assert_int_equal(json_array_size(seen_peek(seen, "scheduled", 9)), 0);
    redis_ask(&seen->scene->redis, "SET", "jobs:scheduled:jobs", "a text");
    seen_refused(seen, quern_queue_peek(seen->config, "scheduled", 9, &seen->error), QUERN_E_SERVER,
                 "jobs:scheduled:jobs holds a string");
}

static void peeking_changes_nothing(void **state)
{
    static const char *const places[] = {"waiting", "running", "delayed", "scheduled", "alone", "dead", "completed", "batches"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    add(redis, "jobs", "1000-0", "one", "1");
    add(redis, "jobs:g:retry", "1000-0", "one", "1");
    seen_shelve(redis, "jobs:g:delayed", "s:9-9", FAR, "id", "d", "event", "e", "data", "1", NULL);
    long long before = seen_changes(redis), scripts = redis_calls(redis, "evalsha") + redis_calls(redis, "eval");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) seen_peek(seen, places[i], 9);
    assert_int_equal(seen_changes(redis), before);
    assert_int_equal(redis_calls(redis, "evalsha") + redis_calls(redis, "eval"), scripts);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(what_waits_is_listed_behind_what_was_handed_out),
        SEEN(data_is_given_byte_for_byte_or_in_hex),
        SEEN(more_than_a_page_is_listed),
        SEEN(what_waits_for_its_time_is_listed_first_due_first),
        SEEN(a_pools_jobs_are_seen_where_they_are),
        SEEN(jobs_that_run_alone_are_listed),
        SEEN(a_job_that_runs_alone_is_among_those_that_run),
        SEEN(where_there_is_nothing_to_look_at_it_is_said),
        SEEN(peeking_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
