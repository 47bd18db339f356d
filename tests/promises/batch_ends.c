/* SPDX-License-Identifier: MIT */

/* promises/batch_ends: whichever way a job of a batch ends, it is counted once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/acl.h"
#include "support/lot.h"

static void what_is_dead_counts_as_dead_and_what_is_tried_again_once(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    lot_members("0123", 40);
    for (int i = 0; i < 40; i += 8) lot_messages[i].expire_at_ms = 1;
    assert_int_equal(QUERN_OK,
                     quern_publish_batch(lot_publisher(desk), lot_messages, 40, &lot_closing, lot_receipts, id, &desk->error));
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 40, 5 + 10, 5 + 10 + 10, 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 25);
    assert_true(lot_is_gone(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
}

/* A replay makes jobs of the dead ones: they are run, and counted no more. */
static void what_is_replayed_is_not_counted_again(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    quern_batch *batch = lot_open(desk, id);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    lot_add(desk, batch, "1", 3);
    wait_for(lot_count(&scene->redis, id, "dead") == 3);
    char *answer = quern_queue_replay(mill->config, NULL, 0, &desk->error);
    assert_non_null(answer);
    quern_free(answer);
    wait_for(mill_stat(mill, "jobs", "dead") == 6);
    lot_seal(desk, batch);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 3, 0, 3, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void what_is_cancelled_purged_or_dropped_counts_as_dead(void **state)
{
    static const char *const shapes[] = {"fields", "object"};
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    acl_allow_dropping(&scene->redis);
    for (int shape = 0; shape < 2; shape++) {
        struct desk *desk =
            lot_desk(scene, "publish_shape", shapes[shape], "max_pending", "10", "on_max_pending", "drop_oldest", NULL);
        char id[40];
        lot_members("0", 200);
        for (int i = 0; i < 180; i++) lot_messages[i].delay_ms = 3600000;
        assert_int_equal(QUERN_OK, quern_publish_batch(lot_publisher(desk), lot_messages, 200, &lot_closing, lot_receipts, id,
                                                       &desk->error));
        assert_int_equal(lot_count(&scene->redis, id, "dead"), 10); /* of 20, 10 made room */
        char *answer = quern_queue_cancel(desk->config, lot_receipts[7].id, 0, &desk->error);
        assert_non_null(answer);
        quern_free(answer);
        assert_int_equal(lot_count(&scene->redis, id, "dead"), 11);
        answer = quern_queue_purge(desk->config, "scheduled", 0, &desk->error);
        assert_non_null(strstr(answer, "\"purged\":179"));
        quern_free(answer);
        assert_int_equal(lot_count(&scene->redis, id, "dead"), 190);
        assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:scheduled", "jobs:scheduled:jobs"), 0);
        struct mill *mill = lot_working(mill_new(scene, NULL));
        wait_for(lot_closings() == shape + 1);
        lot_is_told(id, 200, 10, 190, 0);
        mill_stop(mill);
        desk_close(desk);
    }
}

static void a_retry_that_is_taken_out_before_its_time_counts_as_dead(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, "retry_base_ms", "3600000", NULL);
    mill_on(mill, &(quern_handler){.event = "closed", .run = lot_close});
    mill_on(mill, &(quern_handler){.event = "*", .run = lot_work});
    mill_start(mill);
    lot_publish(desk, "023", 90, id);
    wait_for(mill_stat(mill, "jobs", "done") == 30 && mill_stat(mill, "jobs", "retry") == 60);
    char *answer = quern_queue_cancel(desk->config, lot_receipts[1].id, 0, &desk->error);
    assert_non_null(answer);
    quern_free(answer);
    assert_int_equal(lot_count(&scene->redis, id, "dead"), 1);
    answer = quern_queue_purge(desk->config, "delayed", QUERN_DRY_RUN, &desk->error);
    assert_non_null(strstr(answer, "\"purged\":59"));
    quern_free(answer);
    assert_int_equal(lot_closings(), 0);
    answer = quern_queue_purge(desk->config, "delayed", 0, &desk->error);
    assert_non_null(strstr(answer, "\"purged\":59"));
    quern_free(answer);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 90, 30, 60, 0);
    desk_close(desk);
    mill_stop(mill);
}

/* As if they had ended a process. */
static void what_runs_alone_is_counted_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40], field[80];
    lot_publish(desk, "0123", 4, id);
    snprintf(field, sizeof field, "g:%s", id);
    redis_ask(&scene->redis, "DEL", "jobs");
    for (int i = 0; i < 4; i++)
        redis_ask(&scene->redis, "XADD", "jobs:g:alone", "*", "id", lot_receipts[i].id, "event", "job", "data",
                  (char[]){"0123"[i], 0}, "batch", field, "quern_entry", lot_receipts[i].entry);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 4, 2, 2, 0);
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs:g:crashes", "jobs:g:alone") == 0);
    desk_close(desk);
    mill_stop(mill);
}

