/* SPDX-License-Identifier: MIT */

/* promises/once: a job with a unique key is published once while its window is open, whoever publishes it; nothing is suppressed by what
 * was not published. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"
#include "support/proxy.h"

static long long entries(struct scene *scene)
{
    return redis_number(&scene->redis, "XLEN", "jobs");
}

static void a_key_is_published_once_and_the_receipt_names_the_first(void **state)
{
    struct scene *scene = *state;
    struct desk *one = desk_open(scene, NULL), *two = desk_open(scene, NULL);
    assert_int_equal(PUBLISH(one, "1", .unique = "invoice 7"), QUERN_OK);
    assert_int_equal(one->receipt.is_duplicate, 0);
    assert_int_equal(PUBLISH(two, "2", .unique = "invoice 7"), QUERN_OK);
    assert_int_equal(two->receipt.is_duplicate, 1);
    assert_string_equal(two->receipt.id, one->receipt.id);
    assert_string_equal(two->receipt.entry, one->receipt.entry);
    assert_int_equal(PUBLISH(two, "3", .unique = "invoice 8"), QUERN_OK);
    assert_int_equal(PUBLISH(two, "4"), QUERN_OK);
    assert_int_equal(two->receipt.is_duplicate, 0);
    assert_int_equal(entries(scene), 3);
    desk_close(one);
    desk_close(two);
}

/* The window is one of time: that the job is done, or dead, or deleted does not close it. */
static void a_window_is_open_for_its_time_whatever_becomes_of_the_job(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct mill *mill = mill_run(scene, NULL);
    assert_int_equal(PUBLISH(desk, "1", .unique = "k", .unique_ms = 60000), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(PUBLISH(desk, "2", .unique = "k"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 1);
    assert_in_range(redis_number(&scene->redis, "PTTL", "jobs:unique:k"), 1, 60000);
    assert_int_equal(redis_number(&scene->redis, "PEXPIRE", "jobs:unique:k", "1"), 1); /* its time is over */
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs:unique:k") == 0);
    assert_int_equal(PUBLISH(desk, "3", .unique = "k"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_in_range(redis_number(&scene->redis, "PTTL", "jobs:unique:k"), 3500000, 3600000); /* an hour, by default */
    mill_stop(mill);
    desk_close(desk);
}

static void of_a_batch_with_one_key_the_first_is_published(void **state)
{
    enum { N = 300 };
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    quern_message messages[N];
    quern_receipt receipts[N];
    for (int i = 0; i < N; i++)
        messages[i] = (quern_message){.size = sizeof *messages, .event = "job", .unique = i % 3 ? "same" : NULL};
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_int_equal(quern_publish(desk->publisher, messages, N, receipts, &desk->error), QUERN_OK);
    assert_int_equal(entries(scene), N / 3 + 1);
    for (int i = 0; i < N; i++) {
        assert_int_equal(receipts[i].is_duplicate, i % 3 != 0 && i != 1);
        if (i % 3) assert_string_equal(receipts[i].id, receipts[1].id);
    }
    desk_close(desk);
}

/* ── content ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void by_content_the_data_counts_and_not_its_spelling(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "unique_by", "content", NULL);
    assert_int_equal(PUBLISH(desk, "{\"a\": 1, \"b\": [true, null]}"), QUERN_OK);
    assert_int_equal(PUBLISH(desk, "{ \"b\":[true,null],\"a\":1 }"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 1);
    assert_int_equal(PUBLISH(desk, "{\"a\": 1, \"b\": [null, true]}"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_int_equal(PUBLISH(desk, "{\"a\": 1, \"b\": [true, null]}", .event = "other"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_int_equal(PUBLISH(desk, "7"), QUERN_OK);
    assert_int_equal(PUBLISH(desk, "7", .is_raw = 1), QUERN_OK); /* bytes are not the number */
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_int_equal(PUBLISH(desk, "7", .is_raw = 1), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 1);
    assert_int_equal(entries(scene), 5);
    desk_close(desk);
}

static char *number_of(void *user, const quern_message *message)
{
    (void)user;
    if (message->data.at[0] == '0') return NULL;
    return strdup(message->data.at[0] == '1' ? "one" : "");
}

static void a_function_of_the_host_may_name_the_key(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    quern_config_unique(desk->config, number_of, NULL);
    assert_int_equal(PUBLISH(desk, "10"), QUERN_OK);
    assert_int_equal(PUBLISH(desk, "11"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 1);
    assert_int_equal(PUBLISH(desk, "0"), QUERN_OK);
    assert_int_equal(PUBLISH(desk, "0"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_int_equal(PUBLISH(desk, "2"), QUERN_E_ARGUMENT);
    assert_non_null(strstr(desk->error.text, "empty key"));
    quern_message three[] = {{.size = sizeof *three, .event = "job", .data = {"0", 1}},
                             {.size = sizeof *three, .event = "job", .data = {"2", 1}},
                             {.size = sizeof *three, .event = "job", .data = {"0", 1}}};
    quern_receipt receipts[3] = {{0}};
    assert_int_equal(quern_publish(desk->publisher, three, 3, receipts, &desk->error), QUERN_E_ARGUMENT);
    assert_non_null(strstr(desk->error.text, "message 2 of 3"));
    for (int i = 0; i < 3; i++) assert_int_equal(receipts[i].code, QUERN_E_ARGUMENT); /* none was published */
    assert_int_equal(entries(scene), 3);
    desk_close(desk);
}

/* ── odd keys ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void long_and_odd_keys_are_told_apart(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    char one[3000], two[3000];
    memset(one, 'k', sizeof one);
    memset(two, 'k', sizeof two);
    one[sizeof one - 1] = two[sizeof two - 1] = 0;
    two[sizeof two - 2] = 'K';
    const char *const keys[] = {one, two, "a b", "a\nb", "a", "\xff\xfe", "sha256-", "k:{tag}"};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            assert_int_equal(PUBLISH(desk, "1", .unique = keys[i]), QUERN_OK);
            assert_int_equal(desk->receipt.is_duplicate, round);
        }
    assert_int_equal(entries(scene), 8);
    const struct answer *list = redis_ask(&scene->redis, "KEYS", "jobs:unique:*");
    for (size_t i = 0; i < list->count; i++) assert_in_range(strlen(answer_at(list, i)->text), 1, 160);
    desk_close(desk);
}

static void an_empty_key_is_refused_before_anything_is_sent(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "redis", "unix:///nowhere", NULL);
    assert_int_equal(PUBLISH(desk, "1", .unique = ""), QUERN_E_ARGUMENT);
    assert_string_equal(desk->error.text, "the unique key is empty: all such jobs would be one; use NULL for none");
    desk_close(desk);
    (void)scene;
}

static void a_window_that_no_publisher_has_opened_is_said_and_nothing_is_published(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "publish_ms", "0", NULL);
    redis_ask(&scene->redis, "SET", "jobs:unique:k", "somebody else's");
    for (int is_later = 0; is_later < 2; is_later++) { /* either script */
        assert_int_equal(PUBLISH(desk, "1", .unique = "k", .delay_ms = is_later * 3600000), QUERN_E_SERVER);
        assert_non_null(strstr(desk->error.text, "holds what no publisher has written"));
    }
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs", "jobs:scheduled"), 0);
    desk_close(desk);
}

/* ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void what_was_refused_for_want_of_memory_suppresses_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "publish_ms", "200", NULL);
    redis_ask(&scene->redis, "CONFIG", "SET", "maxmemory", "1");
    assert_int_not_equal(PUBLISH(desk, "1", .unique = "k"), QUERN_OK);
    redis_ask(&scene->redis, "CONFIG", "SET", "maxmemory", "0");
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:unique:k"), 0);
    assert_int_equal(PUBLISH(desk, "1", .unique = "k"), QUERN_OK);
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_int_equal(entries(scene), 1);
    desk_close(desk);
}

/* The publisher asks again, and is not told that its own job is a duplicate. */
static void a_lost_answer_is_no_duplicate(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = desk_open(scene, "redis", proxy_url(proxy), "publish_marked", "false", NULL);
    assert_int_equal(PUBLISH(desk, "0", .unique = "first"), QUERN_OK);
    proxy_swallow(proxy, ":publisher", 1);
    assert_int_equal(PUBLISH(desk, "1", .unique = "k"), QUERN_OK);
    assert_int_equal(proxy_swallowed(proxy), 1);
    assert_int_equal(desk->receipt.is_duplicate, 0);
    assert_true(strlen(desk->receipt.entry) > 2);
    assert_int_equal(entries(scene), 2);
    desk_close(desk);
    proxy_close(proxy);
}

enum { PUBLISHERS = 8, ROUNDS = 40 };

struct racer {
    pthread_t thread;
    struct desk *desk;
    pthread_barrier_t *line;
    int firsts;
    char ids[ROUNDS][40];
};

static void *race(void *given)
{
    struct racer *racer = given;
    for (int round = 0; round < ROUNDS; round++) {
        char key[24];
        snprintf(key, sizeof key, "round-%d", round);
        pthread_barrier_wait(racer->line);
        quern_message message = {.size = sizeof message, .event = "job", .unique = key};
        if (quern_publish(racer->desk->publisher, &message, 1, &racer->desk->receipt, NULL)) continue;
        racer->firsts += !racer->desk->receipt.is_duplicate;
        memcpy(racer->ids[round], racer->desk->receipt.id, 40);
    }
    return NULL;
}

static void of_many_publishers_at_once_exactly_one_publishes(void **state)
{
    struct scene *scene = *state;
    static struct racer racers[PUBLISHERS];
    pthread_barrier_t line;
    int firsts = 0;
    pthread_barrier_init(&line, NULL, PUBLISHERS);
    for (int i = 0; i < PUBLISHERS; i++) {
        racers[i] = (struct racer){.desk = desk_open(scene, NULL), .line = &line};
        racers[i].desk->publisher = quern_publisher_open(racers[i].desk->config, NULL);
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS; i++) {
        pthread_join(racers[i].thread, NULL);
        firsts += racers[i].firsts;
        for (int round = 0; round < ROUNDS; round++) assert_string_equal(racers[i].ids[round], racers[0].ids[round]);
        desk_close(racers[i].desk);
    }
    pthread_barrier_destroy(&line);
    assert_int_equal(firsts, ROUNDS);
    assert_int_equal(entries(scene), ROUNDS);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_key_is_published_once_and_the_receipt_names_the_first),
        SCENE(a_window_is_open_for_its_time_whatever_becomes_of_the_job),
        SCENE(of_a_batch_with_one_key_the_first_is_published),
        SCENE(by_content_the_data_counts_and_not_its_spelling),
        SCENE(a_function_of_the_host_may_name_the_key),
        SCENE(long_and_odd_keys_are_told_apart),
        SCENE(an_empty_key_is_refused_before_anything_is_sent),
        SCENE(a_window_that_no_publisher_has_opened_is_said_and_nothing_is_published),
        SCENE(what_was_refused_for_want_of_memory_suppresses_nothing),
        SCENE(a_lost_answer_is_no_duplicate),
        SCENE(of_many_publishers_at_once_exactly_one_publishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
