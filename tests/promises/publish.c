/* SPDX-License-Identifier: MIT */

/* promises/publish: messages in order, once, or a clear word about what is not known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/bulk.h"

static void messages_are_published_in_order_with_their_receipts(void **state)
{
    struct bulk *bulk = *state;
    bulk_set(bulk, "batch_size", "77");
    assert_int_equal(bulk_publish(bulk, BULK_MAX), QUERN_OK);
    bulk_is_there(bulk, BULK_MAX);
}

static void unmarked_messages_are_published_in_order_too(void **state)
{
    struct bulk *bulk = *state;
    bulk_set(bulk, "publish_marked", "false");
    assert_int_equal(bulk_publish(bulk, BULK_MAX), QUERN_OK);
    bulk_is_there(bulk, BULK_MAX);
    assert_int_equal(redis_number(&bulk->redis, "KEYS", "*published*"), 0);
}

static void an_entry_has_exactly_the_fields_of_the_schema(void **state)
{
    static const char *const names[] = {"id", "event", "data", "retries", "timestamps"};
    struct bulk *bulk = *state;
    for (int marked = 0; marked < 2; marked++) {
        bulk_set(bulk, "publish_marked", marked ? "true" : "false");
        assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
        const struct answer *fields = answer_at(answer_at(redis_ask(&bulk->redis, "XREVRANGE", "jobs", "+", "-"), 0), 1);
        assert_int_equal(fields->count, 10);
        for (size_t i = 0; i < 5; i++) assert_true(answer_is(answer_at(fields, 2 * i), names[i]));
        const char *id = answer_of(fields, "id")->text, *stamps = answer_of(fields, "timestamps")->text;
        assert_true(strlen(id) == 36 && id[8] == '-' && id[14] == '4' && strspn(id, "0123456789abcdef-") == 36);
        assert_int_equal(strncmp(stamps, "{\"created_at\":\"20", 17), 0);
        assert_non_null(strstr(stamps, "+00:00\",\"updated_at\":\"20"));
        assert_true(answer_is(answer_of(fields, "retries"), "0"));
        assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
        bulk->publisher = NULL;
    }
}

static void a_publisher_outlives_a_restart(void **state)
{
    struct bulk *bulk = *state;
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    redis_kill(&bulk->redis);
    redis_again(&bulk->redis);
    assert_int_equal(bulk_publish(bulk, 10), QUERN_OK);
    assert_int_equal(redis_number(&bulk->redis, "XLEN", "jobs"), 10);
}

static void a_full_redis_refuses_and_nothing_is_suppressed_afterwards(void **state)
{
    struct bulk *bulk = *state;
    for (int marked = 0; marked < 2; marked++) {
        bulk_set(bulk, "publish_marked", marked ? "true" : "false");
        bulk_set(bulk, "publish_ms", "1500");
        redis_ask(&bulk->redis, "CONFIG", "SET", "maxmemory", "1");
        wait_for(bulk_publish(bulk, 10) == QUERN_E_SERVER); /* or its time is over while the server is asked */
        assert_non_null(strstr(bulk->error.text, "OOM"));
        assert_true(bulk->error.is_retriable);
        for (int i = 0; i < 10; i++) assert_int_equal(bulk->receipts[i].code, QUERN_E_SERVER);
        assert_int_equal(redis_number(&bulk->redis, "EXISTS", "jobs"), 0);
        redis_ask(&bulk->redis, "CONFIG", "SET", "maxmemory", "0");
        assert_int_equal(bulk_publish(bulk, 10), QUERN_OK);
        bulk_is_there(bulk, 10);
        redis_ask(&bulk->redis, "DEL", "jobs");
        assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
        bulk->publisher = NULL;
    }
}

