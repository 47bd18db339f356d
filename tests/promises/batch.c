/* SPDX-License-Identifier: MIT */

/* promises/batch: a batch's closing job is published once, when all of its jobs have ended in the group, and tells what became of
 * them. What a batch may be, and how it is looked at. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/lot.h"

/* ── when it goes well ───────────────────────────────────────────────────────────────────────────────────────────── */

static void a_closing_job_runs_once_when_all_have_ended(void **state)
{
    static const size_t sizes[] = {1, 2, 64, 65, 1000};
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char ids[5][40];
    struct mill *mill = lot_working(mill_new(scene, "threads", "4", NULL));
    for (int i = 0; i < 5; i++) lot_publish(desk, "0", sizes[i], ids[i]);
    wait_for(lot_closings() == 5);
    for (int i = 0; i < 5; i++) lot_is_told(ids[i], (int)sizes[i], (int)sizes[i], 0, 0);
    wait_for(lot_is_gone(&scene->redis));
    wait_for(mill_stat(mill, "jobs", "done") == 1 + 2 + 64 + 65 + 1000 + 5);
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(lot_closings(), 5);
}

/* Their jobs lie between each other, and are settled together. */
static void many_batches_at_once_are_each_told_of_their_own(void **state)
{
    enum { BATCHES = 200 };
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    static char ids[BATCHES][40];
    static quern_batch *batches[BATCHES];
    for (int i = 0; i < BATCHES; i++) batches[i] = lot_open(desk, ids[i]);
    for (int job = 0; job < 3; job++)
        for (int i = 0; i < BATCHES; i++) lot_add(desk, batches[i], job < i % 4 ? "1" : "2", 1);
    struct mill *one = lot_working(mill_new(scene, NULL)), *two = lot_working(mill_new(scene, NULL));
    for (int i = 0; i < BATCHES; i++) lot_seal(desk, batches[i]);
    wait_for(lot_closings() == BATCHES);
    for (int i = 0; i < BATCHES; i++) lot_is_told(ids[i], 3, 3 - i % 4, i % 4, 0);
    assert_true(lot_is_gone(&scene->redis));
    desk_close(desk);
    mill_stop(one);
    mill_stop(two);
    assert_int_equal(lot_closings(), BATCHES);
}

static void an_empty_batch_is_closed_at_once(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char ids[2][40];
    lot_publish(desk, "0", 0, ids[0]);
    lot_seal(desk, lot_open(desk, ids[1]));
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 2);
    for (int i = 0; i < 2; i++) lot_is_told(ids[i], 0, 0, 0, 0);
    assert_true(lot_is_gone(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
}

static void jobs_may_be_added_until_it_is_sealed(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    quern_batch *batch = lot_open(desk, id);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    lot_add(desk, batch, "0", 100);
    lot_add(desk, batch, "1", 7);
    wait_for(mill_stat(mill, "jobs", "done") == 100 && mill_stat(mill, "jobs", "dead") == 7);
    assert_int_equal(lot_closings(), 0);
    assert_int_equal(lot_count(&scene->redis, id, "wanted"), 107);
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_E_BUSY);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_OK);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_E_GONE);
    assert_int_equal(quern_batch_add(batch, lot_members("0", 1), 1, lot_receipts, &desk->error), QUERN_E_GONE);
    assert_int_equal(lot_receipts[0].code, QUERN_E_GONE);
    quern_batch_free(batch);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 107, 100, 7, 0);
    wait_for(lot_is_gone(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
}

static void its_data_has_the_counts_beside_what_was_in_it(void **state)
{
    static const struct {
        const char *data, *begins;
    } table[] = {{NULL, "{\"batch\":{"},
                 {"{}", "{\"batch\":{"},
                 {" { } \n", " { \"batch\":{"},
                 {"{\"a\": [1.50, {}]} ", "{\"a\": [1.50, {}],\"batch\":{"}};
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    for (int i = 0; i < 4; i++) {
        quern_message then = lot_closing;
        char id[40];
        if (table[i].data) then.data = (quern_bytes){table[i].data, strlen(table[i].data)};
        assert_int_equal(QUERN_OK,
                         quern_publish_batch(lot_publisher(desk), lot_members("0", 2), 2, &then, NULL, id, &desk->error));
        wait_for(lot_closings() == i + 1);
        assert_int_equal(strncmp(lot_book.data[i], table[i].begins, strlen(table[i].begins)), 0);
        assert_string_equal(lot_book.ids[i], id);
        json_t *value = json_loads(lot_book.data[i], 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(value, "batch"), "done")), 2);
        json_decref(value);
    }
    desk_close(desk);
    mill_stop(mill);
}

