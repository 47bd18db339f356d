/* SPDX-License-Identifier: MIT */

/* promises/publish: messages in order, once, or a clear word about what is not known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"
#include "support/proxy.h"
#include "wire/script.h"

enum { NUMBER_SIZE = 8, MESSAGES_MAX = 1000 };

struct desk {
    struct redis redis;
    struct proxy *proxy;
    char proxy_url[140];
    quern_config *config;
    quern_publisher *publisher;
    quern_error error;
    quern_message messages[MESSAGES_MAX];
    quern_receipt receipts[MESSAGES_MAX];
    char numbers[MESSAGES_MAX][NUMBER_SIZE];
};

static void set(struct desk *desk, const char *key, const char *value)
{
    if (quern_config_set(desk->config, key, value, &desk->error)) fail_msg("%s", desk->error.text);
}

static int desk_open(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    assert_non_null(desk);
    redis_start(&desk->redis, NULL);
    desk->config = quern_config_new();
    set(desk, "redis", desk->redis.url);
    set(desk, "stream", "jobs");
    *state = desk;
    return 0;
}

static int desk_close(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
    quern_config_free(desk->config);
    if (desk->proxy) proxy_close(desk->proxy);
    redis_end(&desk->redis);
    free(desk);
    return 0;
}

/* From here on through a proxy. */
static void use_proxy(struct desk *desk)
{
    char path[120];
    snprintf(path, sizeof path, "%s/proxy", desk->redis.dir);
    snprintf(desk->proxy_url, sizeof desk->proxy_url, "unix://%s", path);
    desk->proxy = proxy_open(path, desk->redis.socket, NULL);
    assert_non_null(desk->proxy);
    set(desk, "redis", desk->proxy_url);
}

static int publish(struct desk *desk, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(desk->numbers[i], NUMBER_SIZE, "%zu", i % MESSAGES_MAX);
        desk->messages[i] =
            (quern_message){.size = sizeof(quern_message), .event = "job", .data = {desk->numbers[i], (size_t)len}};
    }
    if (!desk->publisher) desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_non_null(desk->publisher);
    return quern_publish(desk->publisher, desk->messages, n, desk->receipts, &desk->error);
}

static void are_there_in_order(struct desk *desk, size_t n)
{
    const struct answer *list = redis_ask(&desk->redis, "XRANGE", "jobs", "-", "+");
    assert_int_equal(list->count, n);
    for (size_t i = 0; i < n; i++) {
        const struct answer *entry = answer_at(list, i), *fields = answer_at(entry, 1);
        assert_true(answer_is(answer_of(fields, "data"), desk->numbers[i]));
        assert_true(answer_is(answer_of(fields, "id"), desk->receipts[i].id));
        assert_true(answer_is(answer_at(entry, 0), desk->receipts[i].entry));
        assert_int_equal(desk->receipts[i].code, QUERN_OK);
    }
}

static void messages_are_published_in_order_with_their_receipts(void **state)
{
    struct desk *desk = *state;
    set(desk, "batch_size", "77");
    assert_int_equal(publish(desk, MESSAGES_MAX), QUERN_OK);
    are_there_in_order(desk, MESSAGES_MAX);
}

static void unmarked_messages_are_published_in_order_too(void **state)
{
    struct desk *desk = *state;
    set(desk, "publish_marked", "false");
    assert_int_equal(publish(desk, MESSAGES_MAX), QUERN_OK);
    are_there_in_order(desk, MESSAGES_MAX);
    assert_int_equal(redis_number(&desk->redis, "KEYS", "*published*"), 0);
}

