/* SPDX-License-Identifier: MIT */

/* promises/publish_faults: whatever befalls an answer, messages are there once and in order, or it is said what is not known. */
#include <stdio.h>
#include <string.h>

#include "support/bulk.h"
#include "wire/script.h"

static void a_marked_batch_whose_answer_was_lost_is_not_published_twice(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK); /* the script is known from here on */
    redis_ask(&bulk->redis, "DEL", "jobs");
    proxy_swallow(bulk->proxy, "quern:publisher", 1);
    assert_int_equal(bulk_publish(bulk, 300), QUERN_OK);
    assert_int_equal(proxy_swallowed(bulk->proxy), 1);
    bulk_is_there(bulk, 300);
}

/* The server has forgotten the script: it is sent whole, and the answer to that is lost. What was answered before is no answer to it. */
static void an_answer_that_is_lost_behind_a_forgotten_script_is_not_taken_for_a_refusal(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "publish_ms", "0");
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    redis_ask(&bulk->redis, "SCRIPT", "FLUSH");
    proxy_fault(bulk->proxy,
                &(struct proxy_fault){.name = ":publisher", .question = "$4\r\nEVAL\r\n", .kind = PROXY_CLOSE, .times = 1});
    assert_int_equal(bulk_publish(bulk, 3), QUERN_E_UNKNOWN);
    wait_for(proxy_swallowed(bulk->proxy) == 1); /* counted when it has happened */
    for (int i = 0; i < 3; i++) assert_int_equal(bulk->receipts[i].code, QUERN_E_UNKNOWN);
    assert_int_equal(redis_number(&bulk->redis, "XLEN", "jobs"), 4);
}

static void an_unmarked_batch_whose_answer_was_lost_is_said_to_be_unknown(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "publish_marked", "false");
    bulk_set(bulk, "batch_size", "10");
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    redis_ask(&bulk->redis, "DEL", "jobs");
    proxy_swallow(bulk->proxy, "quern:publisher", 1);
    assert_int_equal(bulk_publish(bulk, 20), QUERN_E_UNKNOWN);
    assert_int_equal(bulk->error.code, QUERN_E_UNKNOWN);
    int unknown = 0;
    while (unknown < 20 && bulk->receipts[unknown].code == QUERN_E_UNKNOWN) unknown++;
    assert_in_range(unknown, 1, 10); /* what was on its way at once */
    for (int i = unknown; i < 20; i++)
        assert_true(bulk->receipts[i].code != QUERN_OK && bulk->receipts[i].code != QUERN_E_UNKNOWN);
    assert_in_range(redis_number(&bulk->redis, "XLEN", "jobs"), 0, unknown);
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
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
static int publish_badly(struct bulk *bulk, size_t n, const char *question, struct proxy_fault fault)
{
    int before = proxy_swallowed(bulk->proxy);
    redis_ask(&bulk->redis, "DEL", "jobs");
    fault.name = "quern:publisher";
    fault.question = question;
    fault.times = 1;
    proxy_fault(bulk->proxy, &fault);
    int code = bulk_publish(bulk, n);
    wait_for(proxy_swallowed(bulk->proxy) == before + 1);
    return code;
}

static void a_marked_batch_is_published_once_whatever_befalls_its_answer(void **state)
{
    struct bulk *bulk = *state;
    bulk_set(bulk, "publish_ms", "6000"); /* a try of a third of it: two seconds */
    bulk->proxy = proxy_open(NULL, bulk->redis.socket, NULL);
    bulk_set(bulk, "redis", proxy_url(bulk->proxy));
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK); /* the script is known from here on */
    for (size_t i = 0; i < FAULTS; i++) {
        assert_int_equal(publish_badly(bulk, 5, script_publish.sha1, faults[i]), QUERN_OK);
        bulk_is_there(bulk, 5);
    }
}

