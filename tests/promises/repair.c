/* SPDX-License-Identifier: MIT */

/* promises/repair: a place can be emptied, a group removed, a job cancelled before its time; and what runs is never touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"
#include "support/proxy.h"
#include "support/seen.h"

#define FAR "1999999999999"

static json_t *purge(struct seen *seen, const char *what, unsigned flags)
{
    return seen_take(seen, quern_queue_purge(seen->config, what, flags, &seen->error));
}

static json_t *cancel(struct seen *seen, const char *id, unsigned flags)
{
    return seen_take(seen, quern_queue_cancel(seen->config, id, flags, &seen->error));
}

static void hand_out(struct redis *redis, const char *group, const char *stream, const char *count)
{
    redis_ask(redis, "XREADGROUP", "GROUP", group, "a", "COUNT", count, "STREAMS", stream, ">");
}

static void add_many(struct redis *redis, const char *stream, int n)
{
    for (int i = 0; i < n; i++) seen_add(redis, stream, "*");
}

/* What XINFO says of a group. */
static long long told(struct redis *redis, const char *stream, const char *group, const char *name)
{
    const struct answer *groups = redis_ask(redis, "XINFO", "GROUPS", stream);
    for (size_t i = 0; i < groups->count; i++)
        if (answer_is(answer_of(answer_at(groups, i), "name"), group)) return answer_of(answer_at(groups, i), name)->number;
    fail_msg("no group %s in %s", group, stream);
    return -1;
}

