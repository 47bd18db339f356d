/* SPDX-License-Identifier: MIT */

/* promises/doctor: what is wrong with a server, a queue or a group is found, each by itself, and looking changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/acl.h"
#include "support/seen.h"

enum { HOUR_MS = 3600000, TABLES = 17 };

/* ── fixtures and questions ──────────────────────────────────────────────────────────────────────────────────────── */

static int open_stepped(void **state)
{
    return seen_open_with(state, &(struct redis_options){.has_aof = true, .clockstep = CLOCKSTEP});
}

static int open_aof(void **state)
{
    return seen_open_with(state, &(struct redis_options){.has_aof = true});
}

static int open_cluster(void **state)
{
    char port[8];
    snprintf(port, sizeof port, "%d", redis_free_port());
    const char *const more[] = {"--cluster-enabled", "yes", "--cluster-port", port, "--bind", "127.0.0.1", NULL};
    return seen_open_with(state, &(struct redis_options){.has_aof = true, .more = more});
}

static json_t *findings(struct seen *seen)
{
    json_t *list = json_object_get(seen_take(seen, quern_queue_doctor(seen->config, &seen->error)), "findings");
    if (!json_is_array(list)) fail_msg("no findings");
    return list;
}

/* The finding of a check whose words hold these; NULL: there is none. */
static const json_t *find(const json_t *list, const char *check, const char *words)
{
    size_t i;
    const json_t *finding;
    json_array_foreach((json_t *)(uintptr_t)list, i, finding)
    {
        bool is_it = strcmp(seen_text(finding, "check"), check) == 0 && strstr(seen_text(finding, "found"), words);
        if (is_it && *seen_text(finding, "what_to_do")) return finding;
    }
    return NULL;
}

static void tell(struct seen *seen)
{
    char *text = json_dumps(seen->answer, JSON_INDENT(1));
    print_message("%s\n", text);
    free(text);
}

static void found(struct seen *seen, const char *level, const char *check, const char *words)
{
    const json_t *finding = find(findings(seen), check, words);
    if (!finding) tell(seen);
    if (!finding) fail_msg("%s was not found", check);
    assert_string_equal(seen_text(finding, "level"), level);
}

static void not_found(struct seen *seen, const char *check)
{
    const json_t *finding = find(findings(seen), check, "");
    if (finding) fail_msg("%s: %s", check, seen_text(finding, "found"));
}

/* Errors and warnings, but for those about the version, which is whatever the machine has. */
static size_t wrongs(struct seen *seen)
{
    size_t i, count = 0;
    const json_t *finding, *list = findings(seen);
    json_array_foreach((json_t *)(uintptr_t)list, i, finding) count +=
        strcmp(seen_text(finding, "level"), "note") != 0 && strcmp(seen_text(finding, "check"), "known_fault") != 0;
    return count;
}

static void config_set(struct seen *seen, const char *key, const char *value)
{
    const struct answer *answer = redis_ask(&seen->scene->redis, "CONFIG", "SET", key, value);
    if (!answer_is(answer, "OK")) fail_msg("CONFIG SET %s: %s", key, answer->text);
}

/* ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_sound_queue_has_nothing_wrong(void **state)
{
    struct seen *seen = *state;
    acl_change(&seen->scene->redis, "quern-monitor", "+config|get");
    struct mill *mill = mill_run(seen->scene, NULL);
    scene_publish(seen->scene, 0, 100);
    wait_for(mill_stat(mill, "jobs", "done") == 100);
    if (wrongs(seen)) tell(seen);
    assert_int_equal(wrongs(seen), 0);
    const json_t *queue = seen_row(json_object_get(seen->answer, "queues"), 0);
    assert_string_equal(seen_text(queue, "stream"), "jobs");
    assert_string_equal(seen_text(queue, "group"), "g");
    assert_true(strstr(seen_text(seen->answer, "redis"), "unix:") == seen_text(seen->answer, "redis"));
    assert_true(*seen_text(seen->answer, "server") && *seen_text(seen->answer, "version"));
    mill_stop(mill);
    assert_int_equal(wrongs(seen), 0);
}

static void what_the_server_does_not_keep_is_found(void **state)
{
    struct seen *seen = *state;
    acl_change(&seen->scene->redis, "quern-monitor", "+config|get");
    not_found(seen, "persistence");
    config_set(seen, "appendfsync", "no");
    found(seen, "warning", "persistence", "appendfsync is no");
    config_set(seen, "appendonly", "no");
    found(seen, "error", "persistence", "nothing to its disk");
    config_set(seen, "save", "3600 1");
    found(seen, "warning", "persistence", "append-only file is off");
}

static void what_would_lose_or_refuse_jobs_for_memory_is_found(void **state)
{
    struct seen *seen = *state;
    char max[32];
    long long used = redis_info(&seen->scene->redis, "memory", "used_memory");
    config_set(seen, "maxmemory-policy", "allkeys-lru");
    not_found(seen, "eviction");
    snprintf(max, sizeof max, "%lld", 10 * used);
    config_set(seen, "maxmemory", max);
    found(seen, "error", "eviction", "allkeys-lru");
    not_found(seen, "memory");
    config_set(seen, "maxmemory-policy", "noeviction");
    not_found(seen, "eviction");
    config_set(seen, "maxmemory", "1024");
    found(seen, "error", "memory", "full");
    snprintf(max, sizeof max, "%lld", redis_info(&seen->scene->redis, "memory", "used_memory") * 105 / 100);
    config_set(seen, "maxmemory", max);
    found(seen, "warning", "memory", "are used");
}

static void keys_that_were_evicted_are_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    static char value[65536];
    char max[32];
    memset(value, 'x', sizeof value - 1);
    not_found(seen, "eviction");
    snprintf(max, sizeof max, "%lld", redis_info(redis, "memory", "used_memory") + 1000000);
    config_set(seen, "maxmemory", max);
    config_set(seen, "maxmemory-policy", "allkeys-lru");
    for (int i = 0; i < 1000 && redis_info(redis, "stats", "evicted_keys") == 0; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        redis_ask(redis, "SET", key, value);
    }
    config_set(seen, "maxmemory-policy", "noeviction");
    config_set(seen, "maxmemory", "0");
    found(seen, "warning", "eviction", "keys were evicted");
}

static void a_server_that_refuses_to_write_is_found(void **state)
{
    struct seen *seen = *state;
    config_set(seen, "min-replicas-to-write", "1");
    found(seen, "error", "replica", "NOREPLICAS");
    config_set(seen, "min-replicas-to-write", "0");
    not_found(seen, "replica");
    redis_ask(&seen->scene->redis, "REPLICAOF", "127.0.0.1", "1");
    found(seen, "error", "replica", "is a replica");
    redis_ask(&seen->scene->redis, "REPLICAOF", "NO", "ONE");
    not_found(seen, "replica");
}

static void too_many_connections_and_idle_ones_that_are_closed_are_found(void **state)
{
    struct seen *seen = *state;
    acl_change(&seen->scene->redis, "quern-monitor", "+config|get");
    not_found(seen, "clients");
    config_set(seen, "timeout", "30");
    found(seen, "warning", "idle_timeout", "30");
    config_set(seen, "maxclients", "1");
    struct resp *other = resp_open(seen->scene->redis.socket);
    wait_for(redis_info(&seen->scene->redis, "stats", "rejected_connections") > 0);
    resp_close(other);
    config_set(seen, "maxclients", "100");
    found(seen, "warning", "clients", "refused");
}

static void a_clock_that_is_off_is_found(void **state)
{
    struct seen *seen = *state;
    not_found(seen, "clock");
    redis_step(&seen->scene->redis, HOUR_MS);
    found(seen, "warning", "clock", "ahead of");
    redis_step(&seen->scene->redis, -3 * HOUR_MS);
    found(seen, "warning", "clock", "2 h behind");
}

static void what_may_not_be_looked_at_is_a_note(void **state)
{
    struct seen *seen = *state;
    char url[192];
    seen_group(&seen->scene->redis);
    redis_ask(&seen->scene->redis, "ACL", "SETUSER", "looker", "on", ">sesame", "~*", "-@all", "+xpending", "+xinfo", "+xlen",
              "+xrange", "+xrevrange", "+zcard", "+zrange", "+smembers", "+exists", "+type", "+time", "+info", "+select",
              "+client|setname", "+client|id");
    snprintf(url, sizeof url, "unix://looker:sesame@%s", seen->scene->redis.socket);
    seen_set(seen, "redis", url);
    found(seen, "note", "config", "CONFIG GET is refused");
    assert_int_equal(wrongs(seen), 0);
    redis_ask(&seen->scene->redis, "ACL", "SETUSER", "looker", "-info");
    found(seen, "note", "info", "INFO is refused");
    assert_true(seen_null(seen->answer, "version"));
    redis_ask(&seen->scene->redis, "ACL", "SETUSER", "looker", "+info", "+config|get");
    not_found(seen, "config");
    redis_ask(&seen->scene->redis, "ACL", "SETUSER", "looker", "-type");
    seen_refused(seen, quern_queue_doctor(seen->config, &seen->error), QUERN_E_AUTH, "type");
}

static void a_name_that_a_cluster_cannot_serve_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    redis_ask(redis, "CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    wait_for(strstr(redis_ask(redis, "CLUSTER", "INFO")->text, "cluster_state:ok"));
    found(seen, "error", "cluster", "{jobs}");
    seen_set(seen, "stream", "{jobs}");
    not_found(seen, "cluster");
}

static void a_server_that_is_away_is_the_error_that_it_always_is(void **state)
{
    struct seen *seen = *state;
    seen_set(seen, "redis", "unix:///nobody/listens/here");
    seen_refused(seen, quern_queue_doctor(seen->config, &seen->error), QUERN_E_CONNECT, "no Redis at");
    seen_refused(seen, quern_server_facts(seen->config, &seen->error), QUERN_E_CONNECT, "no Redis at");
    seen_refused(seen, quern_queue_doctor(NULL, &seen->error), QUERN_E_ARGUMENT, "configuration");
    assert_null(quern_queue_doctor(seen->config, NULL));
}

/* ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_stream_or_a_group_that_is_missing_is_found(void **state)
{
    struct seen *seen = *state;
    found(seen, "warning", "stream", "no stream jobs");
    seen_add(&seen->scene->redis, "jobs", "*");
    found(seen, "warning", "group", "no group g");
    not_found(seen, "stream");
    seen_group(&seen->scene->redis);
    not_found(seen, "group");
}

static void each_key_of_a_wrong_type_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    static const char *const keys[TABLES] = {"jobs",
                                             "jobs:g:retry",
                                             "jobs:g:alone",
                                             "jobs:g:completed",
                                             "jobs:failed",
                                             "jobs:g:delayed",
                                             "jobs:g:delayed:jobs",
                                             "jobs:scheduled",
                                             "jobs:scheduled:jobs",
                                             "jobs:g:crashes",
                                             "jobs:g:settles",
                                             "jobs:g:reaper",
                                             "jobs:g:paused",
                                             "jobs:g:cancelled",
                                             "jobs:g:batches",
                                             "jobs:g:batches:open",
                                             "jobs:g:batches:state"};
    seen_group(redis);
    for (size_t i = 0; i < TABLES; i++) {
        char words[64];
        redis_ask(redis, "RENAME", keys[i], "away");
        redis_ask(redis, "RPUSH", keys[i], "a list");
        snprintf(words, sizeof words, "the key %s holds a list", keys[i]);
        found(seen, "error", "wrong_type", words);
        assert_int_equal(wrongs(seen), 1);
        redis_ask(redis, "DEL", keys[i]);
        redis_ask(redis, "RENAME", "away", keys[i]);
    }
    not_found(seen, "wrong_type");
}

static void what_is_overdue_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "ZADD", "jobs:g:delayed", "99999999999999", "s:1-1");
    redis_ask(redis, "ZADD", "jobs:scheduled", "99999999999999", "a");
    not_found(seen, "overdue");
    redis_ask(redis, "ZADD", "jobs:g:delayed", "1000", "s:1-2");
    found(seen, "error", "overdue", "a retry");
    redis_ask(redis, "DEL", "jobs:g:delayed");
    redis_ask(redis, "ZADD", "jobs:scheduled", "1000.007", "b");
    found(seen, "error", "overdue", "a scheduled job");
}

static void dead_letters_and_jobs_to_run_alone_are_notes(void **state)
{
    struct seen *seen = *state;
    seen_group(&seen->scene->redis);
    for (int i = 0; i < 3; i++) seen_add(&seen->scene->redis, "jobs:failed", "*");
    seen_add(&seen->scene->redis, "jobs:g:alone", "*");
    found(seen, "note", "dead_letters", "3 dead letters lie in jobs:failed");
    found(seen, "note", "alone", "1 jobs");
    assert_int_equal(wrongs(seen), 0);
}

/* ── the group ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void read_as(struct redis *redis, const char *group, const char *consumer, const char *count)
{
    redis_ask(redis, "XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", "jobs", ">");
}

static void a_group_that_nobody_reads_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    not_found(seen, "nobody_reads");
    seen_add(redis, "jobs", "1000-0");
    seen_add(redis, "jobs", "1001-0");
    found(seen, "error", "nobody_reads", "2 jobs wait");
    read_as(redis, "g", "a", "1");
    not_found(seen, "nobody_reads");
    found(seen, "warning", "backlog", "1 jobs wait");
    redis_step(redis, HOUR_MS);
    found(seen, "error", "nobody_reads", "1 jobs wait");
    not_found(seen, "backlog");
}

static void jobs_that_nobody_takes_over_are_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    for (int i = 0; i < 3; i++) seen_add(redis, "jobs", "*");
    read_as(redis, "g", "a", "2");
    not_found(seen, "leases_over");
    redis_step(redis, HOUR_MS);
    found(seen, "error", "leases_over", "2 jobs are held by 1 processes");
    read_as(redis, "g", "b", "1");
    found(seen, "warning", "leases_over", "2 jobs are held by 1 processes");
}

static void names_of_consumers_that_pile_up_are_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char name[16];
    seen_group(redis);
    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "process-%d", i);
        redis_ask(redis, "XGROUP", "CREATECONSUMER", "jobs", "g", name);
    }
    not_found(seen, "consumers_leak");
    redis_step(redis, HOUR_MS);
    found(seen, "warning", "consumers_leak", "16 consumers");
}

static void another_group_that_stands_still_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    seen_add(redis, "jobs", "1000-0");
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "other", "0");
    found(seen, "warning", "group_stands_still", "the group other");
    seen_set(seen, "ignored_groups", "[\"other\"]");
    not_found(seen, "group_stands_still");
    seen_set(seen, "ignored_groups", "[]");
    read_as(redis, "other", "a", "1");
    not_found(seen, "group_stands_still");
    redis_step(redis, 2 * HOUR_MS);
    found(seen, "warning", "group_stands_still", "the group other");
    redis_ask(redis, "XACK", "jobs", "other", "1000-0");
    not_found(seen, "group_stands_still");
}

static void a_stream_that_is_not_trimmed_is_found(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    redis_ask(redis, "EVAL", "for i = 1, 20101 do redis.call('XADD', 'jobs', '*', 'id', i) end return 1", "0");
    seen_group(redis);
    not_found(seen, "untrimmed");
    redis_ask(redis, "XGROUP", "SETID", "jobs", "g", "$", "ENTRIESREAD", "20101");
    found(seen, "warning", "untrimmed", "20101 of the 20101 entries");
    seen_set(seen, "trim", "false");
    found(seen, "note", "untrimmed", "trim is off");
    seen_set(seen, "trim", "true");
    seen_set(seen, "required_groups", "[\"g\", \"audit\"]");
    found(seen, "warning", "required_group", "audit");
}

static void of_many_groups_each_is_looked_at(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char name[16];
    seen_group(redis);
    seen_add(redis, "jobs", "1000-0");
    read_as(redis, "g", "a", "1");
    redis_ask(redis, "XACK", "jobs", "g", "1000-0");
    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof name, "h%d", i);
        redis_ask(redis, "XGROUP", "CREATE", "jobs", name, "$");
    }
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "zz", "0");
    seen_set(seen, "required_groups", "[\"zz\"]");
    found(seen, "warning", "group_stands_still", "the group zz");
    not_found(seen, "required_group");
}

static void a_count_that_redis_has_lost_is_a_note(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    for (int i = 0; i < 10; i++) seen_add(redis, "jobs", "*");
    read_as(redis, "g", "a", "1");
    not_found(seen, "lag_unknown");
    seen_add(redis, "jobs", "9999999999999-0");
    redis_ask(redis, "XDEL", "jobs", "9999999999999-0");
    found(seen, "note", "lag_unknown", "lost count");
}

static void of_several_queues_each_is_looked_at(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    quern_config *config = quern_config_new();
    quern_config_free(seen->config);
    seen->config = config;
    seen_set(seen, "redis", seen->scene->redis.url);
    seen_set(seen, "queues", "[{\"stream\": \"jobs\", \"group\": \"g\"}, {\"stream\": \"mails\", \"group\": \"h\"}]");
    seen_add(redis, "jobs", "*");
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "g", "0");
    found(seen, "warning", "stream", "no stream mails");
    found(seen, "error", "nobody_reads", "1 jobs wait");
    assert_string_equal(seen_text(find(findings(seen), "stream", ""), "stream"), "mails");
    assert_string_equal(seen_text(find(findings(seen), "nobody_reads", ""), "stream"), "jobs");
    assert_int_equal(json_array_size(json_object_get(seen->answer, "queues")), 2);
    config_set(seen, "appendonly", "no");
    const json_t *finding = find(findings(seen), "persistence", "");
    assert_true(finding && seen_null(finding, "stream"));
    seen_take(seen, quern_server_facts(seen->config, &seen->error));
}

static void a_doctor_changes_nothing(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "other", "0");
    for (int i = 0; i < 5; i++) seen_add(redis, "jobs", "*");
    read_as(redis, "g", "a", "2");
    long long before = seen_changes(redis);
    assert_true(before > 0);
    findings(seen);
    seen_take(seen, quern_server_facts(seen->config, &seen->error));
    assert_int_equal(seen_changes(redis), before);
    assert_int_equal(redis_calls(redis, "evalsha") + redis_calls(redis, "eval"), 0);
}

static void a_servers_facts_are_what_it_says_and_how_far_it_is(void **state)
{
    struct seen *seen = *state;
    json_t *facts = seen_take(seen, quern_server_facts(seen->config, &seen->error));
    assert_string_equal(seen_text(facts, "role"), "master");
    assert_true(json_is_false(json_object_get(facts, "cluster")));
    assert_true(seen_number(facts, "used_cpu_us") > 0);
    assert_true(seen_number(facts, "used_memory_bytes") > 0);
    assert_int_equal(seen_number(facts, "maxmemory_bytes"), 0);
    assert_in_range(seen_number(facts, "round_trip_us"), 1, 500000);
    assert_in_range(llabs(seen_number(facts, "clock_ahead_ms")), 0, 500);
    long long before = seen_number(facts, "used_cpu_us");
    facts = seen_take(seen, quern_server_facts(seen->config, &seen->error));
    assert_true(seen_number(facts, "used_cpu_us") >= before);
}

int main(void)
{
#define SEEN(test)    cmocka_unit_test_setup_teardown(test, open_aof, seen_close)
#define STEPPED(test) cmocka_unit_test_setup_teardown(test, open_stepped, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(a_sound_queue_has_nothing_wrong),
        SEEN(what_the_server_does_not_keep_is_found),
        SEEN(what_would_lose_or_refuse_jobs_for_memory_is_found),
        SEEN(keys_that_were_evicted_are_found),
        SEEN(a_server_that_refuses_to_write_is_found),
        SEEN(too_many_connections_and_idle_ones_that_are_closed_are_found),
        STEPPED(a_clock_that_is_off_is_found),
        SEEN(what_may_not_be_looked_at_is_a_note),
        cmocka_unit_test_setup_teardown(a_name_that_a_cluster_cannot_serve_is_found, open_cluster, seen_close),
        SEEN(a_server_that_is_away_is_the_error_that_it_always_is),
        SEEN(a_stream_or_a_group_that_is_missing_is_found),
        SEEN(each_key_of_a_wrong_type_is_found),
        SEEN(what_is_overdue_is_found),
        SEEN(dead_letters_and_jobs_to_run_alone_are_notes),
        STEPPED(a_group_that_nobody_reads_is_found),
        STEPPED(jobs_that_nobody_takes_over_are_found),
        STEPPED(names_of_consumers_that_pile_up_are_found),
        STEPPED(another_group_that_stands_still_is_found),
        SEEN(a_stream_that_is_not_trimmed_is_found),
        SEEN(of_many_groups_each_is_looked_at),
        SEEN(a_count_that_redis_has_lost_is_a_note),
        SEEN(of_several_queues_each_is_looked_at),
        SEEN(a_doctor_changes_nothing),
        SEEN(a_servers_facts_are_what_it_says_and_how_far_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
