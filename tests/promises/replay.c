/* SPDX-License-Identifier: MIT */

/* promises/replay: a dead job can be run again, as it was, by the group that it died in, and once per letter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/acl.h"
#include "support/desk.h"
#include "support/proxy.h"
#include "support/seen.h"

#define STAMPS "{\"created_at\": \"2026-01-01T00:00:00Z\", \"updated_at\": \"2026-01-01T00:00:00Z\"}"

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static json_t *replay_with(struct seen *seen, unsigned flags, const quern_replay *given)
{
    quern_replay which = *given;
    which.size = sizeof which;
    return seen_take(seen, quern_queue_replay(seen->config, &which, flags, &seen->error));
}
#define replay(seen, ...) replay_with((seen), 0, &(quern_replay){__VA_ARGS__})

static void is_replayed(const json_t *answer, long long replayed, long long to_stream)
{
    assert_int_equal(seen_number(answer, "replayed"), replayed);
    assert_int_equal(seen_number(answer, "to_stream"), to_stream);
}

static void bury(struct redis *redis, const char *entry, const char *id, const char *record)
{
    const struct answer *answer = redis_ask(redis, "XADD", "jobs:failed", entry, "id", id, "event", "e", "retries", "3",
                                            "timestamps", STAMPS, "data", record);
    if (answer->kind != '$') fail_msg("XADD: %s", answer->text);
}

static void bury_jobs(struct redis *redis, int n, const char *group)
{
    char record[300];
    for (int i = 0; i < n; i++) {
        snprintf(record, sizeof record,
                 "{\"original_id\": \"job-%d\", \"original_event\": \"%s\", \"reason\": \"%s\", %s\"original_data\": %d}", i,
                 i % 2 ? "odd" : "even", i % 3 ? "rejected" : "timeout", group, i);
        bury(redis, "*", "letter", record);
    }
}
#define OF_G "\"group\": \"g\", "

static long long letters(struct redis *redis)
{
    return redis_number(redis, "XLEN", "jobs:failed");
}

static long long retries(struct redis *redis)
{
    return redis_number(redis, "XLEN", "jobs:g:retry");
}

/* ── by a pool ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* What a handler saw of the last job. */
struct witness {
    _Atomic int runs, verdict;
    char id[64], event[64], data[200], color[16], type[16], key[16];
    size_t data_len;
    unsigned retries, deliveries;
    int64_t age_ms;
};

static void keep(char *to, size_t size, quern_bytes text)
{
    snprintf(to, size, "%.*s", (int)text.len, text.at ? text.at : "");
}

static quern_verdict watch(quern_job *job, void *thread, void *user)
{
    struct witness *witness = user;
    (void)thread;
    keep(witness->id, sizeof witness->id, quern_job_id(job));
    keep(witness->event, sizeof witness->event, quern_job_event(job));
    keep(witness->color, sizeof witness->color, quern_job_field(job, "color"));
    keep(witness->type, sizeof witness->type, quern_job_field(job, "data_type"));
    keep(witness->key, sizeof witness->key, quern_job_field(job, "key"));
    quern_bytes data = quern_job_data(job);
    witness->data_len = data.len < sizeof witness->data ? data.len : sizeof witness->data;
    memcpy(witness->data, data.at, witness->data_len);
    witness->retries = quern_job_retries(job);
    witness->deliveries = quern_job_deliveries(job);
    witness->age_ms = quern_job_age_ms(job);
    atomic_fetch_add(&witness->runs, 1);
    return (quern_verdict)atomic_load(&witness->verdict);
}

static struct mill *watching(struct scene *scene, struct witness *witness)
{
    struct mill *mill = mill_new(scene, "threads", "1", "retry_base_ms", "0", "retry_limit", "2", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = watch, .user = witness});
    mill_start(mill);
    return mill;
}