/* Its first copy is under way when it is answered on another connection, and arrives when the publisher is no more. */
static void a_copy_of_a_batch_that_comes_behind_the_close_is_not_published_again(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "publish_ms", "3000");
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    redis_ask(&bulk->redis, "DEL", "jobs");
    proxy_fault(bulk->proxy,
                &(struct proxy_fault){.name = ":publisher", .question = script_publish.sha1, .kind = PROXY_HOLD, .times = 1});
    assert_int_equal(bulk_publish(bulk, 5), QUERN_OK);
    assert_int_equal(proxy_swallowed(bulk->proxy), 1);
    bulk_is_there(bulk, 5);
    assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
    bulk->publisher = NULL;
    wait_for(redis_clients(&bulk->redis, ":publisher") == 1); /* the one that is held */
    long long calls = redis_calls(&bulk->redis, "evalsha");
    proxy_release(bulk->proxy);
    wait_for(redis_calls(&bulk->redis, "evalsha") == calls + 1);
    bulk_is_there(bulk, 5);
}

/* Of a call of many batches two are on their way at a time: whichever answers are lost, each is there once, and in its place. */
static void a_call_of_many_batches_keeps_its_order_whatever_befalls_the_answers(void **state)
{
    struct bulk *bulk = *state;
    bulk_set(bulk, "publish_ms", "6000");
    bulk_set(bulk, "batch_size", "100");
    bulk->proxy = proxy_open(NULL, bulk->redis.socket, NULL);
    bulk_set(bulk, "redis", proxy_url(bulk->proxy));
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    for (size_t i = 0; i < FAULTS; i++) {
        assert_int_equal(publish_badly(bulk, 750, script_publish.sha1, faults[i]), QUERN_OK);
        bulk_is_there(bulk, 750);
    }
    for (int lost = 2; lost <= 4; lost++) { /* one after the other */
        redis_ask(&bulk->redis, "DEL", "jobs");
        proxy_swallow(bulk->proxy, "quern:publisher", lost);
        assert_int_equal(bulk_publish(bulk, 750), QUERN_OK);
        bulk_is_there(bulk, 750);
    }
}

static void a_server_that_forgets_its_scripts_is_told_them_again_in_the_middle_of_a_call(void **state)
{
    struct bulk *bulk = *state;
    bulk_set(bulk, "batch_size", "10");
    for (int round = 0; round < 20; round++) {
        redis_ask(&bulk->redis, "DEL", "jobs");
        redis_ask(&bulk->redis, "SCRIPT", "FLUSH", "SYNC");
        assert_int_equal(bulk_publish(bulk, 100), QUERN_OK);
        bulk_is_there(bulk, 100);
    }
}

/* One attempt, whose first answer is lost: by then the second batch is on its way. Nothing is known of both, and what comes next is not
 * answered for them. */
static void a_batch_that_was_sent_ahead_of_a_lost_answer_is_unknown_too(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "publish_ms", "0");
    bulk_set(bulk, "batch_size", "100");
    assert_int_equal(bulk_publish(bulk, 1), QUERN_OK);
    proxy_swallow(bulk->proxy, "quern:publisher", 1);
    assert_int_equal(bulk_publish(bulk, 350), QUERN_E_UNKNOWN);
    for (int i = 0; i < 350; i++) {
        bool was_sent = i < 200, is_unknown = bulk->receipts[i].code == QUERN_E_UNKNOWN;
        assert_true(is_unknown == was_sent && bulk->receipts[i].code != QUERN_OK);
    }
    assert_int_equal(bulk_publish(bulk, 350), QUERN_OK);
    long long there = redis_number(&bulk->redis, "XLEN", "jobs");
    assert_true(there == 1 + 100 + 350 || there == 1 + 200 + 350);
    for (int i = 1; i < 350; i++) assert_string_not_equal(bulk->receipts[i].entry, bulk->receipts[i - 1].entry);
}

