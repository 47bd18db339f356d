/* SPDX-License-Identifier: MIT */

/* promises/acl: config/quern.acl, as it is there, lets each of its users do its work and nothing else. The tests of other files are run
 * with it, too: tests/support/acl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/acl.h"
#include "support/mill.h"

static const char *const users[] = {"quern-worker", "quern-producer", "quern-monitor", "quern-operator"};
enum { USERS = sizeof users / sizeof *users };

static char file[64];

/* A server that has loaded the file, whose only change is the password. */
static int open_guarded(void **state)
{
    snprintf(file, sizeof file, "/tmp/quern-acl-XXXXXX");
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    close(fd);
    acl_write(QUERN_SOURCE_DIR "/config/quern.acl", file, NULL, NULL);
    const char *const more[] = {"--aclfile", file, NULL};
    return scene_open_with(state, &(struct redis_options){.more = more});
}

static int close_guarded(void **state)
{
    int code = scene_close(state);
    unlink(file);
    return code;
}

static struct mill *mill_as(struct scene *scene, const char *user)
{
    char url[200];
    snprintf(url, sizeof url, "unix://%s:" ACL_PASSWORD "@%s", user, scene->redis.socket);
    return mill_new(scene, "redis", url, "stream", "app.events", "group", "app.workers", NULL);
}

static quern_publisher *publisher_of(struct mill *mill)
{
    quern_publisher *publisher = quern_publisher_open(mill->config, &mill->error);
    if (!publisher) fail_msg("%s", mill->error.text);
    return publisher;
}

static void publish(struct mill *mill, quern_publisher *publisher, quern_message message, const char *data)
{
    message.size = sizeof message;
    message.data = (quern_bytes){data, strlen(data)};
    if (quern_publish(publisher, &message, 1, NULL, &mill->error)) fail_msg("%s", mill->error.text);
}

/* ── each its own work ───────────────────────────────────────────────────────────────────────────────────────────── */

static quern_verdict by_data(quern_job *job, void *thread, void *user)
{
    char first = quern_job_data(job).at[0];
    mill_grind(job, thread, user);
    return first == '2' ? QUERN_DEAD : first == '3' && !quern_job_retries(job) ? QUERN_RETRY : QUERN_DONE;
}

static void must(char *text, const struct mill *mill)
{
    if (!text) fail_msg("%s", mill->error.text);
    quern_free(text);
}