static void a_replayed_job_runs_in_its_own_group_alone_and_as_it_was(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct witness witness = {.verdict = QUERN_RETRY};
    struct mill *other = mill_run(seen->scene, "group", "h", NULL), *mill = watching(seen->scene, &witness);
    redis_ask(redis, "XADD", "jobs", "*", "id", "job-1", "event", "paint", "data", "{ \"n\": 1.10 }", "timestamps", STAMPS,
              "color", "red", "expire_at", "253402300799999");
    wait_for(mill_stat(mill, "jobs", "dead") == 1 && mill_stat(other, "jobs", "done") == 1);
    assert_int_equal(witness.runs, 3);
    assert_int_equal(witness.retries, 2);
    atomic_store(&witness.verdict, QUERN_DONE);
    is_replayed(replay(seen, .id = "job-1"), 1, 0);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
    assert_int_equal(witness.runs, 4);
    assert_string_equal(witness.id, "job-1");
    assert_string_equal(witness.event, "paint");
    assert_string_equal(witness.color, "red");
    assert_int_equal(witness.data_len, 13);
    assert_memory_equal(witness.data, "{ \"n\": 1.10 }", 13);
    assert_int_equal(witness.retries, 0);
    assert_int_equal(witness.deliveries, 1);
    assert_true(witness.age_ms > 86400000);
    stays(mill_stat(other, "jobs", "done") == 1, 50);
    mill_stop(other);
    assert_int_equal(redis_number(redis, "EXISTS", "jobs:failed"), 1);
    assert_int_equal(letters(redis), 0);
    assert_int_equal(retries(redis), 0);
}

static void a_replayed_job_has_its_whole_budget_again(void **state)
{
    struct seen *seen = *state;
    struct witness witness = {.verdict = QUERN_RETRY};
    struct mill *mill = watching(seen->scene, &witness);
    scene_publish(seen->scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    is_replayed(replay(seen, .limit = 0), 1, 0);
    wait_for(mill_stat(mill, "jobs", "dead") == 2);
    mill_stop(mill);
    assert_int_equal(witness.runs, 6);
    json_t *letter = seen_row(seen_dead(seen, 9), 0);
    assert_int_equal(seen_number(letter, "retries"), 2);
    assert_int_equal(seen_number(letter, "deliveries"), 3);
    assert_int_equal(json_array_size(seen->answer), 1);
}

static void data_of_every_kind_comes_back_byte_for_byte(void **state)
{
    static const struct {
        const char *data, *type;
        size_t len;
    } kinds[] = {{"\"text\"", NULL, 6}, {"text", NULL, 4},
                 {"null", NULL, 4},     {"", NULL, 0},
                 {"7", "bytes", 1},     {"\xff\x00\x01", "bytes", 3},
                 {"\xff", NULL, 1},     {"[123456789012345678901234567890,1e400]", NULL, 38}};
    struct seen *seen = *state;
    struct witness witness = {.verdict = QUERN_DEAD};
    struct mill *mill = watching(seen->scene, &witness);
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++) {
        const char *words[] = {"XADD", "jobs", "*", "event", "e", "data", kinds[i].data, "data_type", kinds[i].type};
        size_t lens[] = {4, 4, 1, 5, 1, 4, kinds[i].len, 9, kinds[i].type ? 5 : 0};
        resp_ask_words(seen->scene->redis.client, kinds[i].type ? 9 : 7, words, lens);
        wait_for(mill_stat(mill, "jobs", "dead") == 2 * i + 1);
        memset(witness.data, '#', sizeof witness.data);
        is_replayed(replay(seen, .limit = 9), 1, 0);
        wait_for(mill_stat(mill, "jobs", "dead") == 2 * i + 2);
        assert_int_equal(witness.data_len, kinds[i].len);
        assert_memory_equal(witness.data, kinds[i].data, kinds[i].len);
        assert_string_equal(witness.type, kinds[i].type ? kinds[i].type : "");
        redis_ask(&seen->scene->redis, "DEL", "jobs:failed");
    }
    mill_stop(mill);
}

/* Also one of which nothing could be read: whoever has mended the handler, or the rule that refused it, wants it as it was. */
static void an_entry_that_could_not_be_read_comes_back_as_it_was(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct witness witness = {.verdict = QUERN_DONE};
    struct mill *mill = watching(seen->scene, &witness);
    redis_ask(redis, "XADD", "jobs", "5-5", "event", "e", "what", "\xff", "retries", "many");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    mill_stop(mill);
    is_replayed(replay(seen, .reason = "malformed"), 1, 0);
    const struct answer *fields = answer_at(answer_at(redis_ask(redis, "XRANGE", "jobs:g:retry", "-", "+"), 0), 1);
    assert_int_equal(fields->count, 14);
    assert_true(answer_is(answer_of(fields, "event"), "e") && answer_is(answer_of(fields, "what"), "\xff"));
    assert_true(answer_is(answer_of(fields, "retries"), "many") && answer_is(answer_of(fields, "quern_retries"), "0"));
    assert_true(answer_is(answer_of(fields, "quern_entry"), "5-5"));
}