/* ── purge ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void what_waits_is_passed_over_by_this_group_alone(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "h", "0");
    add_many(redis, "jobs", 10);
    add_many(redis, "jobs:g:retry", 600);
    hand_out(redis, "g", "jobs", "3");
    hand_out(redis, "g", "jobs:g:retry", "2");
    hand_out(redis, "h", "jobs", "1");
    long long before = seen_changes(redis);
    assert_int_equal(seen_number(purge(seen, "waiting", QUERN_DRY_RUN), "purged"), 7 + 598);
    assert_int_equal(seen_changes(redis), before);
    assert_int_equal(seen_number(purge(seen, "waiting", 0), "purged"), 7 + 598);
    assert_int_equal(seen_number(seen_stats(seen), "waiting"), 0);
    assert_int_equal(seen_number(seen->answer, "running"), 5);
    assert_int_equal(told(redis, "jobs", "g", "lag"), 0);
    assert_int_equal(told(redis, "jobs", "g", "entries-read"), 10);
    assert_int_equal(told(redis, "jobs", "h", "lag"), 9);
    assert_int_equal(told(redis, "jobs", "h", "pending"), 1);
    assert_int_equal(told(redis, "jobs:g:retry", "g", "lag"), 0);
    assert_int_equal(redis_number(redis, "XLEN", "jobs"), 10);
    assert_int_equal(redis_number(redis, "XLEN", "jobs:g:retry"), 2);
    assert_int_equal(seen_number(purge(seen, "waiting", 0), "purged"), 0);
    add_many(redis, "jobs", 4);
    add_many(redis, "jobs:g:retry", 3);
    assert_int_equal(seen_number(seen_stats(seen), "waiting"), 7);
}

static void what_redis_has_lost_count_of_is_passed_over_too(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    add_many(redis, "jobs", 20);
    hand_out(redis, "g", "jobs", "1");
    seen_add(redis, "jobs", "9999999999998-0");
    seen_add(redis, "jobs", "9999999999999-0");
    redis_ask(redis, "XDEL", "jobs", "9999999999998-0");
    assert_int_equal(seen_number(purge(seen, "waiting", QUERN_DRY_RUN), "purged"), 20);
    add_many(redis, "jobs", 1500);
    json_t *answer = purge(seen, "waiting", 0);
    assert_true(seen_null(answer, "purged"));
    assert_in_range(seen_number(answer, "purged_at_least"), 1000, 1520);
    assert_int_equal(seen_number(seen_stats(seen), "waiting"), 0);
}

static void a_pool_goes_on_behind_what_was_purged(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, "prefetch_max", "1", "threads", "1", "prefetch_ms", "0", NULL);
    atomic_store(&mill->is_shut, true);
    mill_started(mill);
    scene_publish(seen->scene, 0, 1000);
    wait_for(mill->inside == 1);
    wait_for(seen_number(seen_stats(seen), "running") + seen_number(seen->answer, "waiting") == 1000);
    long long purged = seen_number(purge(seen, "waiting", 0), "purged");
    assert_true(purged > 0 && purged < 1000);
    atomic_store(&mill->is_shut, false);
    scene_publish(seen->scene, 1000, 10);
    wait_for(mill_has_seen_once(mill, 1000, 10));
    wait_for(mill_stat(mill, "jobs", "done") == 1010 - purged);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    mill_stop(mill);
}

static void keys_go_whole_and_it_is_said_how_many_jobs(void **state)
{
    static const struct {
        const char *what, *key, *other;
    } places[] = {{"delayed", "jobs:g:delayed", "jobs:g:delayed:jobs"},
                  {"scheduled", "jobs:scheduled", "jobs:scheduled:jobs"},
                  {"dead", "jobs:failed", "jobs:failed"},
                  {"completed", "jobs:g:completed", "jobs:g:completed"}};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        bool is_stream = !strcmp(places[i].key, places[i].other);
        assert_int_equal(seen_number(purge(seen, places[i].what, 0), "purged"), 0);
        if (is_stream) add_many(redis, places[i].key, 3);
        for (int n = 0; n < 3 && !is_stream; n++)
            seen_shelve(redis, places[i].key, (char[]){(char)('a' + n), 0}, FAR, "id", "a", "event", "e", "data", "1", NULL);
        long long before = seen_changes(redis);
        assert_int_equal(seen_number(purge(seen, places[i].what, QUERN_DRY_RUN), "purged"), 3);
        assert_int_equal(seen_changes(redis), before);
        assert_string_equal(seen_text(purge(seen, places[i].what, 0), "what"), places[i].what);
        assert_int_equal(seen_number(seen->answer, "purged"), 3);
        assert_int_equal(redis_number(redis, "EXISTS", places[i].key, places[i].other), 0);
    }
}

static void a_log_that_somebody_reads_stays_with_its_groups(void **state)
{
    enum { LETTERS = 10300 };
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "EVAL", "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'id', i) end", "1",
              "jobs:failed", "10300");
    redis_ask(redis, "XGROUP", "CREATE", "jobs:failed", "alarm", "0");
    hand_out(redis, "alarm", "jobs:failed", "1");
    assert_int_equal(seen_number(purge(seen, "dead", 0), "purged"), LETTERS);
    assert_int_equal(redis_number(redis, "XLEN", "jobs:failed"), 0);
    assert_int_equal(told(redis, "jobs:failed", "alarm", "pending"), 1);
}

static void what_cannot_be_purged_is_said(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char url[200];
    seen_refused(seen, quern_queue_purge(seen->config, "running", 0, &seen->error), QUERN_E_ARGUMENT,
                 "'running' is not purged: such jobs may run; right would be waiting, delayed, scheduled, dead or completed");
    seen_refused(seen, quern_queue_purge(seen->config, "all", 0, &seen->error), QUERN_E_ARGUMENT,
                 "'all' is no place that can be");
    seen_refused(seen, quern_queue_purge(seen->config, NULL, 0, &seen->error), QUERN_E_ARGUMENT, "right would be");
    seen_refused(seen, quern_queue_purge(seen->config, "dead", 8, &seen->error), QUERN_E_ARGUMENT, "flags");
    seen_refused(seen, quern_queue_purge(seen->config, "dead", 0, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_group(redis);
    add_many(redis, "jobs", 2);
    seen_set(seen, "group", "h");
    seen_refused(seen, quern_queue_purge(seen->config, "waiting", 0, &seen->error), QUERN_E_GONE, "has no group h");
    seen_refused(seen, quern_queue_purge(seen->config, "delayed", 0, &seen->error), QUERN_E_GONE, "has no group h");
    seen_refused(seen, quern_queue_purge(seen->config, "completed", 0, &seen->error), QUERN_E_GONE, "has no group h");
    redis_ask(redis, "SET", "jobs:scheduled", "a text");
    seen_refused(seen, quern_queue_purge(seen->config, "scheduled", 0, &seen->error), QUERN_E_SERVER,
                 "jobs:scheduled holds a string");
    redis_ask(redis, "ACL", "SETUSER", "mender", "on", ">sesame", "~*", "+@all", "-xgroup|setid");
    snprintf(url, sizeof url, "unix://mender:sesame@%s", redis->socket);
    seen_set(seen, "redis", url);
    seen_set(seen, "group", "g");
    seen_refused(seen, quern_queue_purge(seen->config, "waiting", 0, &seen->error), QUERN_E_AUTH, "");
    assert_int_equal(told(redis, "jobs", "g", "lag"), 2);
}

/* A server whose memory has run out takes no jobs, so no replays; what frees memory it does. */
static void a_full_server_can_be_emptied(void **state)
{
    static const char *const places[] = {"waiting", "delayed", "dead"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    const quern_replay all = {.size = sizeof all};
    seen_group(redis);
    add_many(redis, "jobs:g:retry", 3);
    seen_shelve(redis, "jobs:g:delayed", "s:1-1", FAR, "id", "a", "event", "e", "data", "1", NULL);
    redis_ask(redis, "XADD", "jobs:failed", "*", "data", "{\"original_event\": \"e\", \"group\": \"g\", \"original_data\": 1}");
    redis_ask(redis, "CONFIG", "SET", "maxmemory", "1");
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_SERVER, "OOM");
    assert_true(seen->error.is_retriable);
    assert_int_equal(redis_number(redis, "XLEN", "jobs:failed"), 1);
    for (size_t i = 0; i < 3; i++) assert_int_equal(seen_number(purge(seen, places[i], 0), "purged"), i ? 1 : 3);
    seen_take(seen, quern_queue_remove_group(seen->config, 0, &seen->error));
}