static void either_shape_later_and_keyed_jobs_are_counted(void **state)
{
    static const char *const shapes[] = {"fields", "object"};
    struct scene *scene = *state;
    struct mill *mill = lot_working(mill_new(scene, NULL));
    for (int shape = 0; shape < 2; shape++) {
        struct desk *desk = lot_desk(scene, "publish_shape", shapes[shape], NULL);
        char id[40];
        lot_members("0", 30);
        for (int i = 0; i < 30; i++) {
            lot_messages[i].delay_ms = i % 3 == 0 ? 50 : 0;
            lot_messages[i].key = i % 3 == 1 ? "k" : NULL;
        }
        assert_int_equal(
            QUERN_OK, quern_publish_batch(lot_publisher(desk), lot_messages, 30, &lot_closing, lot_receipts, id, &desk->error));
        wait_for(lot_closings() == shape + 1);
        lot_is_told(id, 30, 30, 0, 0);
        desk_close(desk);
    }
    mill_stop(mill);
}

static void another_group_neither_counts_nor_is_told(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *other = mill_run(scene, "group", "h", NULL);
    lot_publish(desk, "0", 50, id);
    wait_for(mill_stat(other, "jobs", "done") == 50);
    assert_int_equal(lot_count(&scene->redis, id, "done"), 0);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 50, 50, 0, 0);
    assert_int_equal(redis_number(&scene->redis, "KEYS", "jobs:h:batches*"), 0);
    stays(mill_stat(other, "jobs", "done") == 50, 100);
    desk_close(desk);
    mill_stop(mill);
    mill_stop(other);
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────── */

#define REFUSED(words, expected, ...)                                               \
    do {                                                                            \
        quern_message then = {.size = sizeof then, .event = "closed", __VA_ARGS__}; \
        assert_int_equal(lot_try(desk, 1, &then, NULL), expected);                  \
        assert_int_equal(desk->error.code, expected);                               \
        if (!strstr(desk->error.text, words)) fail_msg("%s", desk->error.text);     \
        assert_int_equal(lot_receipts[0].code, expected);                           \
    } while (0)

static void a_closing_job_that_could_not_be_told_is_refused_before_any_io(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, "redis", "unix:///nowhere", "payload_max_bytes", "900", "json_depth_max", "2", NULL);
    static char large[1000];
    snprintf(large, sizeof large, "{\"a\":\"%0800d\"}", 0);
    REFUSED("is no JSON object", QUERN_E_ARGUMENT, .data = {"[1]", 3});
    REFUSED("is no JSON object", QUERN_E_ARGUMENT, .data = {"7", 1});
    REFUSED("is raw bytes", QUERN_E_ARGUMENT, .data = {"{}", 2}, .is_raw = 1);
    REFUSED("not JSON", QUERN_E_ARGUMENT, .data = {"{", 1});
    REFUSED("a member \"batch\" of its own", QUERN_E_ARGUMENT, .data = {"{\"batch\":1}", 11});
    REFUSED("a time or a unique key", QUERN_E_ARGUMENT, .delay_ms = 1);
    REFUSED("a time or a unique key", QUERN_E_ARGUMENT, .at_ms = 1);
    REFUSED("a time or a unique key", QUERN_E_ARGUMENT, .unique = "k");
    REFUSED("with \"batch\" in it: the data has", QUERN_E_FULL, .data = {large, strlen(large)});
    assert_null(quern_batch_open(NULL, &lot_closing, NULL, &desk->error));
    assert_null(quern_batch_open(desk->publisher, NULL, NULL, &desk->error));
    assert_int_equal(desk->error.code, QUERN_E_ARGUMENT);
    assert_int_equal(quern_batch_add(NULL, NULL, 0, NULL, &desk->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_batch_seal(NULL, &desk->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_publish_batch(desk->publisher, NULL, 1, &lot_closing, NULL, NULL, &desk->error), QUERN_E_ARGUMENT);
    lot_members("0", 2);
    lot_messages[1].event = "";
    assert_int_equal(quern_publish_batch(desk->publisher, lot_messages, 2, &lot_closing, lot_receipts, NULL, &desk->error),
                     QUERN_E_ARGUMENT);
    assert_non_null(strstr(desk->error.text, "message 2 of 2: the event is empty"));
    quern_batch_free(NULL);
    desk_close(desk);
}

static void a_depth_that_the_counts_do_not_fit_is_refused(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, "redis", "unix:///nowhere", "json_depth_max", "1", NULL);
    REFUSED("with \"batch\" in it: the data is nested 2 deep", QUERN_E_ARGUMENT, .data = {"{}", 2});
    desk_close(desk);
}

