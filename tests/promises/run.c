/* SPDX-License-Identifier: MIT */

/* promises/run: a published job is run once, as it was published, and nothing of it is left. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"

enum { MIB = 1048576 };

/* What a handler was given last. */
struct given {
    _Atomic int jobs;
    char id[64], event[64], *data;
    size_t data_len;
    unsigned retries, deliveries;
    int64_t age_ms;
    char color[16], data_type[16];
    bool has_json;
};

static void keep(char *to, size_t size, quern_bytes from)
{
    snprintf(to, size, "%.*s", (int)from.len, from.at ? from.at : "");
}

static quern_verdict take(quern_job *job, void *thread, void *user)
{
    struct given *given = user;
    quern_bytes data = quern_job_data(job);
    (void)thread;
    keep(given->id, sizeof given->id, quern_job_id(job));
    keep(given->event, sizeof given->event, quern_job_event(job));
    keep(given->color, sizeof given->color, quern_job_field(job, "color"));
    keep(given->data_type, sizeof given->data_type, quern_job_field(job, "data_type"));
    free(given->data);
    given->data = malloc(data.len + 1);
    if (given->data) memcpy(given->data, data.at, data.len + 1);
    given->data_len = data.len;
    given->retries = quern_job_retries(job);
    given->deliveries = quern_job_deliveries(job);
    given->age_ms = quern_job_age_ms(job);
    atomic_fetch_add(&given->jobs, 1);
    return QUERN_DONE;
}

static struct mill *taking(struct scene *scene, struct given *given)
{
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = take, .user = given});
    mill_start(mill);
    return mill;
}

static void every_published_job_is_run_once_and_nothing_is_left(void **state)
{
    enum { JOBS = 20000 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "4", NULL);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
    assert_in_range(redis_number(&scene->redis, "XLEN", "jobs"), 0, 200);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
    assert_int_equal(redis_number(&scene->redis, "HLEN", "jobs:g:settles"), 0);
}

static void publish_one(struct scene *scene, const quern_message *message, quern_receipt *receipt)
{
    quern_error error = {0};
    quern_publisher *publisher = quern_publisher_open(scene->mills[0]->config, &error);
    assert_non_null(publisher);
    if (quern_publish(publisher, message, 1, receipt, &error)) fail_msg("%s", error.text);
    assert_int_equal(receipt->code, QUERN_OK);
    quern_publisher_close(publisher);
}

static void arrives(struct scene *scene, struct given *given, const char *data, size_t len, int is_raw)
{
    quern_receipt receipt;
    int before = atomic_load(&given->jobs);
    quern_message message = {.size = sizeof message, .event = "caf\303\251 au lait", .data = {data, len}, .is_raw = is_raw};
    publish_one(scene, &message, &receipt);
    wait_for(atomic_load(&given->jobs) == before + 1);
    assert_string_equal(given->id, receipt.id);
    assert_string_equal(given->event, message.event);
    assert_int_equal(given->data_len, data ? len : 2);
    assert_memory_equal(given->data, data ? data : "{}", given->data_len);
    assert_int_equal(given->data[given->data_len], 0);
    assert_string_equal(given->data_type, is_raw ? "bytes" : "");
    assert_int_equal(given->retries, 0);
    assert_int_equal(given->deliveries, 1);
    assert_in_range(given->age_ms, 0, PATIENCE_MS);
}

static void ids_and_data_arrive_byte_for_byte(void **state)
{
    struct scene *scene = *state;
    struct given given = {0};
    struct mill *mill = taking(scene, &given);
    char *large = malloc(MIB), *text = malloc(MIB);
    assert_true(large && text);
    for (int i = 0; i < MIB; i++) large[i] = (char)(i * 7 + i / 256);
    memset(text, 'x', MIB);
    text[0] = text[MIB - 1] = '"';
    arrives(scene, &given, "a\0b\r\n\377\0", 7, 1);
    arrives(scene, &given, "", 0, 1);
    arrives(scene, &given, large, MIB, 1);
    arrives(scene, &given, text, MIB, 0);
    arrives(scene, &given, NULL, 0, 0);
    arrives(scene, &given, "{}", 2, 0);
    arrives(scene, &given, " [1, 2.50,\t\"\\u00e9\"] ", 21, 0);
    arrives(scene, &given, "null", 4, 0);
    arrives(scene, &given, "-0.0", 4, 0);
    mill_stop(mill);
    free(given.data);
    free(large);
    free(text);
}