/* ── remove ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_group_goes_with_all_that_is_its_own(void **state)
{
    static const char *const own[] = {"jobs:g:alone", "jobs:g:completed"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "h", "0");
    add_many(redis, "jobs", 5);
    add_many(redis, "jobs:g:retry", 2);
    add_many(redis, "jobs:h:retry", 2);
    add_many(redis, "jobs:failed", 1);
    for (size_t i = 0; i < 2; i++) seen_add(redis, own[i], "*");
    redis_ask(redis, "HSET", "jobs:g:settles", "a", "1:d");
    redis_ask(redis, "HSET", "jobs:g:crashes", "1-1", "1");
    redis_ask(redis, "SET", "jobs:g:reaper", "a");
    seen_shelve(redis, "jobs:g:delayed", "s:1-1", FAR, "id", "a", "event", "e", "data", "1", NULL);
    long long before = seen_changes(redis);
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_BUSY,
                 "4 jobs wait that only the group g of jobs has (retry 2, alone 1, delayed 1)");
    json_t *answer = seen_take(seen, quern_queue_remove_group(seen->config, QUERN_DRY_RUN | QUERN_FORCE, &seen->error));
    assert_int_equal(seen_number(answer, "retry"), 2);
    assert_int_equal(seen_number(answer, "alone"), 1);
    assert_int_equal(seen_number(answer, "delayed"), 1);
    assert_int_equal(seen_number(answer, "pending"), 0);
    assert_int_equal(seen_changes(redis), before);
    seen_take(seen, quern_queue_remove_group(seen->config, QUERN_FORCE, &seen->error));
    assert_int_equal(redis_number(redis, "KEYS", "jobs:g:*"), 0);
    assert_int_equal(redis_number(redis, "XINFO", "GROUPS", "jobs"), 1);
    assert_int_equal(told(redis, "jobs", "h", "lag"), 5);
    assert_int_equal(redis_number(redis, "XLEN", "jobs:h:retry"), 2);
    assert_int_equal(redis_number(redis, "XLEN", "jobs:failed"), 1);
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_GONE, "has no group g");
}

/* Where it holds jobs, or is worked for, in any of its streams. */
static void a_group_in_use_is_removed_by_force_only(void **state)
{
    static const char *const streams[] = {"jobs", "jobs:g:retry", "jobs:g:alone"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    for (size_t i = 0; i < 3; i++) {
        seen_group(redis);
        redis_ask(redis, "XGROUP", "CREATE", streams[i], "g", "0", "MKSTREAM");
        seen_add(redis, streams[i], "*");
        hand_out(redis, "g", streams[i], "1");
        seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_BUSY,
                     "the group g of jobs holds 1 jobs");
        const struct answer *held = redis_ask(redis, "XPENDING", streams[i], "g", "-", "+", "1");
        char id[40];
        snprintf(id, sizeof id, "%s", answer_at(answer_at(held, 0), 0)->text);
        redis_ask(redis, "XACK", streams[i], "g", id);
        redis_ask(redis, "XDEL", streams[i], id);
        seen_refused(seen, quern_queue_remove_group(seen->config, QUERN_DRY_RUN, &seen->error), QUERN_E_BUSY, "a was seen");
        assert_int_equal(told(redis, streams[i], "g", "consumers"), 1);
        assert_int_equal(
            seen_number(seen_take(seen, quern_queue_remove_group(seen->config, QUERN_FORCE, &seen->error)), "processes"), 1);
        assert_int_equal(redis_number(redis, "EXISTS", "jobs:g:retry", "jobs:g:alone"), 0);
    }
}

