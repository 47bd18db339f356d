/* SPDX-License-Identifier: MIT */

/* promises/inspect: what a queue holds can be seen from outside, as it is, without changing it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/seen.h"

/* ── known states ────────────────────────────────────────────────────────────────────────────────────────────────── */

static void hand_out(struct redis *redis, const char *consumer, const char *stream, const char *count)
{
    redis_ask(redis, "XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", stream, ">");
}

static long long now_ms(struct redis *redis)
{
    const struct answer *time = redis_ask(redis, "TIME");
    return atoll(answer_at(time, 0)->text) * 1000 + atoll(answer_at(time, 1)->text) / 1000;
}

static void a_queue_is_counted_in_all_its_states(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char due[32];
    seen_group(redis);
    for (int i = 0; i < 7; i++) seen_add(redis, "jobs", "*");
    for (int i = 0; i < 3; i++) seen_add(redis, "jobs:g:retry", "*");
    hand_out(redis, "a", "jobs", "2");
    hand_out(redis, "b", "jobs", "1");
    hand_out(redis, "a", "jobs:g:retry", "1");
    snprintf(due, sizeof due, "%lld", now_ms(redis) + 3600000);
    redis_ask(redis, "ZADD", "jobs:scheduled", "99999999999999", "a", "99999999999999", "b", "99999999999999", "c");
    redis_ask(redis, "ZADD", "jobs:g:delayed", due, "s:1-1", "99999999999999", "s:1-2");
    for (int i = 0; i < 5; i++) seen_add(redis, "jobs:failed", "*");
    seen_add(redis, "jobs:g:completed", "*");

    json_t *now = seen_stats(seen);
    assert_string_equal(seen_text(now, "stream"), "jobs");
    assert_string_equal(seen_text(now, "group"), "g");
    assert_true(json_is_true(json_object_get(now, "has_group")));
    assert_int_equal(seen_number(now, "waiting"), 4 + 2);
    assert_int_equal(seen_number(now, "waiting_at_least"), 4 + 2);
    assert_int_equal(seen_number(now, "running"), 4);
    assert_int_equal(seen_number(now, "delayed"), 2);
    assert_int_equal(seen_number(now, "scheduled"), 3);
    assert_in_range(seen_number(now, "next_due_ms"), 3600000 - PATIENCE_MS, 3600000);
    assert_int_equal(seen_number(now, "dead"), 5);
    assert_int_equal(seen_number(now, "completed"), 1);
    assert_int_equal(seen_number(now, "length"), 7);
    assert_true(seen_null(now, "done_per_s"));
    const json_t *processes = json_object_get(now, "processes");
    assert_int_equal(json_array_size(processes), 2);
    assert_string_equal(seen_text(seen_row(processes, 0), "consumer"), "a");
    assert_int_equal(seen_number(seen_row(processes, 0), "held"), 3);
    assert_int_equal(seen_number(seen_row(processes, 1), "held"), 1);
    assert_in_range(seen_number(seen_row(processes, 1), "idle_ms"), 0, PATIENCE_MS);
}

static void how_old_the_oldest_are_is_seen_in_both_streams(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char entry[32];
    seen_group(redis);
    json_t *now = seen_stats(seen);
    assert_true(seen_null(now, "oldest_waiting_ms") && seen_null(now, "oldest_held_ms") && seen_null(now, "next_due_ms"));
    long long began_ms = now_ms(redis);
    snprintf(entry, sizeof entry, "%lld-0", began_ms - 70000000);
    seen_add(redis, "jobs", entry);
    snprintf(entry, sizeof entry, "%lld-0", began_ms - 60000000);
    seen_add(redis, "jobs", entry);
    hand_out(redis, "a", "jobs", "1");
    now = seen_stats(seen);
    assert_in_range(seen_number(now, "oldest_waiting_ms"), 60000000, 60000000 + PATIENCE_MS);
    assert_in_range(seen_number(now, "oldest_held_ms"), 70000000, 70000000 + PATIENCE_MS);
    snprintf(entry, sizeof entry, "%lld-0", began_ms - 90000000);
    seen_add(redis, "jobs:g:retry", entry);
    assert_in_range(seen_number(seen_stats(seen), "oldest_waiting_ms"), 90000000, 90000000 + PATIENCE_MS);
    hand_out(redis, "a", "jobs:g:retry", "1");
    now = seen_stats(seen);
    assert_in_range(seen_number(now, "oldest_held_ms"), 90000000, 90000000 + PATIENCE_MS);
    assert_in_range(seen_number(now, "oldest_waiting_ms"), 60000000, 60000000 + PATIENCE_MS);
}