static void an_entry_has_exactly_the_fields_of_the_schema(void **state)
{
    static const char *const names[] = {"id", "event", "data", "retries", "timestamps"};
    struct desk *desk = *state;
    for (int marked = 0; marked < 2; marked++) {
        set(desk, "publish_marked", marked ? "true" : "false");
        assert_int_equal(publish(desk, 1), QUERN_OK);
        const struct answer *fields = answer_at(answer_at(redis_ask(&desk->redis, "XREVRANGE", "jobs", "+", "-"), 0), 1);
        assert_int_equal(fields->count, 10);
        for (size_t i = 0; i < 5; i++) assert_true(answer_is(answer_at(fields, 2 * i), names[i]));
        const char *id = answer_of(fields, "id")->text, *stamps = answer_of(fields, "timestamps")->text;
        assert_true(strlen(id) == 36 && id[8] == '-' && id[14] == '4' && strspn(id, "0123456789abcdef-") == 36);
        assert_int_equal(strncmp(stamps, "{\"created_at\":\"20", 17), 0);
        assert_non_null(strstr(stamps, "+00:00\",\"updated_at\":\"20"));
        assert_true(answer_is(answer_of(fields, "retries"), "0"));
        assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
        desk->publisher = NULL;
    }
}

static void a_marked_batch_whose_answer_was_lost_is_not_published_twice(void **state)
{
    struct desk *desk = *state;
    use_proxy(desk);
    assert_int_equal(publish(desk, 1), QUERN_OK); /* the script is known from here on */
    redis_ask(&desk->redis, "DEL", "jobs");
    proxy_swallow(desk->proxy, "quern:publisher", 1);
    assert_int_equal(publish(desk, 300), QUERN_OK);
    assert_int_equal(proxy_swallowed(desk->proxy), 1);
    are_there_in_order(desk, 300);
}

/* The server has forgotten the script: it is sent whole, and the answer to that is lost. What was answered before is no answer to it. */
static void an_answer_that_is_lost_behind_a_forgotten_script_is_not_taken_for_a_refusal(void **state)
{
    struct desk *desk = *state;
    use_proxy(desk);
    set(desk, "publish_ms", "0");
    assert_int_equal(publish(desk, 1), QUERN_OK);
    redis_ask(&desk->redis, "SCRIPT", "FLUSH");
    proxy_fault(desk->proxy,
                &(struct proxy_fault){.name = ":publisher", .question = "$4\r\nEVAL\r\n", .kind = PROXY_CLOSE, .times = 1});
    assert_int_equal(publish(desk, 3), QUERN_E_UNKNOWN);
    wait_for(proxy_swallowed(desk->proxy) == 1); /* counted when it has happened */
    for (int i = 0; i < 3; i++) assert_int_equal(desk->receipts[i].code, QUERN_E_UNKNOWN);
    assert_int_equal(redis_number(&desk->redis, "XLEN", "jobs"), 4);
}

static void an_unmarked_batch_whose_answer_was_lost_is_said_to_be_unknown(void **state)
{
    struct desk *desk = *state;
    use_proxy(desk);
    set(desk, "publish_marked", "false");
    set(desk, "batch_size", "10");
    assert_int_equal(publish(desk, 1), QUERN_OK);
    redis_ask(&desk->redis, "DEL", "jobs");
    proxy_swallow(desk->proxy, "quern:publisher", 1);
    assert_int_equal(publish(desk, 20), QUERN_E_UNKNOWN);
    assert_int_equal(desk->error.code, QUERN_E_UNKNOWN);
    int unknown = 0;
    while (unknown < 20 && desk->receipts[unknown].code == QUERN_E_UNKNOWN) unknown++;
    assert_in_range(unknown, 1, 10); /* what was on its way at once */
    for (int i = unknown; i < 20; i++)
        assert_true(desk->receipts[i].code != QUERN_OK && desk->receipts[i].code != QUERN_E_UNKNOWN);
    assert_in_range(redis_number(&desk->redis, "XLEN", "jobs"), 0, unknown);
    assert_int_equal(publish(desk, 1), QUERN_OK);
}

/* ── whatever befalls the answer ─────────────────────────────────────────────────────────────────────────────────── */

