/* SPDX-License-Identifier: MIT */

/* promises/cluster: a Cluster takes what lies in one slot: a stream whose name has a hash tag is served, any other is refused before
 * anything is done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"
#include "wire/cluster.h"

/* ── a Cluster of one node ───────────────────────────────────────────────────────────────────────────────────────── */

static bool is_whole(struct redis *redis)
{
    const struct answer *info = redis_ask(redis, "CLUSTER", "INFO");
    return info->text && strstr(info->text, "cluster_state:ok");
}

static int cluster_open(void **state)
{
    char port[8];
    snprintf(port, sizeof port, "%d", redis_free_port());
    const char *const more[] = {"--cluster-enabled", "yes", "--cluster-port", port, "--bind", "127.0.0.1", NULL};
    scene_open_with(state, &(struct redis_options){.more = more});
    struct scene *scene = *state;
    redis_ask(&scene->redis, "CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    wait_for(is_whole(&scene->redis));
    return 0;
}

static void refused(const quern_error *error, const char *key, const char *right)
{
    if (error->code != QUERN_E_CONFIG) fail_msg("%s: %s", quern_code_name(error->code), error->text);
    if (!strstr(error->text, key) || !strstr(error->text, right)) fail_msg("%s", error->text);
}

static void pool_is_refused(struct scene *scene, const char *stream, const char *dead, const char *key, const char *right)
{
    struct mill *mill = mill_new(scene, "stream", stream, NULL);
    if (dead) mill_set(mill, "dead_letter_stream", dead);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    refused(&mill->error, key, right);
    assert_int_equal(redis_number(&scene->redis, "DBSIZE"), 0);
}

static void a_pool_needs_a_hash_tag(void **state)
{
    struct scene *scene = *state;
    pool_is_refused(scene, "app.events", NULL, "stream: ", "{app.events}");
    pool_is_refused(scene, "{}app.events", NULL, "stream: ", "{app.events}");
    pool_is_refused(scene, "{app.events", NULL, "stream: ", "{app.events}");
    pool_is_refused(scene, "{app.events}", "letters", "dead_letter_stream: ", "{app.events}:letters");
    pool_is_refused(scene, "{app.events}", "{letters}", "dead_letter_stream: ", "{app.events}:letters");
}

static void publisher_is_refused(struct scene *scene, const char *stream, const char *dead, const char *key, const char *right)
{
    quern_error error = {0};
    quern_receipt receipt;
    struct mill *mill = mill_new(scene, "stream", stream, "dead_letter_stream", dead, NULL);
    quern_publisher *publisher = quern_publisher_open(mill->config, &error);
    quern_message message = {.size = sizeof message, .event = "e", .data = {"1", 1}};
    assert_non_null(publisher);
    assert_int_equal(quern_publish(publisher, &message, 1, &receipt, &error), QUERN_E_CONFIG);
    refused(&error, key, right);
    assert_int_equal(receipt.code, QUERN_E_CONFIG);
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
    assert_int_equal(redis_number(&scene->redis, "DBSIZE"), 0);
}

static void a_publisher_needs_a_hash_tag(void **state)
{
    publisher_is_refused(*state, "jobs", "", "stream: ", "{jobs}");
    publisher_is_refused(*state, "{jobs}", "letters",
                         "dead_letter_stream: ", "{jobs}:letters"); /* on_max_pending may write there */
}

static void a_look_needs_a_hash_tag(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, NULL);
    char *(*const lists[])(const quern_config *, size_t, quern_error *) = {quern_queue_pending, quern_queue_dead};
    assert_null(quern_queue_stats(mill->config, 0, &mill->error));
    refused(&mill->error, "stream: ", "{jobs}");
    for (size_t i = 0; i < 2; i++) {
        mill->error = (quern_error){0};
        assert_null(lists[i](mill->config, 10, &mill->error));
        refused(&mill->error, "stream: ", "{jobs}");
    }
}

/* ── with a tag ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Of three jobs one is done, one is done at the second attempt, one is dead. */
static quern_verdict by_number(quern_job *job, void *thread, void *user)
{
    int number = atoi(quern_job_data(job).at);
    mill_grind(job, thread, user);
    if (number % 3 == 2) return QUERN_DEAD;
    return number % 3 == 1 && quern_job_retries(job) == 0 ? QUERN_RETRY : QUERN_DONE;
}

