/* SPDX-License-Identifier: MIT */

/* publish/ahead: what is said of what was sent behind something that is not answered yet, by a server that does as it is told here. */
#include <stdio.h>
#include <string.h>

#include "support/peer.h"

#define FIRST  "$7\r\n1-1 1-2\r\n"
#define SECOND "$7\r\n2-1 2-2\r\n"

enum { MESSAGES = 4, STEPS = 8 };

static struct peer peer; /* large: not on a stack */
static const char *const *answers;
static _Atomic int step;

/* Each call of a script is met by the next answer; an empty one is none, NULL hangs up. */
static void serve(struct peer *at)
{
    if (!peer_greet(at)) return;
    while (peer_hear(at)) {
        const char *answer = step < STEPS ? answers[step] : NULL;
        step++;
        if (!answer || !peer_say(at, answer)) return;
    }
}

/* Publishes two batches of two. What was heard can be read behind it. */
static int publish_as(const char *marked, const char *const told[STEPS], quern_receipt receipts[MESSAGES])
{
    quern_error err;
    quern_message messages[MESSAGES];
    quern_config *config = quern_config_new();
    memset(&peer, 0, sizeof peer);
    peer.serve = serve;
    answers = told;
    step = 0;
    peer_start(&peer, "");
    for (int i = 0; i < MESSAGES; i++) messages[i] = (quern_message){.size = sizeof *messages, .event = "job"};
    assert_int_equal(quern_config_set(config, "redis", peer.address, &err), QUERN_OK);
    assert_int_equal(quern_config_set(config, "stream", "jobs", &err), QUERN_OK);
    assert_int_equal(quern_config_set(config, "batch_size", "2", &err), QUERN_OK);
    assert_int_equal(quern_config_set(config, "publish_marked", marked, &err), QUERN_OK);
    assert_int_equal(quern_config_set(config, "backoff_ms", "1", &err), QUERN_OK);
    quern_publisher *publisher = quern_publisher_open(config, &err);
    assert_non_null(publisher);
    int code = quern_publish(publisher, messages, MESSAGES, receipts, &err);
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
    quern_config_free(config);
    peer_stop(&peer);
    return code;
}

static int publish(const char *const told[STEPS], quern_receipt receipts[MESSAGES])
{
    return publish_as("true", told, receipts);
}

static void are_all_there(const quern_receipt *receipts)
{
    static const char *const entries[MESSAGES] = {"1-1", "1-2", "2-1", "2-2"};
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(receipts[i].code, QUERN_OK);
        assert_string_equal(receipts[i].entry, entries[i]);
    }
}

/* The number of the n-th call that was heard. */
static int number_heard(int n)
{
    const char *at = peer.heard;
    int number;
    for (int i = 0; i <= n; i++) {
        at = strstr(at, "EVALSHA ");
        assert_non_null(at);
        at += i < n;
    }
    assert_int_equal(sscanf(at, "EVALSHA %*s 2 jobs %*s %d", &number), 1);
    return number;
}

static void two_batches_are_answered_in_order(void **state)
{
    static const char *const told[STEPS] = {"", FIRST SECOND};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish(told, receipts), QUERN_OK);
    are_all_there(receipts);
    assert_int_equal(number_heard(1), number_heard(0) + 1);
}

/* The server may read the second one from the old connection when the first has been published on the new one. */
static void what_was_sent_behind_a_refused_batch_may_be_there_later(void **state)
{
    static const char *const told[STEPS] = {"", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", FIRST,
                                            "-ERR nothing goes any more\r\n"};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish(told, receipts), QUERN_E_UNKNOWN);
    for (int i = 0; i < MESSAGES; i++) assert_int_equal(receipts[i].code, i < 2 ? QUERN_OK : QUERN_E_UNKNOWN);
}