/* The answers have some hundred bytes. */
static const struct proxy_fault faults[] = {
    {.kind = PROXY_CLOSE},
    {.kind = PROXY_CLOSE, .after = 3},
    {.kind = PROXY_CLOSE, .after = 60},
    {.kind = PROXY_RESET},
    {.kind = PROXY_RESET, .after = 60},
    {.kind = PROXY_SILENT},
    {.kind = PROXY_SILENT, .after = 60},
    {.kind = PROXY_DELAY, .pause_ms = 2500},
    {.kind = PROXY_DRIP, .pause_ms = 200},
    {.kind = PROXY_DRIP, .after = 60, .pause_ms = 1},
    {.kind = PROXY_DELAY, .pause_ms = 20},
};
enum { FAULTS = sizeof faults / sizeof *faults, IN_TIME = 2 /* of them: the last ones */ };

/* Publishes into an empty stream, and the answer meets a fault. */
static int publish_badly(struct desk *desk, size_t n, const char *question, struct proxy_fault fault)
{
    int before = proxy_swallowed(desk->proxy);
    redis_ask(&desk->redis, "DEL", "jobs");
    fault.name = "quern:publisher";
    fault.question = question;
    fault.times = 1;
    proxy_fault(desk->proxy, &fault);
    int code = publish(desk, n);
    wait_for(proxy_swallowed(desk->proxy) == before + 1);
    return code;
}

static void a_marked_batch_is_published_once_whatever_befalls_its_answer(void **state)
{
    struct desk *desk = *state;
    set(desk, "publish_ms", "6000"); /* a try of a third of it: two seconds */
    desk->proxy = proxy_open(NULL, desk->redis.socket, NULL);
    set(desk, "redis", proxy_url(desk->proxy));
    assert_int_equal(publish(desk, 1), QUERN_OK); /* the script is known from here on */
    for (size_t i = 0; i < FAULTS; i++) {
        assert_int_equal(publish_badly(desk, 5, script_publish.sha1, faults[i]), QUERN_OK);
        are_there_in_order(desk, 5);
    }
}

/* Of a call of many batches two are on their way at a time: whichever answers are lost, each is there once, and in its place. */
static void a_call_of_many_batches_keeps_its_order_whatever_befalls_the_answers(void **state)
{
    struct desk *desk = *state;
    set(desk, "publish_ms", "6000");
    set(desk, "batch_size", "100");
    desk->proxy = proxy_open(NULL, desk->redis.socket, NULL);
    set(desk, "redis", proxy_url(desk->proxy));
    assert_int_equal(publish(desk, 1), QUERN_OK);
    for (size_t i = 0; i < FAULTS; i++) {
        assert_int_equal(publish_badly(desk, 750, script_publish.sha1, faults[i]), QUERN_OK);
        are_there_in_order(desk, 750);
    }
    for (int lost = 2; lost <= 4; lost++) { /* one after the other */
        redis_ask(&desk->redis, "DEL", "jobs");
        proxy_swallow(desk->proxy, "quern:publisher", lost);
        assert_int_equal(publish(desk, 750), QUERN_OK);
        are_there_in_order(desk, 750);
    }
}

static void a_server_that_forgets_its_scripts_is_told_them_again_in_the_middle_of_a_call(void **state)
{
    struct desk *desk = *state;
    set(desk, "batch_size", "10");
    for (int round = 0; round < 20; round++) {
        redis_ask(&desk->redis, "DEL", "jobs");
        redis_ask(&desk->redis, "SCRIPT", "FLUSH", "SYNC");
        assert_int_equal(publish(desk, 100), QUERN_OK);
        are_there_in_order(desk, 100);
    }
}

/* One attempt, whose first answer is lost: by then the second batch is on its way. Nothing is known of both, and what comes next is not
 * answered for them. */
static void a_batch_that_was_sent_ahead_of_a_lost_answer_is_unknown_too(void **state)
{
    struct desk *desk = *state;
    use_proxy(desk);
    set(desk, "publish_ms", "0");
    set(desk, "batch_size", "100");
    assert_int_equal(publish(desk, 1), QUERN_OK);
    proxy_swallow(desk->proxy, "quern:publisher", 1);
    assert_int_equal(publish(desk, 350), QUERN_E_UNKNOWN);
    for (int i = 0; i < 350; i++) {
        bool was_sent = i < 200, is_unknown = desk->receipts[i].code == QUERN_E_UNKNOWN;
        assert_true(is_unknown == was_sent && desk->receipts[i].code != QUERN_OK);
    }
    assert_int_equal(publish(desk, 350), QUERN_OK);
    long long there = redis_number(&desk->redis, "XLEN", "jobs");
    assert_true(there == 1 + 100 + 350 || there == 1 + 200 + 350);
    for (int i = 1; i < 350; i++) assert_string_not_equal(desk->receipts[i].entry, desk->receipts[i - 1].entry);
}