static void a_small_budget_ends_in_time(void **state)
{
    static const char *const budgets[] = {"1", "10", "300"};
    struct bulk *bulk = *state;
    redis_kill(&bulk->redis);
    for (size_t i = 0; i < 3; i++) {
        bulk_set(bulk, "publish_ms", budgets[i]);
        int64_t from_ms = wait_now_ms();
        int code = bulk_publish(bulk, 5);
        assert_true(code == QUERN_E_CONNECT ||
                    (i == 0 && code == QUERN_E_TIMEOUT)); /* a millisecond may be over before the first try */
        assert_in_range(wait_now_ms() - from_ms, 0, atoi(budgets[i]) + 4000); /* not publish_ms as it is by itself */
        assert_true(bulk->error.is_retriable);
        for (int r = 0; r < 5; r++)
            assert_true(bulk->receipts[r].code != QUERN_OK && bulk->receipts[r].code != QUERN_E_UNKNOWN);
        assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
        bulk->publisher = NULL;
    }
    redis_again(&bulk->redis);
}

static int publish_at_a_closed_door(struct bulk *bulk, const char *budget_ms, const char *pause_ms, int *came)
{
    char path[120], url[140];
    snprintf(path, sizeof path, "%s/door", bulk->redis.dir);
    snprintf(url, sizeof url, "unix://%s", path);
    struct proxy *door = proxy_open(path, "/nobody/behind/it", NULL);
    assert_non_null(door);
    bulk_set(bulk, "redis", url);
    bulk_set(bulk, "publish_ms", budget_ms);
    bulk_set(bulk, "backoff_ms", pause_ms);
    bulk_set(bulk, "backoff_max_ms", pause_ms);
    int code = bulk_publish(bulk, 1);
    *came = proxy_accepted(door);
    proxy_close(door);
    assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
    bulk->publisher = NULL;
    return code;
}

static void a_publisher_tries_again_as_often_as_backoff_ms_and_publish_ms_say(void **state)
{
    int came;
    struct bulk *bulk = *state;
    assert_int_equal(publish_at_a_closed_door(bulk, "0", "1", &came), QUERN_E_CONNECT);
    assert_int_equal(came, 1);
    assert_int_equal(publish_at_a_closed_door(bulk, "1000", "400", &came), QUERN_E_CONNECT);
    assert_in_range(came, 2, 7);
    assert_int_equal(publish_at_a_closed_door(bulk, "1000", "5", &came), QUERN_E_CONNECT);
    assert_true(came > 10);
}

static void one_attempt_is_patient_and_honest(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "publish_ms", "0");
    bulk_set(bulk, "group", "g");
    assert_int_equal(bulk_publish(bulk, 300), QUERN_OK);
    bulk_is_there(bulk, 300);
    proxy_swallow(bulk->proxy, "quern:publisher", 1);
    assert_int_equal(bulk_publish(bulk, 1), QUERN_E_UNKNOWN);
    assert_int_equal(bulk->receipts[0].code, QUERN_E_UNKNOWN);
    assert_int_equal(redis_number(&bulk->redis, "XLEN", "jobs"), 301);
}

static void a_group_is_created_only_where_it_was_given(void **state)
{
    struct bulk *bulk = *state;
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    assert_int_equal(redis_number(&bulk->redis, "XINFO", "GROUPS", "jobs"), 0);
    assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
    bulk->publisher = NULL;
    bulk_set(bulk, "group", "mine");
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    assert_int_equal(redis_number(&bulk->redis, "XINFO", "GROUPS", "jobs"), 1);
    assert_int_equal(redis_pending(&bulk->redis, "jobs", "mine"), 0);
}

static void refuses(struct bulk *bulk, quern_message wrong, int code, const char *words)
{
    quern_message messages[3] = {{.size = sizeof wrong, .event = "a"}, wrong, {.size = sizeof wrong, .event = "b"}};
    assert_int_equal(quern_message_check(bulk->config, &wrong, &bulk->error), code);
    if (!strstr(bulk->error.text, words)) fail_msg("'%s' is not in: %s", words, bulk->error.text);
    assert_int_equal(quern_publish(bulk->publisher, messages, 3, bulk->receipts, &bulk->error), code);
    if (!strstr(bulk->error.text, "message 2 of 3")) fail_msg("which message? %s", bulk->error.text);
    if (!strstr(bulk->error.text, words)) fail_msg("'%s' is not in: %s", words, bulk->error.text);
}