/* Nothing of either is there when the first is refused for good. */
static void what_was_sent_behind_a_batch_that_is_never_there_is_not_there(void **state)
{
    static const char *const told[STEPS] = {"", "-ERR nothing goes any more\r\n"};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish(told, receipts), QUERN_E_SERVER);
    for (int i = 0; i < MESSAGES; i++) assert_true(receipts[i].code != QUERN_OK && receipts[i].code != QUERN_E_UNKNOWN);
}

/* The first was answered, and then its marker went: the second asks by itself. */
static void a_marker_that_is_gone_refuses_nobody(void **state)
{
    static const char *const told[STEPS] = {"", FIRST "-AHEAD the batch before this one is not there\r\n", SECOND};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish(told, receipts), QUERN_OK);
    are_all_there(receipts);
    assert_int_equal(number_heard(2), number_heard(1));
}

/* The first had been published before, its answer was lost, and the script is known again between the two. */
static void what_was_answered_before_its_turn_is_asked_for_again_under_its_number(void **state)
{
    static const char *const told[STEPS] = {"", "-NOSCRIPT No matching script.\r\n" SECOND, FIRST, SECOND};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish(told, receipts), QUERN_OK);
    are_all_there(receipts);
    assert_int_equal(number_heard(2), number_heard(0));
    assert_int_equal(number_heard(3), number_heard(1));
}

static void a_forgotten_script_is_sent_whole_and_the_second_batch_again(void **state)
{
    static const char *const told[STEPS] = {"", "-NOSCRIPT No matching script.\r\n-NOSCRIPT No matching script.\r\n",
                                            "-NOSCRIPT No matching script.\r\n", FIRST, SECOND};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish(told, receipts), QUERN_OK);
    are_all_there(receipts);
    assert_non_null(strstr(peer.heard, "EVAL #!lua"));
}

/* The first answer is no id, the second a refusal that would be tried again: the first is not sent twice for it. */
static void what_is_unknown_stays_so_when_a_later_one_is_refused(void **state)
{
    static const char *const told[STEPS] = {"+OK\r\n", "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                                            "$3\r\n1-1\r\n"};
    quern_receipt receipts[MESSAGES];
    (void)state;
    assert_int_equal(publish_as("false", told, receipts), QUERN_E_UNKNOWN);
    assert_int_equal(receipts[0].code, QUERN_E_UNKNOWN);
    for (int i = 1; i < MESSAGES; i++) assert_true(receipts[i].code != QUERN_OK && receipts[i].code != QUERN_E_UNKNOWN);
    assert_int_equal(step, 2);
}

/* The second of a window was taken when the first was refused: tried again, the first would be in the stream behind it. */
static void what_was_overtaken_is_not_tried_again(void **state)
{
    static const char *const told[STEPS] = {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "$3\r\n1-1\r\n",
                                            "$3\r\n1-2\r\n", "$3\r\n1-3\r\n"};
    quern_receipt receipts[MESSAGES];
    (void)state;
    int code = publish_as("false", told, receipts);
    assert_true(code != QUERN_OK && code != QUERN_E_UNKNOWN);
    assert_int_equal(receipts[0].code, code);
    assert_int_equal(receipts[1].code, QUERN_OK);
    assert_string_equal(receipts[1].entry, "1-1");
    for (int i = 2; i < MESSAGES; i++) assert_int_equal(receipts[i].code, code);
    assert_int_equal(step, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_batches_are_answered_in_order),
        cmocka_unit_test(what_was_sent_behind_a_refused_batch_may_be_there_later),
        cmocka_unit_test(what_was_sent_behind_a_batch_that_is_never_there_is_not_there),
        cmocka_unit_test(a_marker_that_is_gone_refuses_nobody),
        cmocka_unit_test(what_was_answered_before_its_turn_is_asked_for_again_under_its_number),
        cmocka_unit_test(a_forgotten_script_is_sent_whole_and_the_second_batch_again),
        cmocka_unit_test(what_is_unknown_stays_so_when_a_later_one_is_refused),
        cmocka_unit_test(what_was_overtaken_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