static void a_pools_group_is_not_removed_until_it_has_stopped(void **state)
{
    struct seen *seen = *state;
    struct mill *mill = mill_run(seen->scene, NULL);
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_BUSY, "stop it first");
    mill_stop(mill);
    seen_take(seen, quern_queue_remove_group(seen->config, 0, &seen->error));
    assert_int_equal(redis_number(&seen->scene->redis, "XINFO", "GROUPS", "jobs"), 0);
}

static void a_group_that_is_not_there_or_cannot_be_removed_is_said(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_add(redis, "jobs", "*");
    seen_refused(seen, quern_queue_remove_group(seen->config, QUERN_FORCE, &seen->error), QUERN_E_GONE, "has no group g");
    seen_refused(seen, quern_queue_remove_group(seen->config, 4, &seen->error), QUERN_E_ARGUMENT,
                 "QUERN_DRY_RUN and QUERN_FORCE");
    seen_refused(seen, quern_queue_remove_group(NULL, 0, &seen->error), QUERN_E_ARGUMENT, "no configuration");
    seen_group(redis);
    redis_ask(redis, "SET", "jobs:g:alone", "a text");
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_SERVER, "jobs:g:alone holds a string");
    assert_int_equal(redis_number(redis, "XINFO", "GROUPS", "jobs"), 1);
}