static void keys_of_another_type_are_refused_and_nothing_is_published(void **state)
{
    static const char *const keys[] = {"jobs:g:batches", "jobs:g:batches:open", "jobs:g:batches:state"};
    struct scene *scene = *state;
    for (int i = 0; i < 3; i++) {
        struct desk *desk = lot_desk(scene, NULL);
        struct mill *mill = mill_new(scene, NULL);
        redis_ask(&scene->redis, "SET", keys[i], "text");
        assert_int_equal(lot_try(desk, 2, &lot_closing, NULL), QUERN_E_SERVER);
        assert_non_null(strstr(desk->error.text, "WRONGTYPE"));
        assert_int_equal(lot_receipts[0].code, QUERN_E_SERVER);
        assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 0);
        mill_on(mill, &(quern_handler){.event = "*", .run = lot_work});
        assert_null(quern_pool_start(mill->config, &mill->error));
        assert_non_null(strstr(mill->error.text, keys[i]));
        redis_ask(&scene->redis, "DEL", keys[i]);
        desk_close(desk);
    }
}

/* As in the README; one that is missing is said before anything is there. */
static void a_publisher_of_batches_needs_no_more_rights_than_are_named(void **state)
{
    static const char *const rights[] = {"+evalsha",
                                         "+eval",
                                         "+type",
                                         "+get",
                                         "+set",
                                         "+xadd",
                                         "+del",
                                         "+info",
                                         "+select",
                                         "+client|setname",
                                         "+client|id",
                                         "+xgroup|create",
                                         "+xinfo|stream",
                                         "+time",
                                         "+hset",
                                         "+zadd",
                                         /* batches */ "+hget",
                                         "+hmget",
                                         "+hexists",
                                         "+hincrby",
                                         "+hdel",
                                         "+zrem"};
    struct scene *scene = *state;
    char url[160];
    redis_ask(&scene->redis, "ACL", "SETUSER", "producer", "on", ">secret", "resetkeys", "~jobs*");
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        redis_ask(&scene->redis, "ACL", "SETUSER", "producer", rights[i]);
    snprintf(url, sizeof url, "unix://producer:secret@%s", scene->redis.socket);
    struct desk *desk = lot_desk(scene, "redis", url, NULL);
    lot_publish(desk, "0", 70, NULL);
    lot_publish(desk, "0", 0, NULL);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 1);
    redis_ask(&scene->redis, "ACL", "SETUSER", "producer", "-hincrby");
    assert_int_not_equal(QUERN_OK, lot_try(desk, 3, &lot_closing, NULL));
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 70);
    desk_close(desk);
}