static void what_is_wrong_is_refused_before_any_io(void **state)
{
    struct bulk *bulk = *state;
    char event[300];
    memset(event, 'e', sizeof event);
    event[257] = 0;
    bulk_set(bulk, "redis", "unix:///nobody/listens/here");
    bulk_set(bulk, "payload_max_bytes", "10");
    bulk->publisher = quern_publisher_open(bulk->config, &bulk->error);
    assert_non_null(bulk->publisher);
    quern_message message = {.size = sizeof message, .event = "e"};
#define WITH(...) ((quern_message){.size = sizeof(quern_message), __VA_ARGS__})
    refuses(bulk, WITH(.event = ""), QUERN_E_ARGUMENT, "empty");
    refuses(bulk, WITH(.event = NULL), QUERN_E_ARGUMENT, "event");
    refuses(bulk, WITH(.event = event), QUERN_E_ARGUMENT, "257");
    refuses(bulk, WITH(.event = "a\nb"), QUERN_E_ARGUMENT, "control");
    refuses(bulk, WITH(.event = "\377"), QUERN_E_ARGUMENT, "UTF-8");
    refuses(bulk, WITH(.event = "e", .data = {"{\"a\":", 5}), QUERN_E_ARGUMENT, "not JSON");
    refuses(bulk, WITH(.event = "e", .data = {"\"\377\"", 3}), QUERN_E_ARGUMENT, "not JSON");
    refuses(bulk, WITH(.event = "e", .data = {"", 0}), QUERN_E_ARGUMENT, "not JSON");
    refuses(bulk, WITH(.event = "e", .data = {"12345678901", 11}), QUERN_E_FULL, "11 bytes");
    refuses(bulk, WITH(.event = "e", .data = {NULL, 3}), QUERN_E_ARGUMENT, "NULL");
    bulk_set(bulk, "json_depth_max", "3"); /* of a check; the publisher has its copy of the config */
    assert_int_equal(quern_message_check(bulk->config, &WITH(.event = "e", .data = {"[[[1]]]", 7}), &bulk->error), QUERN_OK);
    message.size = 1;
    refuses(bulk, message, QUERN_E_ARGUMENT, "size");
    assert_int_equal(quern_publish(bulk->publisher, NULL, 0, NULL, &bulk->error), QUERN_OK);
}

static void deeper_data_than_json_depth_max_is_refused_before_any_io(void **state)
{
    enum { DEEP = 3000 };
    struct bulk *bulk = *state;
    char deep[2 * DEEP];
    memset(deep, '[', DEEP);
    memset(deep + DEEP, ']', DEEP);
    bulk_set(bulk, "redis", "unix:///nobody/listens/here");
    bulk->publisher = quern_publisher_open(bulk->config, &bulk->error);
    assert_non_null(bulk->publisher);
    refuses(bulk, WITH(.event = "e", .data = {deep + DEEP - 65, 130}), QUERN_E_ARGUMENT,
            "nested 65 deep; json_depth_max is 64");
    refuses(bulk, WITH(.event = "e", .data = {deep, sizeof deep}), QUERN_E_ARGUMENT, "nested 3000 deep; json_depth_max is 64");
    assert_int_equal(quern_message_check(bulk->config, &WITH(.event = "e", .data = {deep + DEEP - 64, 128}), &bulk->error),
                     QUERN_OK);
    assert_int_equal(
        quern_message_check(bulk->config, &WITH(.event = "e", .data = {deep, sizeof deep}, .is_raw = 1), &bulk->error),
        QUERN_OK); /* raw bytes are no JSON */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BULK(messages_are_published_in_order_with_their_receipts),
        BULK(unmarked_messages_are_published_in_order_too),
        BULK(an_entry_has_exactly_the_fields_of_the_schema),
        BULK(a_publisher_outlives_a_restart),
        BULK(a_full_redis_refuses_and_nothing_is_suppressed_afterwards),
        BULK(a_small_budget_ends_in_time),
        BULK(a_publisher_tries_again_as_often_as_backoff_ms_and_publish_ms_say),
        BULK(one_attempt_is_patient_and_honest),
        BULK(a_group_is_created_only_where_it_was_given),
        BULK(what_is_wrong_is_refused_before_any_io),
        BULK(deeper_data_than_json_depth_max_is_refused_before_any_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