static const struct answer *ask_for_batch(struct desk *desk, const char *number, const char *behind, const char *id)
{
    return redis_ask(&desk->redis, "EVAL", script_publish.text, "2", "jobs", "jobs:published:me", number, "60000", "{}", behind,
                     "2", "job", "", "", id, "{}");
}

static void says(const struct answer *answer, const char *word)
{
    if (!answer->text || !strstr(answer->text, word))
        fail_msg("'%s' is not in: %s", word, answer->text ? answer->text : "(nothing)");
}

/* The word of the script itself: what was sent behind another is done behind it or not at all, and either can be asked for again. */
static void a_batch_that_was_sent_ahead_is_done_only_behind_the_one_before_it(void **state)
{
    struct desk *desk = *state;
    char first[32], second[32];
    says(ask_for_batch(desk, "2", "1", "b"), "ERR the batch before this one was not published");
    snprintf(first, sizeof first, "%s", ask_for_batch(desk, "1", "", "a")->text);
    snprintf(second, sizeof second, "%s", ask_for_batch(desk, "2", "1", "b")->text);
    assert_string_not_equal(first, second);
    assert_string_equal(ask_for_batch(desk, "1", "", "a")->text, first);
    assert_string_equal(ask_for_batch(desk, "2", "1", "b")->text, second);
    assert_string_equal(ask_for_batch(desk, "2", "", "b")->text, second);
    ask_for_batch(desk, "3", "", "c");
    says(ask_for_batch(desk, "1", "", "a"), "ERR a later batch was published");
    says(ask_for_batch(desk, "5", "4", "e"), "ERR the batch before this one was not published");
    assert_int_equal(redis_number(&desk->redis, "XLEN", "jobs"), 3);
}

/* Each receipt speaks of its own message: there, or not known; all of them are there, for every one was sent. */
static void is_honest(struct desk *desk, size_t n, bool is_lost)
{
    size_t unknown = 0;
    wait_for(redis_number(&desk->redis, "XLEN", "jobs") == (long long)n);
    const struct answer *list = redis_ask(&desk->redis, "XRANGE", "jobs", "-", "+");
    for (size_t i = 0; i < n; i++) {
        const struct answer *entry = answer_at(list, i);
        assert_true(answer_is(answer_of(answer_at(entry, 1), "id"), desk->receipts[i].id));
        if (desk->receipts[i].code == QUERN_OK) {
            assert_true(answer_is(answer_at(entry, 0), desk->receipts[i].entry));
        } else {
            assert_int_equal(desk->receipts[i].code, QUERN_E_UNKNOWN);
            unknown++;
        }
    }
    assert_true(is_lost ? unknown > 0 : unknown == 0);
}

static void an_unmarked_batch_says_what_is_known_whatever_befalls_its_answer(void **state)
{
    struct desk *desk = *state;
    set(desk, "publish_ms", "1000");
    set(desk, "publish_marked", "false");
    desk->proxy = proxy_open(NULL, desk->redis.socket, NULL);
    set(desk, "redis", proxy_url(desk->proxy));
    for (size_t i = 0; i < FAULTS; i++) {
        bool is_lost = i < FAULTS - IN_TIME;
        assert_int_equal(publish_badly(desk, 5, "XADD", faults[i]), is_lost ? QUERN_E_UNKNOWN : QUERN_OK);
        is_honest(desk, 5, is_lost);
    }
}

/* The connection ends in the middle of a call of many windows: what was answered is confirmed, what was on its way is unknown, what was not
 * sent is neither. */