/* A closing job that is not what was written, or batch fields that other software has for its own use. */
static void what_is_not_ours_stops_nobody(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40], field[80];
    quern_batch *batch = lot_open(desk, id);
    static const char *const texts[] = {"", "7", "g:", "g:7", "h:01234567-0123-0123-0123-012345678901"};
    lot_add(desk, batch, "0", 1);
    for (int i = 0; i < 5; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "job", "data", "0", "batch", texts[i]);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "job", "{\"event\":\"job\",\"data\":0,\"batch\":{\"a\":1}}");
    snprintf(field, sizeof field, "g:%s", id);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "stranger", "event", "job", "data", "1", "batch", field);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(mill_stat(mill, "jobs", "done") == 7 && mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(lot_count(&scene->redis, id, "done"), 1);
    assert_int_equal(lot_count(&scene->redis, id, "dead"), 0);
    snprintf(field, sizeof field, "%s:job", id);
    redis_ask(&scene->redis, "HSET", "jobs:g:batches:state", field, "no MessagePack");
    lot_time_passes(&scene->redis, id);
    wait_for(mill_lines(mill, "event=batches_stuck") == 1);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:batches"), 1);
    quern_batch_free(batch);
    desk_close(desk);
    mill_stop(mill);
}

/* ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void open_batches_are_seen_and_keep_their_group(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char ids[2][40];
    quern_batch *batch = lot_open(desk, ids[0]);
    lot_add(desk, batch, "0", 3);
    lot_publish(desk, "0", 2, ids[1]);
    char *stats = quern_queue_stats(desk->config, 0, &desk->error);
    char *text = quern_queue_peek(desk->config, "batches", 10, &desk->error);
    assert_non_null(stats);
    assert_non_null(text);
    assert_non_null(strstr(stats, "\"batches\":2"));
    json_t *list = json_loads(text, 0, NULL), *row = json_array_get(list, 0), *last = json_array_get(list, 1);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(row, "id")), ids[0]);
    assert_int_equal(json_integer_value(json_object_get(row, "wanted")), 3);
    assert_int_equal(json_integer_value(json_object_get(row, "open")), 3);
    assert_true(json_is_false(json_object_get(row, "sealed")));
    assert_in_range(json_integer_value(json_object_get(row, "deadline_ms")), 500000, 600000);
    assert_true(json_is_true(json_object_get(last, "sealed")));
    assert_in_range(json_integer_value(json_object_get(last, "deadline_ms")), 86000000, 86400000);
    json_decref(list);
    quern_free(text);
    quern_free(stats);
    lot_time_passes(&scene->redis, ids[1]);
    text = quern_queue_doctor(desk->config, &desk->error);
    assert_non_null(text);
    assert_non_null(strstr(text, "the closing job of a batch should have started"));
    quern_free(text);
    assert_null(quern_queue_remove_group(desk->config, 0, &desk->error));
    assert_int_equal(desk->error.code, QUERN_E_BUSY);
    assert_non_null(strstr(desk->error.text, "2 batches of the group g of jobs are open"));
    text = quern_queue_remove_group(desk->config, QUERN_FORCE, &desk->error);
    assert_non_null(strstr(text, "\"batches\":2"));
    quern_free(text);
    assert_true(lot_is_gone(&scene->redis));
    quern_batch_free(batch);
    desk_close(desk);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, lot_scene, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_closing_job_runs_once_when_all_have_ended),
        SCENE(many_batches_at_once_are_each_told_of_their_own),
        SCENE(an_empty_batch_is_closed_at_once),
        SCENE(jobs_may_be_added_until_it_is_sealed),
        SCENE(its_data_has_the_counts_beside_what_was_in_it),
        SCENE(either_shape_later_and_keyed_jobs_are_counted),
        SCENE(another_group_neither_counts_nor_is_told),
        SCENE(a_closing_job_that_could_not_be_told_is_refused_before_any_io),
        SCENE(a_depth_that_the_counts_do_not_fit_is_refused),
        SCENE(keys_of_another_type_are_refused_and_nothing_is_published),
        SCENE(a_publisher_of_batches_needs_no_more_rights_than_are_named),
        SCENE(what_is_not_ours_stops_nobody),
        SCENE(open_batches_are_seen_and_keep_their_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