static bool has_lag(struct redis *redis)
{
    const struct answer *groups = redis_ask(redis, "XINFO", "GROUPS", "jobs");
    return answer_of(answer_at(groups, 0), "lag")->kind == ':';
}

static void what_redis_has_lost_count_of_is_counted_up_to_a_bound(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    for (int i = 0; i < 100; i++) seen_add(redis, "jobs", "*");
    hand_out(redis, "a", "jobs", "1");
    seen_add(redis, "jobs", "9999999999999-0");
    redis_ask(redis, "XDEL", "jobs", "9999999999999-0");
    assert_false(has_lag(redis));
    assert_int_equal(seen_number(seen_stats(seen), "waiting"), 99);
    for (int i = 0; i < 1000; i++) seen_add(redis, "jobs", "*");
    assert_false(has_lag(redis));
    json_t *now = seen_stats(seen);
    assert_true(seen_null(now, "waiting"));
    assert_in_range(seen_number(now, "waiting_at_least"), 1000, 1099);
}

static void a_pools_jobs_are_seen_running_delayed_and_dead(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, "retry_base_ms", "3600000", NULL);
    atomic_store(&mill->is_shut, true);
    mill_started(mill);
    scene_publish(seen->scene, 0, 10);
    wait_for(mill->inside == 2);
    wait_for(seen_number(seen_stats(seen), "running") + seen_number(seen->answer, "waiting") == 10);
    assert_true(seen_number(seen->answer, "running") >= 2);
    assert_int_equal(json_array_size(json_object_get(seen->answer, "processes")), 1);
    assert_true(json_array_size(seen_pending(seen, 100)) >= 2);

    atomic_store(&mill->verdict, QUERN_RETRY);
    atomic_store(&mill->is_shut, false);
    wait_for(seen_number(seen_stats(seen), "delayed") == 10);
    atomic_store(&mill->verdict, QUERN_DEAD);
    scene_publish(seen->scene, 10, 3);
    wait_for(seen_number(seen_stats(seen), "dead") == 3);
    assert_int_equal(seen_number(seen_stats(seen), "running") + seen_number(seen->answer, "waiting"), 0);
    mill_stop(mill);
    json_t *letters = seen_dead(seen, 100);
    assert_int_equal(json_array_size(letters), 3);
    assert_string_equal(seen_text(seen_row(letters, 0), "reason"), "rejected");
    assert_string_equal(seen_text(seen_row(letters, 0), "group"), "g");
    assert_string_equal(seen_text(seen_row(letters, 0), "original_event"), "job");
    assert_int_equal(seen_number(seen_row(letters, 0), "deliveries"), 1);
    seen_letter(seen, seen_text(seen_row(letters, 1), "original_id"));
    assert_true(json_is_integer(json_object_get(json_object_get(seen->answer, "data"), "original_data")));
}

/* What was done between two looks lies within what was done around them. */
static void how_fast_jobs_are_settled_is_seen_by_looking_twice(void **state)
{
    enum { JOBS = 20000, SAMPLE_MS = 400, UNCOUNTED = 2048 /* settled in Redis, and not in the statistics yet */ };
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, NULL);
    atomic_store(&mill->work_us, 100);
    mill_started(mill);
    scene_publish(seen->scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") > 10);
    long long before = mill_stat(mill, "jobs", "done");
    json_t *now = seen_take(seen, quern_queue_stats(seen->config, SAMPLE_MS, &seen->error));
    long long settled = mill_stat(mill, "jobs", "done") + UNCOUNTED - before;
    double rate = json_number_value(json_object_get(now, "done_per_s"));
    if (!(rate > 0) || rate > (double)settled * 1000 / SAMPLE_MS) fail_msg("%f per second, %lld settled", rate, settled);
    mill_stop(mill);
}