static quern_verdict count(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread;
    atomic_fetch_add((_Atomic int *)user, 1);
    return QUERN_DONE;
}

static void publish_event(struct scene *scene, const char *event)
{
    quern_receipt receipt;
    publish_one(scene, &(quern_message){.size = sizeof(quern_message), .event = event}, &receipt);
}

static void the_star_takes_what_no_other_handler_names(void **state)
{
    struct scene *scene = *state;
    _Atomic int named = 0, other = 0;
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = count, .user = &other});
    mill_on(mill, &(quern_handler){.event = "named", .run = count, .user = &named});
    mill_start(mill);
    publish_event(scene, "named");
    publish_event(scene, "name");
    publish_event(scene, "*");
    publish_event(scene, "Named");
    wait_for(mill_stat(mill, "jobs", "done") == 4);
    assert_int_equal(atomic_load(&named), 1);
    assert_int_equal(atomic_load(&other), 3);
    mill_stop(mill);
}

static void a_job_without_a_handler_waits_to_be_tried_again_and_is_counted_and_said(void **state)
{
    struct scene *scene = *state;
    _Atomic int named = 0;
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "named", .run = count, .user = &named});
    mill_start(mill);
    publish_event(scene, "other");
    publish_event(scene, "named");
    wait_for(atomic_load(&named) == 1 && mill_stat(mill, "jobs", "unhandled") == 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && mill_stat(mill, "jobs", "retry") == 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 0);
    wait_for(mill_lines(mill, "outcome=unhandled") == 1);
    mill_stop(mill);
}

#define add(scene, ...) assert_int_equal(redis_ask(&(scene)->redis, "XADD", "jobs", "*", __VA_ARGS__)->kind, '$')

static void both_shapes_of_an_entry_are_read(void **state)
{
    struct scene *scene = *state;
    struct given given = {0};
    struct mill *mill = taking(scene, &given);
    add(scene, "id", "i1", "event", "e1", "data", "{\"a\": 1}", "retries", "2", "timestamps",
        "{\"created_at\": \"2024-01-31T10:00:00Z\", \"updated_at\": \"2024-01-31T10:00:00.5+02:00\"}", "color", "red");
    wait_for(atomic_load(&given.jobs) == 1);
    assert_string_equal(given.id, "i1");
    assert_string_equal(given.event, "e1");
    assert_string_equal(given.data, "{\"a\": 1}");
    assert_string_equal(given.color, "red");
    assert_int_equal(given.retries, 2);
    assert_true(given.age_ms > 1000);
    add(scene, "message",
        "{\"id\": \"i2\", \"event\": \"e2\", \"data\": {\"b\": [1, \"\\u00e9\"]}, \"retries\": 3, \"timestamps\": "
        "{\"created_at\": \"2024-01-31T10:00:00.123456+00:00\", \"updated_at\": \"2024-01-31T10:00:00+00:00\"}}");
    wait_for(atomic_load(&given.jobs) == 2);
    assert_string_equal(given.id, "i2");
    assert_string_equal(given.event, "e2");
    assert_string_equal(given.data, "{\"b\": [1, \"\\u00e9\"]}"); /* as it was written */
    assert_int_equal(given.retries, 3);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
    free(given.data);
}

static void missing_fields_are_stood_in_for(void **state)
{
    struct scene *scene = *state;
    struct given given = {0};
    char entry[64];
    struct mill *mill = taking(scene, &given);
    snprintf(entry, sizeof entry, "%s", redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "e", "data", "1")->text);
    wait_for(atomic_load(&given.jobs) == 1);
    assert_string_equal(given.id, entry);
    assert_int_equal(given.retries, 0);
    assert_in_range(given.age_ms, 0, PATIENCE_MS);
    add(scene, "only", "{\"event\": \"f\", \"data\": null}");
    wait_for(atomic_load(&given.jobs) == 2);
    assert_string_equal(given.event, "f");
    assert_string_equal(given.data, "null");
    mill_stop(mill);
    free(given.data);
}