static void fields_that_go_along_with_a_letter_come_back(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    redis_ask(redis, "XADD", "jobs:failed", "*", "id", "l", "event", "e", "retries", "2", "timestamps", STAMPS, "data",
              "{\"original_id\": \"job-1\", \"original_event\": \"e\", \"original_data\": null, \"group\": \"g\"}",
              "original:id", "job-1", "original:event", "e", "original:data", "large", "original:retries", "1",
              "original:quern_entry", "4-4", "original:expire_at", "1");
    is_replayed(replay(seen, .event = "e"), 1, 0);
    const struct answer *fields = answer_at(answer_at(redis_ask(redis, "XRANGE", "jobs:g:retry", "-", "+"), 0), 1);
    assert_int_equal(fields->count, 14);
    assert_true(answer_is(answer_of(fields, "data"), "large") && answer_is(answer_of(fields, "quern_retries"), "0"));
}

static void a_letter_without_a_group_goes_to_all_of_them(void **state)
{
    struct seen *seen = *state;
    struct mill *other = mill_run(seen->scene, "group", "h", NULL), *mill = mill_run(seen->scene, NULL);
    bury(&seen->scene->redis, "*", "l",
         "{\"original_id\": \"job-1\", \"original_event\": \"e\", \"original_data\": 17, \"retries\": 3}");
    is_replayed(replay(seen, .limit = 0), 1, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && mill_stat(other, "jobs", "done") == 1);
    assert_true(mill_has_seen_once(mill, 17, 1) && mill_has_seen_once(other, 17, 1));
    mill_stop(mill);
    mill_stop(other);
}

/* Whatever it was buried for, and in whatever shape it was published. */
static void what_was_published_comes_back_from_every_grave(void **state)
{
    static const char *const shapes[] = {"fields", "object"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    acl_allow_dropping(redis);
    for (int i = 0; i < 2; i++) {
        struct witness witness = {.verdict = QUERN_DEAD};
        struct desk *desk = desk_open(seen->scene, "publish_shape", shapes[i], "group", "g", "max_pending", "1",
                                      "on_max_pending", "drop_oldest", NULL);
        for (int n = 0; n < 3; n++)
            assert_int_equal(PUBLISH(desk, "{\"n\":3}", .event = "paint", .key = "k", .expire_at_ms = 253402300799999),
                             QUERN_OK);
        assert_int_equal(letters(redis), 2);
        is_replayed(replay(seen, .event = "paint", .reason = "dropped"), i ? 0 : 2, 0);
        if (i) is_replayed(replay(seen, .reason = "dropped"), 2, 0); /* in this shape no script knows its event */
        struct mill *mill = watching(seen->scene, &witness);
        wait_for(mill_stat(mill, "jobs", "dead") == 3);
        atomic_store(&witness.verdict, QUERN_DONE);
        is_replayed(replay(seen, .event = "paint"), 3, 0);
        wait_for(mill_stat(mill, "jobs", "done") == 3);
        mill_stop(mill);
        assert_int_equal(strlen(witness.id), 36);
        assert_memory_equal(witness.data, "{\"n\":3}", 7);
        assert_string_equal(witness.key, "k");
        assert_int_equal(witness.retries, 0);
        desk_close(desk);
    }
}

/* What a publisher wrote under the names of our notes: believed, it would be dead at once, or too often begun. */
static void a_publishers_words_are_no_notes_of_ours(void **state)
{
    struct seen *seen = *state;
    struct witness witness = {.verdict = QUERN_DEAD};
    struct mill *mill = mill_new(seen->scene, "threads", "1", "on_max_deliveries", "dead", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = watch, .user = &witness});
    mill_start(mill);
    redis_ask(&seen->scene->redis, "XADD", "jobs", "*", "id", "job-1", "event", "e", "data", "1", "color", "red",
              "quern_deliveries", "1000", "quern_unended", "1000", "quern_first_seen", "1-1");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    atomic_store(&witness.verdict, QUERN_DONE);
    is_replayed(replay(seen, .id = "job-1"), 1, 0);
    wait_for(mill_stat(mill, "jobs", "done") + mill_stat(mill, "jobs", "dead") == 2);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
    assert_int_equal(witness.runs, 2);
    assert_int_equal(witness.deliveries, 1);
    assert_string_equal(witness.color, "red");
}