static const struct answer *ask_for_batch(struct bulk *bulk, const char *number, const char *behind, const char *id)
{
    return redis_ask(&bulk->redis, "EVAL", script_publish.text, "2", "jobs", "jobs:published:me", number, "60000", "{}", behind,
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
    struct bulk *bulk = *state;
    char first[32], second[32];
    says(ask_for_batch(bulk, "2", "1", "b"), "AHEAD the batch before this one is not there");
    snprintf(first, sizeof first, "%s", ask_for_batch(bulk, "1", "", "a")->text);
    snprintf(second, sizeof second, "%s", ask_for_batch(bulk, "2", "1", "b")->text);
    assert_string_not_equal(first, second);
    assert_string_equal(ask_for_batch(bulk, "1", "", "a")->text, first);
    assert_string_equal(ask_for_batch(bulk, "2", "1", "b")->text, second);
    assert_string_equal(ask_for_batch(bulk, "2", "", "b")->text, second);
    ask_for_batch(bulk, "3", "", "c");
    says(ask_for_batch(bulk, "1", "", "a"), "ERR a later batch was published");
    says(ask_for_batch(bulk, "5", "4", "e"), "AHEAD the batch before this one is not there");
    assert_int_equal(redis_number(&bulk->redis, "XLEN", "jobs"), 3);
}

/* Each receipt speaks of its own message: there, or not known; all of them are there, for every one was sent. */
static void is_honest(struct bulk *bulk, size_t n, bool is_lost)
{
    size_t unknown = 0;
    wait_for(redis_number(&bulk->redis, "XLEN", "jobs") == (long long)n);
    const struct answer *list = redis_ask(&bulk->redis, "XRANGE", "jobs", "-", "+");
    for (size_t i = 0; i < n; i++) {
        const struct answer *entry = answer_at(list, i);
        assert_true(answer_is(answer_of(answer_at(entry, 1), "id"), bulk->receipts[i].id));
        if (bulk->receipts[i].code == QUERN_OK) {
            assert_true(answer_is(answer_at(entry, 0), bulk->receipts[i].entry));
        } else {
            assert_int_equal(bulk->receipts[i].code, QUERN_E_UNKNOWN);
            unknown++;
        }
    }
    assert_true(is_lost ? unknown > 0 : unknown == 0);
}

static void an_unmarked_batch_says_what_is_known_whatever_befalls_its_answer(void **state)
{
    struct bulk *bulk = *state;
    bulk_set(bulk, "publish_ms", "1000");
    bulk_set(bulk, "publish_marked", "false");
    bulk->proxy = proxy_open(NULL, bulk->redis.socket, NULL);
    bulk_set(bulk, "redis", proxy_url(bulk->proxy));
    for (size_t i = 0; i < FAULTS; i++) {
        bool is_lost = i < FAULTS - IN_TIME;
        assert_int_equal(publish_badly(bulk, 5, "XADD", faults[i]), is_lost ? QUERN_E_UNKNOWN : QUERN_OK);
        is_honest(bulk, 5, is_lost);
    }
}

/* The connection ends in the middle of a call of many windows: what was answered is confirmed, what was on its way is unknown, what was not
 * sent is neither. */
static void an_unmarked_call_of_many_windows_tells_each_message_what_became_of_it(void **state)
{
    struct bulk *bulk = *state;
    size_t confirmed = 0, unknown = 0;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "publish_ms", "0");
    bulk_set(bulk, "publish_marked", "false");
    bulk_set(bulk, "batch_size", "100");
    assert_int_equal(publish_badly(bulk, 750, "XADD", (struct proxy_fault){.kind = PROXY_CLOSE, .after = 300}),
                     QUERN_E_UNKNOWN);
    while (confirmed < 750 && bulk->receipts[confirmed].code == QUERN_OK) confirmed++;
    while (confirmed + unknown < 750 && bulk->receipts[confirmed + unknown].code == QUERN_E_UNKNOWN) unknown++;
    assert_in_range(confirmed, 0, 99); /* who finds the connection closed when it sends hears no more */
    assert_in_range(unknown, 1, 100);
    for (size_t i = confirmed + unknown; i < 750; i++)
        assert_true(bulk->receipts[i].code != QUERN_OK && bulk->receipts[i].code != QUERN_E_UNKNOWN);
    const struct answer *list = redis_ask(&bulk->redis, "XRANGE", "jobs", "-", "+");
    assert_in_range(list->count, confirmed, confirmed + unknown);
    for (size_t i = 0; i < confirmed; i++) assert_true(answer_is(answer_at(answer_at(list, i), 0), bulk->receipts[i].entry));
    assert_int_equal(bulk_publish(bulk, 750), QUERN_OK);
}