static void an_unmarked_call_of_many_windows_tells_each_message_what_became_of_it(void **state)
{
    struct desk *desk = *state;
    size_t confirmed = 0, unknown = 0;
    use_proxy(desk);
    set(desk, "publish_ms", "0");
    set(desk, "publish_marked", "false");
    set(desk, "batch_size", "100");
    assert_int_equal(publish_badly(desk, 750, "XADD", (struct proxy_fault){.kind = PROXY_CLOSE, .after = 300}),
                     QUERN_E_UNKNOWN);
    while (confirmed < 750 && desk->receipts[confirmed].code == QUERN_OK) confirmed++;
    while (confirmed + unknown < 750 && desk->receipts[confirmed + unknown].code == QUERN_E_UNKNOWN) unknown++;
    assert_in_range(confirmed, 1, 99);
    assert_in_range(unknown, 1, 100);
    for (size_t i = confirmed + unknown; i < 750; i++)
        assert_true(desk->receipts[i].code != QUERN_OK && desk->receipts[i].code != QUERN_E_UNKNOWN);
    const struct answer *list = redis_ask(&desk->redis, "XRANGE", "jobs", "-", "+");
    assert_in_range(list->count, confirmed, confirmed + unknown);
    for (size_t i = 0; i < confirmed; i++) assert_true(answer_is(answer_at(answer_at(list, i), 0), desk->receipts[i].entry));
    assert_int_equal(publish(desk, 750), QUERN_OK);
}

static void a_publisher_outlives_a_restart(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(publish(desk, 1), QUERN_OK);
    redis_kill(&desk->redis);
    redis_again(&desk->redis);
    assert_int_equal(publish(desk, 10), QUERN_OK);
    assert_int_equal(redis_number(&desk->redis, "XLEN", "jobs"), 10);
}

static void a_full_redis_refuses_and_nothing_is_suppressed_afterwards(void **state)
{
    struct desk *desk = *state;
    for (int marked = 0; marked < 2; marked++) {
        set(desk, "publish_marked", marked ? "true" : "false");
        set(desk, "publish_ms", "1500");
        redis_ask(&desk->redis, "CONFIG", "SET", "maxmemory", "1");
        int code = publish(desk, 10);
        assert_int_equal(code, QUERN_E_SERVER);
        assert_non_null(strstr(desk->error.text, "OOM"));
        assert_true(desk->error.is_retriable);
        for (int i = 0; i < 10; i++) assert_int_equal(desk->receipts[i].code, QUERN_E_SERVER);
        assert_int_equal(redis_number(&desk->redis, "EXISTS", "jobs"), 0);
        redis_ask(&desk->redis, "CONFIG", "SET", "maxmemory", "0");
        assert_int_equal(publish(desk, 10), QUERN_OK);
        are_there_in_order(desk, 10);
        redis_ask(&desk->redis, "DEL", "jobs");
        assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
        desk->publisher = NULL;
    }
}

static void a_small_budget_ends_in_time(void **state)
{
    static const char *const budgets[] = {"1", "10", "300"};
    struct desk *desk = *state;
    redis_kill(&desk->redis);
    for (size_t i = 0; i < 3; i++) {
        set(desk, "publish_ms", budgets[i]);
        int64_t from_ms = wait_now_ms();
        assert_int_equal(publish(desk, 5), QUERN_E_CONNECT);
        assert_in_range(wait_now_ms() - from_ms, 0, atoi(budgets[i]) + 500);
        assert_true(desk->error.is_retriable);
        for (int r = 0; r < 5; r++)
            assert_true(desk->receipts[r].code != QUERN_OK && desk->receipts[r].code != QUERN_E_UNKNOWN);
        assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
        desk->publisher = NULL;
    }
    redis_again(&desk->redis);
}

