/* SPDX-License-Identifier: MIT */

/* promises/later: a job that is published for later starts within a second of its time, and not before; in whatever shape it is
 * written, and with all it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/desk.h"

static int64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static long long scheduled(struct scene *scene)
{
    long long times = redis_number(&scene->redis, "ZCARD", "jobs:scheduled");
    assert_int_equal(redis_number(&scene->redis, "HLEN", "jobs:scheduled:jobs"), times);
    return times;
}

static void a_delayed_job_starts_at_its_time(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct mill *mill = mill_run(scene, NULL);
    int64_t from_ms = unix_ms();
    assert_int_equal(PUBLISH(desk, "1", .delay_ms = 1500), QUERN_OK);
    assert_in_range(desk->receipt.due_ms, from_ms + 1500, unix_ms() + 1500);
    assert_string_equal(desk->receipt.entry, "");
    assert_int_equal(scheduled(scene), 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 0);
    wait_for(mill->started == 1);
    assert_true(unix_ms() >= desk->receipt.due_ms);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && scheduled(scene) == 0);
    wait_for(mill_stat(mill, "upkeep", "scheduled") == 1);
    mill_stop(mill);
    desk_close(desk);
}

static void a_time_that_is_past_is_now(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    assert_int_equal(PUBLISH(desk, "1", .at_ms = 1), QUERN_OK);
    assert_int_equal(desk->receipt.due_ms, 0);
    assert_int_equal(scheduled(scene), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 1);
    desk_close(desk);
}

/* Nobody may be there when its time comes: it starts when somebody is. */
static void jobs_that_came_due_while_nobody_was_there_are_run_in_the_order_of_their_times(void **state)
{
    enum { JOBS = 300 };
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    int64_t at_ms = unix_ms() + 3000; /* by when all are published */
    char text[8];
    for (int i = 0; i < JOBS; i++) {
        snprintf(text, sizeof text, "%d", JOBS - 1 - i);
        assert_int_equal(PUBLISH(desk, text, .at_ms = at_ms + JOBS - 1 - i), QUERN_OK);
    }
    wait_for(unix_ms() > at_ms + JOBS);
    struct mill *mill = mill_run(scene, "threads", "1", "trim", "false", NULL);
    wait_for(mill_has_seen_once(mill, 0, JOBS) && scheduled(scene) == 0);
    const struct answer *list = redis_ask(&scene->redis, "XRANGE", "jobs", "-", "+");
    for (int i = 0; i < JOBS; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_true(answer_is(answer_of(answer_at(answer_at(list, (size_t)i), 1), "data"), text));
    }
    mill_stop(mill);
    desk_close(desk);
}

/* One call, more than one step in Redis. */
static void jobs_of_one_time_keep_the_order_in_which_they_were_published(void **state)
{
    enum { JOBS = 200 };
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    static quern_message messages[JOBS];
    static char texts[JOBS][8];
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    for (int is_delay = 0; is_delay < 2; is_delay++) {
        int64_t at_ms = unix_ms() + 3000; /* by when all are published */
        for (int i = 0; i < JOBS; i++) {
            size_t len = (size_t)snprintf(texts[i], sizeof texts[i], "%d", is_delay * JOBS + i);
            messages[i] = (quern_message){.size = sizeof *messages, .event = "job", .data = {texts[i], len}};
            if (is_delay)
                messages[i].delay_ms = 3000;
            else
                messages[i].at_ms = at_ms;
        }
        assert_int_equal(quern_publish(desk->publisher, messages, JOBS, NULL, &desk->error), QUERN_OK);
    }
    assert_int_equal(scheduled(scene), 2 * JOBS);
    struct mill *mill = mill_run(scene, "threads", "1", "trim", "false", NULL);
    wait_for(mill_has_seen_once(mill, 0, 2 * JOBS) && scheduled(scene) == 0);
    const struct answer *list = redis_ask(&scene->redis, "XRANGE", "jobs", "-", "+");
    int next[2] = {0, JOBS}; /* of either kind */
    for (size_t i = 0; i < 2 * JOBS; i++) {
        int number = atoi(answer_of(answer_at(answer_at(list, i), 1), "data")->text);
        assert_int_equal(number, next[number >= JOBS]++);
    }
    mill_stop(mill);
    desk_close(desk);
}

static void each_group_gets_a_scheduled_job(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct mill *one = mill_run(scene, NULL), *two = mill_run(scene, "group", "h", NULL);
    assert_int_equal(PUBLISH(desk, "5", .delay_ms = 100), QUERN_OK);
    wait_for(mill_has_seen_once(one, 5, 1) && mill_has_seen_once(two, 5, 1));
    mill_stop(one);
    mill_stop(two);
    desk_close(desk);
}

/* ── what it has ─────────────────────────────────────────────────────────────────────────────────────────────────── */

struct sight {
    char id[64], event[64], data[64], key[64];
    _Atomic int count;
};

static void keep(char to[64], quern_bytes bytes)
{
    snprintf(to, 64, "%.*s", (int)bytes.len, bytes.at ? bytes.at : "");
}

static quern_verdict look(quern_job *job, void *thread, void *user)
{
    struct sight *sight = user;
    (void)thread;
    keep(sight->id, quern_job_id(job));
    keep(sight->event, quern_job_event(job));
    keep(sight->data, quern_job_data(job));
    keep(sight->key, quern_job_field(job, "key"));
    atomic_fetch_add(&sight->count, 1);
    return QUERN_DONE;
}