/* ── what is pending ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void pending_jobs_of_both_streams_are_listed_oldest_first(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    assert_int_equal(json_array_size(seen_pending(seen, 100)), 0);
    seen_add(redis, "jobs", "1000-0");
    seen_add(redis, "jobs", "3000-0");
    redis_ask(redis, "XADD", "jobs:g:retry", "2000-0", "id", "two", "event", "e", "data", "1", "quern_retries", "5");
    hand_out(redis, "a", "jobs", "1");
    hand_out(redis, "b", "jobs", "1");
    hand_out(redis, "b", "jobs:g:retry", "1");
    json_t *list = seen_pending(seen, 100);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(seen_text(seen_row(list, 0), "entry"), "1000-0");
    assert_string_equal(seen_text(seen_row(list, 0), "stream"), "jobs");
    assert_string_equal(seen_text(seen_row(list, 0), "consumer"), "a");
    assert_string_equal(seen_text(seen_row(list, 0), "event"), "e");
    assert_int_equal(seen_number(seen_row(list, 0), "retries"), 2);
    assert_int_equal(seen_number(seen_row(list, 0), "deliveries"), 1);
    assert_true(seen_number(seen_row(list, 0), "age_ms") > 1000000);
    assert_in_range(seen_number(seen_row(list, 0), "idle_ms"), 0, PATIENCE_MS);
    assert_string_equal(seen_text(seen_row(list, 1), "entry"), "2000-0");
    assert_string_equal(seen_text(seen_row(list, 1), "stream"), "jobs:g:retry");
    assert_string_equal(seen_text(seen_row(list, 1), "id"), "two");
    assert_int_equal(seen_number(seen_row(list, 1), "retries"), 5);
    assert_string_equal(seen_text(seen_row(list, 2), "entry"), "3000-0");
    assert_int_equal(json_array_size(seen_pending(seen, 2)), 2);
    assert_string_equal(seen_text(seen_row(seen->answer, 1), "entry"), "2000-0");
    assert_int_equal(json_array_size(seen_pending(seen, 0)), 0);
}

static void more_pending_jobs_than_one_page_are_listed(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    for (int i = 0; i < 600; i++) seen_add(redis, "jobs", "*");
    hand_out(redis, "a", "jobs", "600");
    json_t *list = seen_pending(seen, 1000);
    assert_int_equal(json_array_size(list), 600);
    for (size_t i = 1; i < 600; i++)
        assert_string_not_equal(seen_text(seen_row(list, i), "entry"), seen_text(seen_row(list, i - 1), "entry"));
    assert_string_equal(seen_text(seen_row(list, 599), "id"), "one");
    assert_int_equal(json_array_size(seen_pending(seen, 512)), 512);
}

static void a_pending_job_that_is_gone_or_strange_is_listed_with_nulls(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    seen_add(redis, "jobs", "1000-0");
    redis_ask(redis, "XADD", "jobs", "2000-0", "what", "ever");
    redis_ask(redis, "XADD", "jobs", "3000-0", "id", "\xff\x80", "event", "\xc3\x28", "data", "{}");
    redis_ask(redis, "XADD", "jobs", "4000-0", "job", "{\"id\": \"in one\", \"event\": \"field\", \"data\": 1}");
    hand_out(redis, "\xfe", "jobs", "4");
    redis_ask(redis, "XDEL", "jobs", "1000-0");
    json_t *list = seen_pending(seen, 100);
    assert_int_equal(json_array_size(list), 4);
    assert_true(seen_null(seen_row(list, 0), "consumer"));
    assert_string_equal(seen_text(seen_row(list, 0), "consumer_hex"), "fe");
    assert_true(seen_null(seen_row(list, 0), "id") && seen_null(seen_row(list, 0), "event") &&
                seen_null(seen_row(list, 0), "retries"));
    assert_true(seen_null(seen_row(list, 0), "age_ms"));
    assert_true(seen_null(seen_row(list, 1), "event") && seen_null(seen_row(list, 1), "retries"));
    assert_true(seen_null(seen_row(list, 2), "id") && seen_null(seen_row(list, 2), "event"));
    assert_string_equal(seen_text(seen_row(list, 2), "id_hex"), "ff80");
    assert_string_equal(seen_text(seen_row(list, 2), "event_hex"), "c328");
    assert_string_equal(seen_text(seen_row(list, 3), "id"), "in one");
    assert_string_equal(seen_text(seen_row(list, 3), "event"), "field");
}

/* ── what is missing, and what is refused ────────────────────────────────────────────────────────────────────────── */