/* ── the group, which the first call makes ───────────────────────────────────────────────────────────────────────── */

struct call {
    struct bulk *bulk;
    _Atomic bool has_ended;
    int code;
};

static void *publish_one(void *given)
{
    struct call *call = given;
    call->code = bulk_publish(call->bulk, 1);
    call->has_ended = true;
    return NULL;
}

static void a_group_that_is_refused_for_a_while_is_made_within_publish_ms(void **state)
{
    struct bulk *bulk = *state;
    struct call call = {.bulk = bulk};
    pthread_t thread;
    bulk_set(bulk, "group", "g");
    bulk_set(bulk, "publish_ms", "30000");
    bulk->publisher = quern_publisher_open(bulk->config, &bulk->error);
    assert_non_null(bulk->publisher);
    redis_ask(&bulk->redis, "CONFIG", "SET", "maxmemory", "1");
    assert_int_equal(pthread_create(&thread, NULL, publish_one, &call), 0);
    wait_for(call.has_ended || redis_info(&bulk->redis, "errorstats", "errorstat_OOM:count") >= 2);
    redis_ask(&bulk->redis, "CONFIG", "SET", "maxmemory", "0");
    pthread_join(thread, NULL);
    if (call.code) fail_msg("%s", bulk->error.text);
    bulk_is_there(bulk, 1);
    assert_int_equal(redis_pending(&bulk->redis, "jobs", "g"), 0);
}

/* A connection that says nothing takes one try, not the whole budget. */
static void a_group_whose_answer_does_not_come_is_made_on_the_next_connection(void **state)
{
    struct bulk *bulk = *state;
    bulk_use_proxy(bulk);
    bulk_set(bulk, "group", "g");
    bulk_set(bulk, "publish_ms", "6000"); /* a try of a third of it */
    proxy_fault(bulk->proxy, &(struct proxy_fault){"quern:publisher", "XGROUP", PROXY_SILENT, .times = 1});
    int code = bulk_publish(bulk, 1);
    if (code) fail_msg("%s", bulk->error.text);
    assert_int_equal(proxy_swallowed(bulk->proxy), 1);
    bulk_is_there(bulk, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BULK(a_marked_batch_whose_answer_was_lost_is_not_published_twice),
        BULK(an_answer_that_is_lost_behind_a_forgotten_script_is_not_taken_for_a_refusal),
        BULK(an_unmarked_batch_whose_answer_was_lost_is_said_to_be_unknown),
        BULK(a_marked_batch_is_published_once_whatever_befalls_its_answer),
        BULK(a_copy_of_a_batch_that_comes_behind_the_close_is_not_published_again),
        BULK(a_call_of_many_batches_keeps_its_order_whatever_befalls_the_answers),
        BULK(a_server_that_forgets_its_scripts_is_told_them_again_in_the_middle_of_a_call),
        BULK(a_batch_that_was_sent_ahead_of_a_lost_answer_is_unknown_too),
        BULK(a_batch_that_was_sent_ahead_is_done_only_behind_the_one_before_it),
        BULK(an_unmarked_batch_says_what_is_known_whatever_befalls_its_answer),
        BULK(an_unmarked_call_of_many_windows_tells_each_message_what_became_of_it),
        BULK(a_group_that_is_refused_for_a_while_is_made_within_publish_ms),
        BULK(a_group_whose_answer_does_not_come_is_made_on_the_next_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