static quern_verdict stay(quern_job *job, void *thread, void *user)
{
    (void)job;
    while (atomic_load(&((struct mill *)user)->is_shut)) burn_us(100);
    (void)thread;
    return QUERN_DONE;
}

/* Its job was settled by a stand-in, and what it says later is not counted. */
static void a_handler_that_outstays_its_time_is_counted_once(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, "timeout_ms", "50", "timeout_grace_ms", "50", "retry_limit", "0", NULL);
    atomic_store(&mill->is_shut, true);
    mill_on(mill, &(quern_handler){.event = "closed", .run = lot_close});
    mill_on(mill, &(quern_handler){.event = "*", .run = stay});
    mill_start(mill);
    lot_publish(desk, "0", 1, id);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 1, 0, 1, 0);
    atomic_store(&mill->is_shut, false);
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(lot_closings(), 1);
}

/* Waiting in the stream, it is marked, and dead as soon as somebody takes it. */
static void what_is_cancelled_while_it_waits_counts_as_dead(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    lot_publish(desk, "0", 3, id);
    char *answer = quern_queue_cancel(desk->config, lot_receipts[1].id, 0, &desk->error);
    assert_non_null(answer);
    quern_free(answer);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 3, 2, 1, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void what_finds_no_room_is_of_the_batch_once_it_is_there(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, "max_pending", "10", NULL);
    char id[40];
    quern_batch *batch = lot_open(desk, id);
    assert_int_equal(quern_batch_add(batch, lot_members("0", 15), 15, lot_receipts, &desk->error), QUERN_E_FULL);
    for (int i = 0; i < 15; i++) assert_int_equal(lot_receipts[i].code, i < 10 ? QUERN_OK : QUERN_E_FULL);
    assert_int_equal(lot_count(&scene->redis, id, "wanted"), 10);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    lot_add(desk, batch, "0", 5);
    assert_int_equal(lot_count(&scene->redis, id, "wanted"), 15);
    lot_seal(desk, batch);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 15, 15, 0, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void a_duplicate_is_not_of_the_batch(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    assert_int_equal(PUBLISH(desk, "0", .unique = "k"), QUERN_OK);
    lot_members("0", 3);
    lot_messages[1].unique = "k";
    assert_int_equal(QUERN_OK,
                     quern_publish_batch(lot_publisher(desk), lot_messages, 3, &lot_closing, lot_receipts, id, &desk->error));
    assert_int_equal(lot_receipts[1].is_duplicate, 1);
    struct mill *mill = lot_working(mill_new(scene, NULL));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 2, 2, 0, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void with_at_most_once_each_is_counted_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *mill = lot_working(mill_new(scene, "delivery", "at-most-once", NULL));
    lot_publish(desk, "001", 90, id);
    wait_for(lot_closings() == 1);
    lot_is_told(id, 90, 60, 30, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void with_a_log_and_for_events_that_nobody_handles_each_is_counted_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, "completed_max", "100", "unhandled", "ack", NULL);
    mill_on(mill, &(quern_handler){.event = "closed", .run = lot_close});
    mill_on(mill, &(quern_handler){.event = "job", .run = lot_work});
    mill_start(mill);
    lot_members("0", 20);
    for (int i = 0; i < 5; i++) lot_messages[i].event = "unknown";
    assert_int_equal(QUERN_OK,
                     quern_publish_batch(lot_publisher(desk), lot_messages, 20, &lot_closing, lot_receipts, id, &desk->error));
    wait_for(lot_closings() == 1);
    lot_is_told(id, 20, 20, 0, 0);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:completed") == 16); /* what nobody has run is not in the log */
    desk_close(desk);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, lot_scene, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(what_is_dead_counts_as_dead_and_what_is_tried_again_once),
        SCENE(what_is_replayed_is_not_counted_again),
        SCENE(what_is_cancelled_purged_or_dropped_counts_as_dead),
        SCENE(a_retry_that_is_taken_out_before_its_time_counts_as_dead),
        SCENE(what_runs_alone_is_counted_too),
        SCENE(a_handler_that_outstays_its_time_is_counted_once),
        SCENE(what_is_cancelled_while_it_waits_counts_as_dead),
        SCENE(what_finds_no_room_is_of_the_batch_once_it_is_there),
        SCENE(a_duplicate_is_not_of_the_batch),
        SCENE(with_at_most_once_each_is_counted_too),
        SCENE(with_a_log_and_for_events_that_nobody_handles_each_is_counted_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