static void a_missing_stream_is_named(void **state)
{
    struct seen *seen = *state;
    seen_refused(seen, quern_queue_stats(seen->config, 0, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_refused(seen, quern_queue_pending(seen->config, 9, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_refused(seen, quern_queue_dead(seen->config, 9, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_refused(seen, quern_queue_letter(seen->config, "1-1", &seen->error), QUERN_E_GONE, "no stream jobs");
    assert_null(quern_queue_stats(seen->config, 0, NULL));
}

static void a_missing_group_has_nothing(void **state)
{
    struct seen *seen = *state;
    for (int i = 0; i < 3; i++) seen_add(&seen->scene->redis, "jobs", "*");
    redis_ask(&seen->scene->redis, "XGROUP", "CREATE", "jobs", "other", "0");
    json_t *now = seen_take(seen, quern_queue_stats(seen->config, 1, &seen->error));
    assert_true(json_is_false(json_object_get(now, "has_group")));
    assert_true(seen_null(now, "waiting") && seen_null(now, "oldest_waiting_ms") && seen_null(now, "done_per_s"));
    assert_int_equal(seen_number(now, "running"), 0);
    assert_int_equal(seen_number(now, "length"), 3);
    assert_int_equal(json_array_size(json_object_get(now, "processes")), 0);
    assert_int_equal(json_array_size(seen_pending(seen, 9)), 0);
    assert_int_equal(json_array_size(seen_dead(seen, 9)), 0);
}

static void what_cannot_be_looked_at_is_said(void **state)
{
    struct seen *seen = *state;
    quern_config *bare = quern_config_new();
    seen_refused(seen, quern_queue_stats(NULL, 0, &seen->error), QUERN_E_ARGUMENT, "configuration");
    seen_refused(seen, quern_queue_stats(seen->config, -1, &seen->error), QUERN_E_ARGUMENT, "sample_ms");
    seen_refused(seen, quern_queue_pending(bare, 9, &seen->error), QUERN_E_CONFIG, "redis");
    quern_config_free(bare);
    redis_ask(&seen->scene->redis, "SET", "jobs:g:delayed", "a text");
    seen_add(&seen->scene->redis, "jobs", "*");
    seen_refused(seen, quern_queue_stats(seen->config, 0, &seen->error), QUERN_E_SERVER, "jobs:g:delayed holds a string");
    seen_set(seen, "redis", "unix:///nobody/listens/here");
    seen_refused(seen, quern_queue_dead(seen->config, 9, &seen->error), QUERN_E_CONNECT, "no Redis at");
}

static long long changes(struct redis *redis)
{
    const struct answer *info = redis_ask(redis, "INFO", "persistence");
    const char *at = info->text ? strstr(info->text, "rdb_changes_since_last_save:") : NULL;
    if (!at) fail_msg("no such number in INFO");
    return atoll(strchr(at, ':') + 1);
}

static void looking_changes_nothing(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    for (int i = 0; i < 5; i++) seen_add(redis, "jobs", "*");
    hand_out(redis, "a", "jobs", "2");
    redis_ask(redis, "XADD", "jobs:failed", "1-1", "data", "{\"original_id\": \"job-1\"}");
    long long before = changes(redis);
    assert_true(before > 0);
    seen_take(seen, quern_queue_stats(seen->config, 1, &seen->error));
    seen_pending(seen, 9);
    seen_dead(seen, 9);
    seen_letter(seen, "job-1");
    assert_int_equal(changes(redis), before);
    assert_int_equal(seen_number(seen_row(seen_pending(seen, 9), 0), "deliveries"), 1);
    assert_int_equal(redis_calls(redis, "evalsha") + redis_calls(redis, "eval"), 0);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(a_queue_is_counted_in_all_its_states),
        SEEN(how_old_the_oldest_are_is_seen_in_both_streams),
        SEEN(what_redis_has_lost_count_of_is_counted_up_to_a_bound),
        SEEN(a_pools_jobs_are_seen_running_delayed_and_dead),
        SEEN(how_fast_jobs_are_settled_is_seen_by_looking_twice),
        SEEN(pending_jobs_of_both_streams_are_listed_oldest_first),
        SEEN(more_pending_jobs_than_one_page_are_listed),
        SEEN(a_pending_job_that_is_gone_or_strange_is_listed_with_nulls),
        SEEN(a_missing_stream_is_named),
        SEEN(a_missing_group_has_nothing),
        SEEN(what_cannot_be_looked_at_is_said),
        SEEN(looking_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