static void monitor_looks(struct scene *scene)
{
    struct mill *mill = mill_as(scene, "quern-monitor");
    must(quern_queue_stats(mill->config, 0, &mill->error), mill);
    must(quern_queue_pending(mill->config, 10, &mill->error), mill);
    must(quern_queue_dead(mill->config, 10, &mill->error), mill);
    must(quern_queue_doctor(mill->config, &mill->error), mill);
    must(quern_server_facts(mill->config, &mill->error), mill);
    static const char *const places[] = {"waiting", "delayed", "scheduled", "alone", "completed", "batches"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        must(quern_queue_peek(mill->config, places[i], 10, &mill->error), mill);
}

static void each_user_does_its_work(void **state)
{
    struct scene *scene = *state;
    struct mill *worker = mill_as(scene, "quern-worker"), *producer = mill_as(scene, "quern-producer");
    mill_set(worker, "retry_base_ms", "20");
    mill_set(worker, "reap_ms", "50");
    mill_set(worker, "completed_max", "100");
    mill_on(worker, &(quern_handler){.event = "*", .run = by_data});
    mill_start(worker);
    quern_publisher *publisher = publisher_of(producer);
    publish(producer, publisher, (quern_message){.event = "plain"}, "1");
    publish(producer, publisher, (quern_message){.event = "dies"}, "2");
    publish(producer, publisher, (quern_message){.event = "fails"}, "3");
    publish(producer, publisher, (quern_message){.event = "once", .unique = "u"}, "4");
    publish(producer, publisher, (quern_message){.event = "later", .delay_ms = 30}, "5");
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
    wait_for(mill_stat(worker, "jobs", "done") == 4 && mill_stat(worker, "jobs", "dead") == 1);
    wait_for(redis_number(&scene->redis, "XLEN", "app.events") == 0); /* trimmed */
    monitor_looks(scene);
    mill_stop(worker);
    assert_in_range(redis_calls(&scene->redis, "exec"), 2, 100); /* whether it may, and at least one batch with its records */
    if (mill_lines(worker, "NOPERM") || mill_lines(worker, "permission")) fail_msg("the worker lacks a right");
}

/* ── and nothing else ────────────────────────────────────────────────────────────────────────────────────────────── */

static void become(struct scene *scene, const char *user)
{
    redis_rejoin(&scene->redis);
    assert_true(answer_is(redis_ask(&scene->redis, "AUTH", user, ACL_PASSWORD), "OK"));
}

static void is_refused(struct scene *scene, const char *user, const char *const *words, size_t count)
{
    const struct answer *answer = resp_ask_words(scene->redis.client, count, words, NULL);
    bool is_denied =
        answer->kind == '-' && (strstr(answer->text, "NOPERM") || strstr(answer->text, "ACL failure") ||
                                strstr(answer->text, "can't run this command") || strstr(answer->text, "can't access") ||
                                strstr(answer->text, "DEBUG command not allowed")); /* asked before rights are */
    if (!is_denied)
        fail_msg("%s may %s %s: %s", user, words[0], count > 1 ? words[1] : "", answer->text ? answer->text : "yes");
}

#define REFUSED(scene, user, ...)                               \
    is_refused(scene, user, (const char *const[]){__VA_ARGS__}, \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void what_is_dangerous_is_refused_to_all_of_them(void **state)
{
    struct scene *scene = *state;
    for (size_t i = 0; i < USERS; i++) {
        const char *user = users[i];
        become(scene, user);
        REFUSED(scene, user, "FLUSHALL");
        REFUSED(scene, user, "FLUSHDB");
        REFUSED(scene, user, "KEYS", "*");
        REFUSED(scene, user, "SCAN", "0");
        REFUSED(scene, user, "CONFIG", "GET", "*");
        REFUSED(scene, user, "CONFIG", "SET", "requirepass", "x");
        REFUSED(scene, user, "DEBUG", "SLEEP", "0");
        REFUSED(scene, user, "SHUTDOWN", "NOSAVE");
        REFUSED(scene, user, "ACL", "LIST");
        REFUSED(scene, user, "ACL", "SETUSER", "default", "off");
        REFUSED(scene, user, "MODULE", "LIST");
        REFUSED(scene, user, "REPLICAOF", "127.0.0.1", "1");
        REFUSED(scene, user, "MIGRATE", "127.0.0.1", "1", "app.events", "0", "1");
        REFUSED(scene, user, "MONITOR");
        REFUSED(scene, user, "SUBSCRIBE", "x");
        REFUSED(scene, user, "SCRIPT", "FLUSH");
        REFUSED(scene, user, "FUNCTION", "FLUSH");
        REFUSED(scene, user, "CLIENT", "KILL", "TYPE", "normal");
        REFUSED(scene, user, "CLIENT", "LIST");
        REFUSED(scene, user, "RENAME", "app.events", "app.other");
        REFUSED(scene, user, "SWAPDB", "0", "1");
        REFUSED(scene, user, "SAVE");
        REFUSED(scene, user, "SLOWLOG", "GET");
        REFUSED(scene, user, "XGROUP", "DESTROY", "other", "g");
    }
}

static void no_key_of_others_is_touched_by_command_or_by_script(void **state)
{
    struct scene *scene = *state;
    static const char reads[] = "return redis.call('TYPE', KEYS[1])", hidden[] = "return redis.call('TYPE', 'other')";
    redis_ask(&scene->redis, "SET", "other", "secret");
    for (size_t i = 0; i < USERS; i++) {
        become(scene, users[i]);
        REFUSED(scene, users[i], "TYPE", "other");
        REFUSED(scene, users[i], "XLEN", "other");
        REFUSED(scene, users[i], "EVAL", reads, "1", "other");
        REFUSED(scene, users[i], "EVAL", hidden, "1", "app.events");
    }
}

static void a_producer_reads_no_jobs_and_a_monitor_changes_nothing(void **state)
{
    struct scene *scene = *state;
    become(scene, "quern-producer");
    REFUSED(scene, "a producer", "XRANGE", "app.events", "-", "+");
    REFUSED(scene, "a producer", "XREAD", "STREAMS", "app.events", "0");
    REFUSED(scene, "a producer", "XREADGROUP", "GROUP", "app.workers", "c", "STREAMS", "app.events", ">");
    REFUSED(scene, "a producer", "XACK", "app.events", "app.workers", "1-1");
    REFUSED(scene, "a producer", "XTRIM", "app.events", "MAXLEN", "0");
    REFUSED(scene, "a producer", "EVAL", "return redis.call('XRANGE', KEYS[1], '-', '+')", "1", "app.events");
    become(scene, "quern-monitor");
    REFUSED(scene, "a monitor", "XADD", "app.events", "*", "f", "v");
    REFUSED(scene, "a monitor", "XACK", "app.events", "app.workers", "1-1");
    REFUSED(scene, "a monitor", "DEL", "app.events");
    REFUSED(scene, "a monitor", "EVAL", "return 1", "0");
    become(scene, "quern-worker");
    REFUSED(scene, "a worker", "XGROUP", "DESTROY", "app.events", "app.workers");
    REFUSED(scene, "a worker", "XGROUP", "SETID", "app.events", "app.workers", "$");
}

/* The one thing for which a producer must be able to read. */
static void a_producer_that_drops_the_oldest_needs_three_rights_more(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_as(scene, "quern-producer");
    mill_set(mill, "max_pending", "1");
    mill_set(mill, "on_max_pending", "drop_oldest");
    quern_publisher *publisher = publisher_of(mill);
    quern_message message = {.size = sizeof message, .event = "e", .data = {"1", 1}};
    assert_int_equal(quern_publish(publisher, &message, 1, NULL, &mill->error), QUERN_OK);
    assert_int_not_equal(quern_publish(publisher, &message, 1, NULL, &mill->error), QUERN_OK);
    redis_ask(&scene->redis, "ACL", "SETUSER", "quern-producer", "+xrange", "+xreadgroup", "+xack");
    if (quern_publish(publisher, &message, 1, NULL, &mill->error)) fail_msg("%s", mill->error.text);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "app.events:failed"), 1);
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
}

int main(void)
{
#define GUARDED(test) cmocka_unit_test_setup_teardown(test, open_guarded, close_guarded)
    const struct CMUnitTest tests[] = {
        GUARDED(each_user_does_its_work),
        GUARDED(what_is_dangerous_is_refused_to_all_of_them),
        GUARDED(no_key_of_others_is_touched_by_command_or_by_script),
        GUARDED(a_producer_reads_no_jobs_and_a_monitor_changes_nothing),
        GUARDED(a_producer_that_drops_the_oldest_needs_three_rights_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