/* ── which ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void letters_are_chosen_by_id_event_reason_and_number(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    bury(redis, "1-1", "letter-1",
         "{\"original_id\": \"j\", \"original_event\": \"x\", \"group\": \"g\", \"original_data\": 0}");
    bury(redis, "1-2", "letter-2",
         "{\"original_id_hex\": \"ff\", \"original_event\": \"x\", \"group\": \"g\", \"original_data\": 0}");
    bury(redis, "1-3", "1-9", "{\"original_id\": \"k\", \"original_event\": \"x\", \"group\": \"g\", \"original_data\": 0}");
    bury_jobs(redis, 12, OF_G);
    is_replayed(replay(seen, .id = "1-1"), 1, 0);
    is_replayed(replay(seen, .id = "\xff"), 1, 0);
    is_replayed(replay(seen, .id = "1-9"), 1, 0);
    assert_int_equal(letters(redis), 12);
    is_replayed(replay(seen, .id = "job-7"), 1, 0);
    is_replayed(replay(seen, .event = "even", .reason = "timeout"), 2, 0); /* 0, 6 */
    is_replayed(replay(seen, .reason = "timeout"), 2, 0);                  /* 3, 9 */
    is_replayed(replay(seen, .event = "even", .limit = 3), 3, 0);          /* 2, 4, 8 */
    is_replayed(replay(seen, .event = "nothing"), 0, 0);
    assert_int_equal(letters(redis), 4);
    is_replayed(replay(seen, .limit = 0), 4, 0);
    assert_int_equal(retries(redis), 15);
    assert_int_equal(letters(redis), 0);
}

static void letters_of_many_groups_go_each_to_its_own(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char group[16], key[32], of[40];
    for (int i = 0; i < 80; i++) {
        snprintf(group, sizeof group, "g%d", i);
        snprintf(of, sizeof of, "\"group\": \"%s\", ", group);
        if (i < 70) redis_ask(redis, "XGROUP", "CREATE", "jobs", group, "0", "MKSTREAM");
        bury_jobs(redis, 3, of);
    }
    is_replayed(replay(seen, .limit = 0), 210, 0);
    assert_int_equal(seen_number(seen->answer, "without_group"), 30);
    assert_int_equal(letters(redis), 30);
    for (int i = 0; i < 80; i++) {
        snprintf(key, sizeof key, "jobs:g%d:retry", i);
        assert_int_equal(redis_number(redis, "XLEN", key), i < 70 ? 3 : 0);
    }
}

static void letters_that_are_no_jobs_or_another_streams_stay(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    bury(redis, "*", "l", "no JSON");
    bury(redis, "*", "l", "[1]");
    bury(redis, "*", "l", "{\"original_id\": \"no event\", \"group\": \"g\", \"original_data\": 0}");
    bury(redis, "*", "l", "{\"original_event\": \"no data\", \"group\": \"g\"}");
    bury(redis, "*", "l", "{\"original_event\": \"e\", \"group\": \"g\", \"original_data_hex\": \"fx\"}");
    bury(redis, "*", "l", "{\"original_fields\": [{\"name\": 7}], \"group\": \"g\"}");
    bury(redis, "*", "l", "{\"original_event\": \"e\", \"group\": \"g\\u0000\", \"original_data\": 1}");
    redis_ask(redis, "XADD", "jobs:failed", "*", "what", "ever");
    bury(redis, "*", "l", "{\"original_event\": \"e\", \"stream\": \"others\", \"group\": \"g\", \"original_data\": 1}");
    bury(redis, "*", "l", "{\"original_event\": \"e\", \"stream\": \"jobs\", \"group\": \"g\", \"original_data\": 1}");
    is_replayed(replay(seen, .limit = 0), 1, 0);
    assert_int_equal(seen_number(seen->answer, "unreadable"), 8);
    assert_int_equal(letters(redis), 9);
}