static int publish_at_a_closed_door(struct desk *desk, const char *budget_ms, const char *pause_ms, int *came)
{
    char path[120], url[140];
    snprintf(path, sizeof path, "%s/door", desk->redis.dir);
    snprintf(url, sizeof url, "unix://%s", path);
    struct proxy *door = proxy_open(path, "/nobody/behind/it", NULL);
    assert_non_null(door);
    set(desk, "redis", url);
    set(desk, "publish_ms", budget_ms);
    set(desk, "backoff_ms", pause_ms);
    set(desk, "backoff_max_ms", pause_ms);
    int code = publish(desk, 1);
    *came = proxy_accepted(door);
    proxy_close(door);
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
    desk->publisher = NULL;
    return code;
}

static void a_publisher_tries_again_as_often_as_backoff_ms_and_publish_ms_say(void **state)
{
    int came;
    struct desk *desk = *state;
    assert_int_equal(publish_at_a_closed_door(desk, "0", "1", &came), QUERN_E_CONNECT);
    assert_int_equal(came, 1);
    assert_int_equal(publish_at_a_closed_door(desk, "1000", "400", &came), QUERN_E_CONNECT);
    assert_in_range(came, 2, 7);
    assert_int_equal(publish_at_a_closed_door(desk, "1000", "5", &came), QUERN_E_CONNECT);
    assert_true(came > 10);
}

static void one_attempt_is_patient_and_honest(void **state)
{
    struct desk *desk = *state;
    use_proxy(desk);
    set(desk, "publish_ms", "0");
    set(desk, "group", "g");
    assert_int_equal(publish(desk, 300), QUERN_OK);
    are_there_in_order(desk, 300);
    proxy_swallow(desk->proxy, "quern:publisher", 1);
    assert_int_equal(publish(desk, 1), QUERN_E_UNKNOWN);
    assert_int_equal(desk->receipts[0].code, QUERN_E_UNKNOWN);
    assert_int_equal(redis_number(&desk->redis, "XLEN", "jobs"), 301);
}

static void a_group_is_created_only_where_it_was_given(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(publish(desk, 1), QUERN_OK);
    assert_int_equal(redis_number(&desk->redis, "XINFO", "GROUPS", "jobs"), 0);
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
    desk->publisher = NULL;
    set(desk, "group", "mine");
    assert_int_equal(publish(desk, 1), QUERN_OK);
    assert_int_equal(redis_number(&desk->redis, "XINFO", "GROUPS", "jobs"), 1);
    assert_int_equal(redis_pending(&desk->redis, "jobs", "mine"), 0);
}

static void refuses(struct desk *desk, quern_message wrong, int code, const char *words)
{
    quern_message messages[3] = {{.size = sizeof wrong, .event = "a"}, wrong, {.size = sizeof wrong, .event = "b"}};
    assert_int_equal(quern_message_check(desk->config, &wrong, &desk->error), code);
    if (!strstr(desk->error.text, words)) fail_msg("'%s' is not in: %s", words, desk->error.text);
    assert_int_equal(quern_publish(desk->publisher, messages, 3, desk->receipts, &desk->error), code);
    if (!strstr(desk->error.text, "message 2 of 3")) fail_msg("which message? %s", desk->error.text);
    if (!strstr(desk->error.text, words)) fail_msg("'%s' is not in: %s", words, desk->error.text);
}