/* ── cancel ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_scheduled_job_is_cancelled_by_its_id(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    seen_shelve(redis, "jobs:scheduled", "one", FAR, "id", "one", "event", "e", "data", "1", NULL);
    seen_shelve(redis, "jobs:scheduled", "two", FAR, "id", "two", "event", "e", "data", "1", NULL);
    long long before = seen_changes(redis);
    assert_int_equal(seen_number(cancel(seen, "one", QUERN_DRY_RUN), "scheduled"), 1);
    assert_int_equal(seen_changes(redis), before);
    assert_int_equal(seen_number(cancel(seen, "one", 0), "cancelled"), 1);
    assert_int_equal(redis_number(redis, "ZCARD", "jobs:scheduled"), 1);
    assert_int_equal(redis_number(redis, "HLEN", "jobs:scheduled:jobs"), 1);
    json_t *again = cancel(seen, "one", 0);
    assert_int_equal(seen_number(again, "cancelled"), 0);
    assert_true(json_is_true(json_object_get(again, "marked")));
}

static void a_job_published_for_later_is_seen_and_cancelled(void **state)
{
    static const char *const shapes[] = {"fields", "object"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    for (int i = 0; i < 2; i++) {
        struct desk *desk = desk_open(seen->scene, "publish_shape", shapes[i], NULL);
        assert_int_equal(PUBLISH(desk, "{\"n\":1}", .event = "paint", .delay_ms = 3600000), QUERN_OK);
        json_t *row = seen_row(seen_peek(seen, "scheduled", 9), 0);
        assert_string_equal(seen_text(row, "id"), desk->receipt.id);
        assert_string_equal(seen_text(row, "event"), "paint");
        assert_int_equal(seen_number(json_object_get(row, "data"), "n"), 1);
        assert_in_range(seen_number(row, "due_ms"), 3600000 - PATIENCE_MS, 3600000);
        assert_in_range(seen_number(row, "age_ms"), 0, PATIENCE_MS);
        assert_int_equal(seen_number(cancel(seen, desk->receipt.id, 0), "scheduled"), 1);
        assert_int_equal(redis_number(redis, "EXISTS", "jobs:scheduled", "jobs:scheduled:jobs"), 0);
        desk_close(desk);
    }
}

static void a_delayed_job_is_found_by_what_it_holds(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char member[24], id[24];
    seen_group(redis);
    for (int i = 0; i < 600; i++) {
        snprintf(member, sizeof member, "s:%d-1", i);
        snprintf(id, sizeof id, "job-%d", i % 500);
        seen_shelve(redis, "jobs:g:delayed", member, FAR, "id", id, "event", "e", "data", "\"job-7\"", "quern_entry",
                    member + 2, NULL);
    }
    seen_shelve(redis, "jobs:g:delayed", "r:8-8", FAR, "all", "{\"id\": \"inside\", \"event\": \"e\", \"data\": {}}",
                "quern_entry", "8-8", NULL);
    seen_shelve(redis, "jobs:g:delayed", "r:9-9", FAR, "event", "e", "data", "1", "quern_entry", "1-9", NULL);
    redis_ask(redis, "ZADD", "jobs:g:delayed", FAR, "s:1-8");
    redis_ask(redis, "HSET", "jobs:g:delayed:jobs", "s:1-8", "job-499 no pack");
    long long before = seen_changes(redis);
    assert_int_equal(seen_number(cancel(seen, "job-7", QUERN_DRY_RUN), "delayed"), 2);
    assert_int_equal(seen_changes(redis), before);
    assert_int_equal(seen_number(cancel(seen, "job-7", 0), "delayed"), 2);
    assert_int_equal(seen_number(cancel(seen, "job-499", 0), "cancelled"), 1);
    assert_int_equal(seen_number(cancel(seen, "inside", 0), "cancelled"), 1);
    assert_int_equal(seen_number(cancel(seen, "1-9", 0), "cancelled"), 1);
    assert_int_equal(redis_number(redis, "ZCARD", "jobs:g:delayed"), 598);
    assert_int_equal(redis_number(redis, "HLEN", "jobs:g:delayed:jobs"), 598);
    assert_int_equal(seen_number(cancel(seen, "job-", QUERN_DRY_RUN), "cancelled"), 0);
}

/* A zset that Redis keeps in one piece is given in one piece, too. */
static void a_delayed_job_is_found_in_a_page_of_any_size(void **state)
{
    static const char fill[] = "for n = 1, 5000 do redis.call('ZADD', KEYS[1], n + 1999999990000, 's:' .. n .. '-1') "
                               "redis.call('HSET', KEYS[1] .. ':jobs', 's:' .. n .. '-1', "
                               "cmsgpack.pack({'id', 'job-' .. n, 'event', 'e', 'data', '1'})) end";
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "CONFIG", "SET", "zset-max-listpack-entries", "10000");
    redis_ask(redis, "EVAL", fill, "1", "jobs:g:delayed");
    assert_int_equal(seen_number(cancel(seen, "job-4999", 0), "delayed"), 1);
    assert_int_equal(redis_number(redis, "ZCARD", "jobs:g:delayed"), 4999);
}

static void a_cancelled_retry_does_not_run_again(void **state)
{
    static const char due_now[] = "for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do "
                                  "redis.call('ZADD', KEYS[1], 1, member) end";
    struct seen *seen = *state;
    struct mill *mill = mill_new(seen->scene, "retry_base_ms", "3600000", NULL);
    char id[64];
    atomic_store(&mill->verdict, QUERN_RETRY);
    mill_started(mill);
    scene_publish(seen->scene, 0, 2);
    wait_for(seen_number(seen_stats(seen), "delayed") == 2);
    atomic_store(&mill->verdict, QUERN_DONE);
    json_t *first = seen_row(seen_peek(seen, "delayed", 9), 0);
    snprintf(id, sizeof id, "%s", seen_text(first, "id"));
    int number = (int)json_integer_value(json_object_get(first, "data"));
    assert_int_equal(seen_number(cancel(seen, id, 0), "delayed"), 1);
    redis_ask(&seen->scene->redis, "EVAL", due_now, "1", "jobs:g:delayed");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
    assert_int_equal(mill->seen[number], 1);
    assert_int_equal(mill->seen[1 - number], 2);
}