static void wrong_fields_are_malformed_and_the_pool_goes_on(void **state)
{
    enum { WRONG = 8 };
    struct scene *scene = *state;
    struct given given = {0};
    struct mill *mill = taking(scene, &given);
    add(scene, "data", "1");
    add(scene, "event", "e");
    add(scene, "event", "", "data", "1");
    add(scene, "event", "e", "data", "1", "id", "");
    add(scene, "event", "e", "data", "1", "retries", "minus one");
    add(scene, "event", "e", "data", "1", "timestamps", "yesterday");
    add(scene, "message", "{\"event\": 7, \"data\": 1}");
    add(scene, "message", "{not JSON");
    add(scene, "event", "e", "data", "good");
    wait_for(atomic_load(&given.jobs) == 1 && mill_stat(mill, "jobs", "malformed") == WRONG);
    assert_string_equal(given.data, "good");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    wait_for(mill_stat(mill, "jobs", "dead") == WRONG);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), WRONG);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(mill_stat(mill, "jobs", "left_pending"), 0);
    wait_for(mill_lines(mill, "reason=malformed") == WRONG);
    mill_stop(mill);
    free(given.data);
}

static quern_verdict parse_twice(quern_job *job, void *thread, void *user)
{
    struct given *given = user;
    const json_t *first = quern_job_json(job);
    (void)thread;
    given->has_json = first && first == quern_job_json(job) && json_integer_value(json_object_get(first, "n")) == 7;
    keep(given->event, sizeof given->event, quern_job_event(job));
    atomic_fetch_add(&given->jobs, 1);
    return QUERN_DONE;
}

static void json_is_parsed_once_and_what_is_not_json_is_malformed_whatever_the_verdict(void **state)
{
    struct scene *scene = *state;
    struct given given = {0};
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = parse_twice, .user = &given});
    mill_start(mill);
    add(scene, "event", "good", "data", " {\"n\": 7} ");
    wait_for(atomic_load(&given.jobs) == 1);
    assert_true(given.has_json);
    add(scene, "event", "bad", "data", "{\"n\": 7");
    wait_for(atomic_load(&given.jobs) == 2 && mill_stat(mill, "jobs", "malformed") == 1);
    assert_false(given.has_json);
    wait_for(mill_lines(mill, "not JSON") == 1);
    wait_for(mill_lines(mill, "reason=malformed") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
}

static void data_deeper_than_json_depth_max_is_malformed_for_whoever_asks_for_json(void **state)
{
    struct scene *scene = *state;
    struct given given = {0};
    struct mill *mill = mill_new(scene, "threads", "1", "json_depth_max", "3", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = parse_twice, .user = &given});
    mill_on(mill, &(quern_handler){.event = "bytes", .run = mill_grind});
    mill_start(mill);
    add(scene, "event", "good", "data", "{\"n\": 7, \"deep\": [[\"[[[[\"]]}");
    wait_for(atomic_load(&given.jobs) == 1);
    assert_true(given.has_json);
    add(scene, "event", "bad", "data", "{\"n\": 7, \"deep\": [[[1]]]}");
    wait_for(atomic_load(&given.jobs) == 2 && mill_stat(mill, "jobs", "malformed") == 1);
    assert_false(given.has_json);
    wait_for(mill_lines(mill, "the data is nested 4 deep; json_depth_max is 3") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 1);
    add(scene, "event", "bytes", "data", "[[[[[[[[1]]]]]]]]"); /* nobody looks inside */
    wait_for(mill->ended == 1);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 1);
}

static void until_empty_ends_when_nothing_is_left(void **state)
{
    enum { JOBS = 500 };
    struct scene *scene = *state;
    scene_publish(scene, 0, JOBS);
    struct mill *mill = mill_run(scene, "until_empty", "true", NULL);
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(quern_pool_free(mill->pool), QUERN_OK);
    mill->pool = NULL;
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(every_published_job_is_run_once_and_nothing_is_left),
        SCENE(ids_and_data_arrive_byte_for_byte),
        SCENE(the_star_takes_what_no_other_handler_names),
        SCENE(a_job_without_a_handler_waits_to_be_tried_again_and_is_counted_and_said),
        SCENE(both_shapes_of_an_entry_are_read),
        SCENE(missing_fields_are_stood_in_for),
        SCENE(wrong_fields_are_malformed_and_the_pool_goes_on),
        SCENE(json_is_parsed_once_and_what_is_not_json_is_malformed_whatever_the_verdict),
        SCENE(data_deeper_than_json_depth_max_is_malformed_for_whoever_asks_for_json),
        SCENE(until_empty_ends_when_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