static void what_is_wrong_is_refused_before_any_io(void **state)
{
    struct desk *desk = *state;
    char event[300];
    memset(event, 'e', sizeof event);
    event[257] = 0;
    set(desk, "redis", "unix:///nobody/listens/here");
    set(desk, "payload_max_bytes", "10");
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_non_null(desk->publisher);
    quern_message message = {.size = sizeof message, .event = "e"};
#define WITH(...) ((quern_message){.size = sizeof(quern_message), __VA_ARGS__})
    refuses(desk, WITH(.event = ""), QUERN_E_ARGUMENT, "empty");
    refuses(desk, WITH(.event = NULL), QUERN_E_ARGUMENT, "event");
    refuses(desk, WITH(.event = event), QUERN_E_ARGUMENT, "257");
    refuses(desk, WITH(.event = "a\nb"), QUERN_E_ARGUMENT, "control");
    refuses(desk, WITH(.event = "\377"), QUERN_E_ARGUMENT, "UTF-8");
    refuses(desk, WITH(.event = "e", .data = {"{\"a\":", 5}), QUERN_E_ARGUMENT, "not JSON");
    refuses(desk, WITH(.event = "e", .data = {"\"\377\"", 3}), QUERN_E_ARGUMENT, "not JSON");
    refuses(desk, WITH(.event = "e", .data = {"", 0}), QUERN_E_ARGUMENT, "not JSON");
    refuses(desk, WITH(.event = "e", .data = {"12345678901", 11}), QUERN_E_FULL, "11 bytes");
    refuses(desk, WITH(.event = "e", .data = {NULL, 3}), QUERN_E_ARGUMENT, "NULL");
    set(desk, "json_depth_max", "3"); /* of a check; the publisher has its copy of the config */
    assert_int_equal(quern_message_check(desk->config, &WITH(.event = "e", .data = {"[[[1]]]", 7}), &desk->error), QUERN_OK);
    message.size = 1;
    refuses(desk, message, QUERN_E_ARGUMENT, "size");
    assert_int_equal(quern_publish(desk->publisher, NULL, 0, NULL, &desk->error), QUERN_OK);
}

static void deeper_data_than_json_depth_max_is_refused_before_any_io(void **state)
{
    enum { DEEP = 3000 };
    struct desk *desk = *state;
    char deep[2 * DEEP];
    memset(deep, '[', DEEP);
    memset(deep + DEEP, ']', DEEP);
    set(desk, "redis", "unix:///nobody/listens/here");
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_non_null(desk->publisher);
    refuses(desk, WITH(.event = "e", .data = {deep + DEEP - 65, 130}), QUERN_E_ARGUMENT,
            "nested 65 deep; json_depth_max is 64");
    refuses(desk, WITH(.event = "e", .data = {deep, sizeof deep}), QUERN_E_ARGUMENT, "nested 3000 deep; json_depth_max is 64");
    assert_int_equal(quern_message_check(desk->config, &WITH(.event = "e", .data = {deep + DEEP - 64, 128}), &desk->error),
                     QUERN_OK);
    assert_int_equal(
        quern_message_check(desk->config, &WITH(.event = "e", .data = {deep, sizeof deep}, .is_raw = 1), &desk->error),
        QUERN_OK); /* raw bytes are no JSON */
}

int main(void)
{
#define DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        DESK(messages_are_published_in_order_with_their_receipts),
        DESK(unmarked_messages_are_published_in_order_too),
        DESK(an_entry_has_exactly_the_fields_of_the_schema),
        DESK(a_marked_batch_whose_answer_was_lost_is_not_published_twice),
        DESK(an_answer_that_is_lost_behind_a_forgotten_script_is_not_taken_for_a_refusal),
        DESK(an_unmarked_batch_whose_answer_was_lost_is_said_to_be_unknown),
        DESK(a_marked_batch_is_published_once_whatever_befalls_its_answer),
        DESK(a_call_of_many_batches_keeps_its_order_whatever_befalls_the_answers),
        DESK(a_server_that_forgets_its_scripts_is_told_them_again_in_the_middle_of_a_call),
        DESK(a_batch_that_was_sent_ahead_of_a_lost_answer_is_unknown_too),
        DESK(a_batch_that_was_sent_ahead_is_done_only_behind_the_one_before_it),
        DESK(an_unmarked_batch_says_what_is_known_whatever_befalls_its_answer),
        DESK(an_unmarked_call_of_many_windows_tells_each_message_what_became_of_it),
        DESK(a_publisher_outlives_a_restart),
        DESK(a_full_redis_refuses_and_nothing_is_suppressed_afterwards),
        DESK(a_small_budget_ends_in_time),
        DESK(a_publisher_tries_again_as_often_as_backoff_ms_and_publish_ms_say),
        DESK(one_attempt_is_patient_and_honest),
        DESK(a_group_is_created_only_where_it_was_given),
        DESK(what_is_wrong_is_refused_before_any_io),
        DESK(deeper_data_than_json_depth_max_is_refused_before_any_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