/* At once, once, or a little later. */
static void publish_all(struct mill *mill, int n)
{
    quern_publisher *publisher = quern_publisher_open(mill->config, &mill->error);
    assert_non_null(publisher);
    for (int i = 0; i < n; i++) {
        char number[16];
        quern_message message = {.size = sizeof message, .event = "e", .data = {number, (size_t)sprintf(number, "%d", i)}};
        message.unique = i % 5 == 1 ? number : NULL;
        message.delay_ms = i % 5 == 2 ? 20 : 0;
        if (quern_publish(publisher, &message, 1, NULL, &mill->error)) fail_msg("%s", mill->error.text);
    }
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
}

static void a_stream_with_a_hash_tag_is_served(void **state)
{
    enum { JOBS = 30 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "stream", "app.{jobs}", "dead_letter_stream", "dead.{jobs}", "retry_base_ms", "20",
                                 "completed_max", "100", "reap_ms", "50", "lease_ms", "600", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = by_number});
    mill_start(mill);
    publish_all(mill, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS / 3 * 2 && mill_stat(mill, "jobs", "dead") == JOBS / 3);
    wait_for(redis_number(&scene->redis, "XLEN", "app.{jobs}") == 0); /* it is trimmed, too */
    char *stats = quern_queue_stats(mill->config, 0, &mill->error);
    if (!stats) fail_msg("%s", mill->error.text);
    quern_free(stats);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "dead.{jobs}"), JOBS / 3);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "app.{jobs}:g:completed"), JOBS / 3 * 2);
    if (mill_lines(mill, "CROSSSLOT")) fail_msg("a command went over two slots");
}

static void a_live_job_is_renewed_and_a_dead_ones_comes_back_there(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "stream", "{jobs}", "lease_ms", "300", "reap_ms", "50", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    mill->is_shut = true;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "{jobs}", "g", "0", "MKSTREAM");
    publish_all(mill, 1);
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "dead", "STREAMS", "{jobs}", ">"); /* it says nothing more */
    mill_start(mill);
    publish_all(mill, 1);
    wait_for(mill->started == 2);
    wait_for(mill_stat(mill, "upkeep", "reclaimed") == 1);
    wait_for(mill_stat(mill, "leases", "renewed") > 2);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
    assert_int_equal(mill->ended, 2);
}

static void a_server_that_is_no_cluster_takes_any_name(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "dead_letter_stream", "letters", NULL);
    scene_publish(scene, 1, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
}

/* ── tags ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_tag_is_what_the_servers_take_for_one(void **state)
{
    static const char *const keys[][2] = {{"{a}", "a"},   {"x{a}y:g:retry", "a"}, {"{a}{b}", "a"}, {"{{a}}", "{a"},
                                          {"a}{b}", "b"}, {"app", NULL},          {"{}", NULL},    {"{}{a}", NULL},
                                          {"x{a", NULL},  {"x}a{", NULL},         {"", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        quern_bytes tag = cluster_tag(keys[i][0]);
        const char *right = keys[i][1];
        if (!tag.at != !right || (right && (tag.len != strlen(right) || memcmp(tag.at, right, tag.len))))
            fail_msg("%s: %.*s", keys[i][0], (int)tag.len, tag.at ? tag.at : "");
    }
}

int main(void)
{
#define CLUSTER(test) cmocka_unit_test_setup_teardown(test, cluster_open, scene_close)
    const struct CMUnitTest tests[] = {
        CLUSTER(a_pool_needs_a_hash_tag),
        CLUSTER(a_publisher_needs_a_hash_tag),
        CLUSTER(a_look_needs_a_hash_tag),
        CLUSTER(a_stream_with_a_hash_tag_is_served),
        CLUSTER(a_live_job_is_renewed_and_a_dead_ones_comes_back_there),
        cmocka_unit_test_setup_teardown(a_server_that_is_no_cluster_takes_any_name, scene_open, scene_close),
        cmocka_unit_test(a_tag_is_what_the_servers_take_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