static void one_letter_that_cannot_be_written_spoils_no_other(void **state)
{
    enum { FIELDS = 5000 };
    static char record[FIELDS * 40];
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    size_t len = (size_t)sprintf(record, "{\"group\": \"g\", \"original_fields\": [");
    for (int i = 0; i < FIELDS; i++)
        len += (size_t)sprintf(record + len, "{\"name\":\"n\",\"value\":\"v\"}%s", i < FIELDS - 1 ? "," : "]}");
    seen_group(redis);
    bury_jobs(redis, 3, OF_G);
    bury(redis, "*", "l", record);
    bury_jobs(redis, 3, OF_G);
    is_replayed(replay(seen, .limit = 0), 6, 0);
    assert_int_equal(seen_number(seen->answer, "failed"), 1);
    assert_non_null(strstr(seen_text(seen->answer, "failed_because"), "too many results to unpack"));
    assert_int_equal(letters(redis), 1);
}

static void large_letters_behind_small_ones_do_not_go_in_one_call(void **state)
{
    enum { SMALL = 200, LARGE = 64, BYTES = 300000 };
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    char *record = malloc(BYTES + 200);
    assert_non_null(record);
    snprintf(record, BYTES + 200, "{\"original_event\": \"e\", \"group\": \"g\", \"original_data\": \"%0*d\"}", BYTES, 0);
    seen_group(redis);
    bury_jobs(redis, SMALL, OF_G);
    for (int i = 0; i < LARGE; i++) bury(redis, "*", "l", record);
    free(record);
    long long calls = redis_calls(redis, "evalsha");
    is_replayed(replay(seen, .limit = 0), SMALL + LARGE, 0);
    assert_true(redis_calls(redis, "evalsha") - calls >= LARGE);
    assert_int_equal(letters(redis), 0);
}

/* ── once ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_dry_run_counts_and_changes_nothing(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    bury_jobs(redis, 20, OF_G);
    bury_jobs(redis, 2, "");
    bury_jobs(redis, 3, "\"group\": \"nobody\", ");
    bury(redis, "*", "l", "no JSON");
    long long before = seen_changes(redis);
    json_t *answer = replay_with(seen, QUERN_DRY_RUN, &(quern_replay){.per_s = 1});
    is_replayed(answer, 22, 2);
    assert_true(json_is_true(json_object_get(answer, "dry_run")));
    assert_int_equal(seen_number(answer, "without_group"), 3);
    assert_int_equal(seen_number(answer, "unreadable"), 1);
    is_replayed(replay_with(seen, QUERN_DRY_RUN, &(quern_replay){.limit = 5}), 5, 0);
    assert_int_equal(seen_changes(redis), before);
}

static void after_a_lost_answer_nothing_is_replayed_twice(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    struct proxy *proxy = proxy_open(NULL, redis->socket, NULL);
    const quern_replay all = {.size = sizeof all};
    seen_group(redis);
    bury_jobs(redis, 100, OF_G);
    seen_set(seen, "redis", proxy_url(proxy));
    replay_with(seen, QUERN_DRY_RUN, &all); /* the server knows the script from now on */
    proxy_fault(proxy, &(struct proxy_fault){.name = "quern:repair", .question = "EVALSHA", .kind = PROXY_CLOSE, .times = 1});
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_UNKNOWN, "may have been done");
    wait_for(proxy_swallowed(proxy) == 1);
    assert_int_equal(retries(redis), 1);
    is_replayed(replay_with(seen, 0, &all), 99, 0);
    assert_int_equal(retries(redis), 100);
    assert_int_equal(letters(redis), 0);
    bury_jobs(redis, 100, OF_G);
    proxy_fault(
        proxy, &(struct proxy_fault){.name = "quern:repair", .question = "COUNT\r\n$2\r\n16", .kind = PROXY_CLOSE, .times = 1});
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_CONNECT, "letters were replayed");
    is_replayed(replay_with(seen, 0, &all), 85, 0);
    assert_int_equal(retries(redis), 200);
    proxy_close(proxy);
}