static void is_seen_as_published(struct scene *scene, const char *shape, int64_t delay_ms)
{
    static const char data[] = "{ \"a\":[1,\"\\u00e9\"], \"b\": 0.1 }";
    struct desk *desk = desk_open(scene, "publish_shape", shape, NULL);
    struct sight sight = {0};
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = look, .user = &sight});
    mill_start(mill);
    int code =
        PUBLISH(desk, data, .event = "say \"x\" \\ y", .key = "k/1", .delay_ms = delay_ms, .expire_at_ms = unix_ms() + 3600000);
    assert_int_equal(code, QUERN_OK);
    wait_for(sight.count == 1);
    assert_string_equal(sight.id, desk->receipt.id);
    assert_string_equal(sight.event, "say \"x\" \\ y");
    assert_string_equal(sight.data, data);
    if (!strcmp(shape, "fields")) assert_string_equal(sight.key, "k/1");
    mill_stop(mill);
    desk_close(desk);
}

static void a_job_of_either_shape_is_seen_as_it_was_published(void **state)
{
    is_seen_as_published(*state, "fields", 0);
    is_seen_as_published(*state, "object", 0);
}

static void a_scheduled_job_of_either_shape_is_seen_as_it_was_published(void **state)
{
    is_seen_as_published(*state, "fields", 50);
    is_seen_as_published(*state, "object", 50);
}

static void an_object_is_one_field_that_holds_all(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "publish_shape", "object", NULL);
    char wanted[400];
    assert_int_equal(PUBLISH(desk, "[1, 2]", .expire_at_ms = 99999999999999), QUERN_OK);
    snprintf(
        wanted, sizeof wanted,
        "{\"id\":\"%s\",\"event\":\"job\",\"retries\":0,\"expire_at\":99999999999999,\"timestamps\":{\"created_at\":\"%s\","
        "\"updated_at\":\"%s\"},\"data\":[1, 2]}",
        desk->receipt.id, desk->receipt.created_at, desk->receipt.created_at);
    const struct answer *fields = answer_at(answer_at(redis_ask(&scene->redis, "XRANGE", "jobs", "-", "+"), 0), 1);
    assert_int_equal(fields->count, 2);
    assert_string_equal(answer_at(fields, 1)->text, wanted);
    assert_int_equal(PUBLISH(desk, "raw", .is_raw = 1), QUERN_E_ARGUMENT);
    assert_non_null(strstr(desk->error.text, "publish_shape \"fields\" takes them"));
    desk_close(desk);
}

static void a_job_that_expires_before_a_thread_takes_it_is_dead_in_either_shape(void **state)
{
    struct scene *scene = *state;
    struct desk *one = desk_open(scene, NULL), *two = desk_open(scene, "publish_shape", "object", NULL);
    assert_int_equal(PUBLISH(one, "1", .expire_at_ms = 1), QUERN_OK);
    assert_int_equal(PUBLISH(two, "2", .expire_at_ms = 1), QUERN_OK);
    struct mill *mill = mill_run(scene, NULL);
    wait_for(mill_stat(mill, "jobs", "expired") == 2 && mill_stat(mill, "jobs", "dead") == 2);
    assert_int_equal(mill->started, 0);
    mill_stop(mill);
    desk_close(one);
    desk_close(two);
}

/* ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void is_refused(quern_message message, const char *why)
{
    quern_config *config = quern_config_new();
    quern_error error;
    message.size = sizeof message;
    message.event = "job";
    assert_int_equal(quern_message_check(config, &message, &error), QUERN_E_ARGUMENT);
    if (strncmp(error.text, why, strlen(why)) != 0) fail_msg("%s", error.text);
    quern_config_free(config);
}

static void a_time_that_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    is_refused((quern_message){.delay_ms = -1}, "delay_ms is -1; 0 to 316224000000 is right");
    is_refused((quern_message){.delay_ms = INT64_MAX}, "delay_ms is 9223372036854775807; 0 to");
    is_refused((quern_message){.at_ms = INT64_MAX}, "at_ms is 9223372036854775807; 0 to");
    is_refused((quern_message){.expire_at_ms = -5}, "expire_at_ms is -5; 0 to");
    is_refused((quern_message){.unique = "k", .unique_ms = -5}, "unique_ms is -5; 0 to");
    is_refused((quern_message){.delay_ms = 1, .at_ms = 1}, "both delay_ms and at_ms are set");
    is_refused((quern_message){.at_ms = 10, .expire_at_ms = 10}, "expire_at_ms is not after at_ms");
    is_refused((quern_message){.key = ""}, "the key is empty");
    is_refused((quern_message){.key = "a\nb"}, "the key holds a control character");
}

static void a_key_of_another_type_is_said_and_nothing_is_published(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    redis_ask(&scene->redis, "SET", "jobs:scheduled", "mine");
    assert_int_equal(PUBLISH(desk, "1", .delay_ms = 1000), QUERN_E_SERVER);
    assert_non_null(strstr(desk->error.text, "the scheduled jobs times"));
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:scheduled:jobs", "jobs"), 0);
    desk_close(desk);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_delayed_job_starts_at_its_time),
        SCENE(a_time_that_is_past_is_now),
        SCENE(jobs_that_came_due_while_nobody_was_there_are_run_in_the_order_of_their_times),
        SCENE(jobs_of_one_time_keep_the_order_in_which_they_were_published),
        SCENE(each_group_gets_a_scheduled_job),
        SCENE(a_job_of_either_shape_is_seen_as_it_was_published),
        SCENE(a_scheduled_job_of_either_shape_is_seen_as_it_was_published),
        SCENE(an_object_is_one_field_that_holds_all),
        SCENE(a_job_that_expires_before_a_thread_takes_it_is_dead_in_either_shape),
        cmocka_unit_test(a_time_that_cannot_be_meant_is_refused),
        SCENE(a_key_of_another_type_is_said_and_nothing_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