static void what_cannot_be_cancelled_is_said(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct mill *mill = mill_new(seen->scene, NULL);
    atomic_store(&mill->is_shut, true);
    mill_started(mill);
    scene_publish(seen->scene, 0, 1);
    wait_for(mill->inside == 1);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    seen_refused(seen, quern_queue_cancel(seen->config, "", 0, &seen->error), QUERN_E_ARGUMENT, "no id was given");
    seen_refused(seen, quern_queue_cancel(seen->config, NULL, 0, &seen->error), QUERN_E_ARGUMENT, "no id was given");
    redis_ask(redis, "SET", "jobs:g:delayed:jobs", "a text");
    seen_refused(seen, quern_queue_cancel(seen->config, "x", 0, &seen->error), QUERN_E_SERVER,
                 "jobs:g:delayed:jobs holds a string");
}

/* The answer to a question was lost: nobody knows, until it is asked again. */
static void after_a_lost_answer_nothing_is_done_twice(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct proxy *proxy = proxy_open(NULL, redis->socket, NULL);
    const struct proxy_fault fault = {.name = "quern:repair", .question = "EVALSHA", .kind = PROXY_CLOSE, .times = 1};
    seen_set(seen, "redis", proxy_url(proxy));
    seen_group(redis);
    seen_shelve(redis, "jobs:scheduled", "one", FAR, "id", "one", "event", "e", "data", "1", NULL);
    cancel(seen, "one", QUERN_DRY_RUN); /* from now on the server knows the scripts */
    seen_take(seen, quern_queue_remove_group(seen->config, QUERN_DRY_RUN, &seen->error));
    proxy_fault(proxy, &fault);
    seen_refused(seen, quern_queue_cancel(seen->config, "one", 0, &seen->error), QUERN_E_UNKNOWN, "asking again");
    assert_int_equal(seen_number(cancel(seen, "one", 0), "cancelled"), 0);
    proxy_fault(proxy, &fault);
    seen_refused(seen, quern_queue_remove_group(seen->config, QUERN_DRY_RUN, &seen->error), QUERN_E_CONNECT, "");
    proxy_fault(proxy, &fault);
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_UNKNOWN, "asking again");
    seen_refused(seen, quern_queue_remove_group(seen->config, 0, &seen->error), QUERN_E_GONE, "has no group g");
    proxy_close(proxy);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(what_waits_is_passed_over_by_this_group_alone),
        SEEN(what_redis_has_lost_count_of_is_passed_over_too),
        SEEN(a_pool_goes_on_behind_what_was_purged),
        SEEN(keys_go_whole_and_it_is_said_how_many_jobs),
        SEEN(a_log_that_somebody_reads_stays_with_its_groups),
        SEEN(what_cannot_be_purged_is_said),
        SEEN(a_full_server_can_be_emptied),
        SEEN(a_group_goes_with_all_that_is_its_own),
        SEEN(a_group_in_use_is_removed_by_force_only),
        SEEN(a_pools_group_is_not_removed_until_it_has_stopped),
        SEEN(a_group_that_is_not_there_or_cannot_be_removed_is_said),
        SEEN(a_scheduled_job_is_cancelled_by_its_id),
        SEEN(a_job_published_for_later_is_seen_and_cancelled),
        SEEN(a_delayed_job_is_found_by_what_it_holds),
        SEEN(a_delayed_job_is_found_in_a_page_of_any_size),
        SEEN(a_cancelled_retry_does_not_run_again),
        SEEN(what_cannot_be_cancelled_is_said),
        SEEN(after_a_lost_answer_nothing_is_done_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