static void replays_are_as_fast_as_was_said(void **state)
{
    struct seen *seen = *state;
    seen_group(&seen->scene->redis);
    bury_jobs(&seen->scene->redis, 21, OF_G);
    int64_t began_ms = wait_now_ms();
    is_replayed(replay(seen, .per_s = 50), 21, 0);
    assert_true(wait_now_ms() - began_ms >= 420 - 100 - 10); /* the last come a tenth of a second early at most */
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void what_cannot_be_replayed_is_said(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    const quern_replay all = {.size = sizeof all}, none = {.size = sizeof none, .id = "nobody"},
                       empty = {.size = sizeof empty, .id = ""};
    const quern_replay both = {.size = sizeof both, .id = "job-1", .reason = "poison"};
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_GONE, "no stream jobs");
    seen_refused(seen, quern_queue_replay(seen->config, &empty, 0, &seen->error), QUERN_E_ARGUMENT, "the id is empty");
    seen_refused(seen, quern_queue_replay(seen->config, &all, QUERN_FORCE, &seen->error), QUERN_E_ARGUMENT,
                 "right would be QUERN_DRY_RUN");
    seen_group(redis);
    bury_jobs(redis, 3, OF_G);
    seen_refused(seen, quern_queue_replay(seen->config, &none, 0, &seen->error), QUERN_E_GONE,
                 "no letter in jobs:failed has the id nobody");
    seen_refused(seen, quern_queue_replay(seen->config, &both, 0, &seen->error), QUERN_E_GONE, "with this event and reason");
    assert_null(quern_queue_replay(seen->config, &none, 0, NULL));
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "h", "0");
    bury_jobs(redis, 1, "\"group\": \"h\", ");
    redis_ask(redis, "SET", "jobs:h:retry", "a text");
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_SERVER, "jobs:h:retry holds a string");
    assert_int_equal(letters(redis), 1); /* those of the other group were asked for before */
}

static void without_the_rights_nothing_is_replayed(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    const quern_replay all = {.size = sizeof all};
    char url[200];
    seen_group(redis);
    bury_jobs(redis, 3, OF_G);
    redis_ask(redis, "ACL", "SETUSER", "mender", "on", ">sesame", "~*", "+@all", "-xadd");
    snprintf(url, sizeof url, "unix://mender:sesame@%s", redis->socket);
    seen_set(seen, "redis", url);
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_AUTH, "");
    redis_ask(redis, "ACL", "SETUSER", "mender", "+xadd", "-xpending");
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_AUTH, "");
    redis_ask(redis, "ACL", "SETUSER", "mender", "+xpending", "-evalsha");
    seen_refused(seen, quern_queue_replay(seen->config, &all, 0, &seen->error), QUERN_E_AUTH, "evalsha");
    assert_int_equal(letters(redis), 3);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(a_replayed_job_runs_in_its_own_group_alone_and_as_it_was),
        SEEN(a_replayed_job_has_its_whole_budget_again),
        SEEN(data_of_every_kind_comes_back_byte_for_byte),
        SEEN(an_entry_that_could_not_be_read_comes_back_as_it_was),
        SEEN(fields_that_go_along_with_a_letter_come_back),
        SEEN(a_letter_without_a_group_goes_to_all_of_them),
        SEEN(what_was_published_comes_back_from_every_grave),
        SEEN(a_publishers_words_are_no_notes_of_ours),
        SEEN(letters_are_chosen_by_id_event_reason_and_number),
        SEEN(letters_of_many_groups_go_each_to_its_own),
        SEEN(letters_that_are_no_jobs_or_another_streams_stay),
        SEEN(one_letter_that_cannot_be_written_spoils_no_other),
        SEEN(large_letters_behind_small_ones_do_not_go_in_one_call),
        SEEN(a_dry_run_counts_and_changes_nothing),
        SEEN(after_a_lost_answer_nothing_is_replayed_twice),
        SEEN(replays_are_as_fast_as_was_said),
        SEEN(what_cannot_be_replayed_is_said),
        SEEN(without_the_rights_nothing_is_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
