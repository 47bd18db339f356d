/* SPDX-License-Identifier: MIT */

/* promises/batch: a batch's closing job is published once, when all of its jobs have ended in the group, and tells what became of
 * them; whatever befalls processes, connections and answers. */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"
#include "support/proxy.h"
#include "support/runner.h"
#include "wire/script.h"

enum { MEMBERS_MAX = 2000, CLOSINGS_MAX = 256, DATA_BYTES = 400 };

/* What closing jobs have said. */
struct book {
    struct mill *mill;
    pthread_mutex_t lock;
    int count;
    char data[CLOSINGS_MAX][DATA_BYTES], ids[CLOSINGS_MAX][40];
    _Atomic int ran;
};
static struct book book;

static quern_verdict close_one(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    quern_bytes data = quern_job_data(job), id = quern_job_id(job);
    pthread_mutex_lock(&book.lock);
    if (book.count < CLOSINGS_MAX) {
        snprintf(book.data[book.count], DATA_BYTES, "%.*s", (int)data.len, data.at);
        snprintf(book.ids[book.count], 40, "%.*s", (int)id.len, id.at);
    }
    book.count++;
    pthread_mutex_unlock(&book.lock);
    return QUERN_DONE;
}

static int closings(void)
{
    pthread_mutex_lock(&book.lock);
    int count = book.count;
    pthread_mutex_unlock(&book.lock);
    return count;
}

/* Its data says what becomes of it: 0 done, 1 dead, 2 tried once more, 3 fails always, 4 waits for the mill's gate. */
static quern_verdict work(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    int kind = atoi(quern_job_data(job).at);
    (void)thread;
    atomic_fetch_add(&book.ran, 1);
    if (kind == 4) return mill_grind(job, thread, mill);
    return kind == 1 ? QUERN_DEAD : kind == 3 || (kind == 2 && quern_job_retries(job) == 0) ? QUERN_RETRY : QUERN_DONE;
}

static struct mill *working(struct mill *mill)
{
    mill_set(mill, "retry_base_ms", "0");
    mill_set(mill, "retry_limit", "2");
    mill_on(mill, &(quern_handler){.event = "closed", .run = close_one});
    mill_on(mill, &(quern_handler){.event = "*", .run = work});
    mill_start(mill);
    return mill;
}

static int batch_scene(void **state)
{
    book = (struct book){.lock = PTHREAD_MUTEX_INITIALIZER};
    return scene_open(state);
}

/* ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Its batches are the mills' group's. */
#define desk_at(scene, ...) desk_open((scene), "group", "g", __VA_ARGS__)

static const quern_message closing = {.size = sizeof(quern_message), .event = "closed"};
static quern_message messages[MEMBERS_MAX];
static quern_receipt receipts[MEMBERS_MAX];

/* n jobs of these kinds in turn: "001" two of kind 0, then one of kind 1. */
static const quern_message *members(const char *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        messages[i] = (quern_message){.size = sizeof *messages, .event = "job", .data = {kinds + i % strlen(kinds), 1}};
    return messages;
}

static quern_publisher *publisher_of(struct desk *desk)
{
    if (!desk->publisher) desk->publisher = quern_publisher_open(desk->config, &desk->error);
    if (!desk->publisher) fail_msg("%s", desk->error.text);
    return desk->publisher;
}

static void publish(struct desk *desk, const char *kinds, size_t n, char id[40])
{
    int code = quern_publish_batch(publisher_of(desk), members(kinds, n), n, &closing, receipts, id, &desk->error);
    if (code) fail_msg("%s", desk->error.text);
}

/* n jobs that are done, and the code. */
static int try_to_publish(struct desk *desk, size_t n, const quern_message *then, char id[40])
{
    return quern_publish_batch(publisher_of(desk), members("0", n), n, then, receipts, id, &desk->error);
}

static quern_batch *batch_open(struct desk *desk, char id[40])
{
    quern_batch *batch = quern_batch_open(publisher_of(desk), &closing, id, &desk->error);
    if (!batch) fail_msg("%s", desk->error.text);
    return batch;
}

static void add(struct desk *desk, quern_batch *batch, const char *kinds, size_t n)
{
    if (quern_batch_add(batch, members(kinds, n), n, receipts, &desk->error)) fail_msg("%s", desk->error.text);
}

static void seal(struct desk *desk, quern_batch *batch)
{
    if (quern_batch_seal(batch, &desk->error)) fail_msg("%s", desk->error.text);
    quern_batch_free(batch);
}

/* ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Of one batch, once: published, done, dead, open, complete. */
static void is_told(const char *id, int published, int done, int dead, int open)
{
    char said[DATA_BYTES];
    int found = 0;
    snprintf(said, sizeof said,
             "{\"batch\":{\"id\":\"%s\",\"published\":%d,\"done\":%d,\"dead\":%d,\"open\":%d,\"complete\":%s}}", id, published,
             done, dead, open, open ? "false" : "true");
    for (int i = 0; i < closings() && i < CLOSINGS_MAX; i++) {
        if (strcmp(book.ids[i], id) != 0) continue;
        assert_string_equal(book.data[i], said);
        found++;
    }
    assert_int_equal(found, 1);
}

static bool is_nothing_left(struct redis *redis)
{
    return redis_number(redis, "EXISTS", "jobs:g:batches", "jobs:g:batches:open", "jobs:g:batches:state") == 0;
}

static long long count_of(struct redis *redis, const char *id, const char *what)
{
    char field[80];
    snprintf(field, sizeof field, "%s:%s", id, what);
    const struct answer *answer = redis_ask(redis, "HGET", "jobs:g:batches:state", field);
    return answer->kind == '$' ? atoll(answer->text) : -1;
}

/* Its time is over, as if it were later. */
static void let_time_pass(struct redis *redis, const char *id)
{
    assert_int_equal(redis_number(redis, "ZADD", "jobs:g:batches", "XX", "CH", "1", id), 1);
}

/* ── when it goes well ───────────────────────────────────────────────────────────────────────────────────────────── */

static void a_closing_job_runs_once_when_all_have_ended(void **state)
{
    static const size_t sizes[] = {1, 2, 64, 65, 1000};
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char ids[5][40];
    struct mill *mill = working(mill_new(scene, "threads", "4", NULL));
    for (int i = 0; i < 5; i++) publish(desk, "0", sizes[i], ids[i]);
    wait_for(closings() == 5);
    for (int i = 0; i < 5; i++) is_told(ids[i], (int)sizes[i], (int)sizes[i], 0, 0);
    wait_for(is_nothing_left(&scene->redis));
    wait_for(mill_stat(mill, "jobs", "done") == 1 + 2 + 64 + 65 + 1000 + 5);
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(closings(), 5);
}

/* Their jobs lie between each other, and are settled together. */
static void many_batches_at_once_are_each_told_of_their_own(void **state)
{
    enum { BATCHES = 200 };
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    static char ids[BATCHES][40];
    static quern_batch *batches[BATCHES];
    for (int i = 0; i < BATCHES; i++) batches[i] = batch_open(desk, ids[i]);
    for (int job = 0; job < 3; job++)
        for (int i = 0; i < BATCHES; i++) add(desk, batches[i], job < i % 4 ? "1" : "2", 1);
    struct mill *one = working(mill_new(scene, NULL)), *two = working(mill_new(scene, NULL));
    for (int i = 0; i < BATCHES; i++) seal(desk, batches[i]);
    wait_for(closings() == BATCHES);
    for (int i = 0; i < BATCHES; i++) is_told(ids[i], 3, 3 - i % 4, i % 4, 0);
    assert_true(is_nothing_left(&scene->redis));
    desk_close(desk);
    mill_stop(one);
    mill_stop(two);
    assert_int_equal(closings(), BATCHES);
}

static void an_empty_batch_is_closed_at_once(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char ids[2][40];
    publish(desk, "0", 0, ids[0]);
    seal(desk, batch_open(desk, ids[1]));
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 2);
    for (int i = 0; i < 2; i++) is_told(ids[i], 0, 0, 0, 0);
    assert_true(is_nothing_left(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
}

static void jobs_may_be_added_until_it_is_sealed(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    quern_batch *batch = batch_open(desk, id);
    struct mill *mill = working(mill_new(scene, NULL));
    add(desk, batch, "0", 100);
    add(desk, batch, "1", 7);
    wait_for(mill_stat(mill, "jobs", "done") == 100 && mill_stat(mill, "jobs", "dead") == 7);
    assert_int_equal(closings(), 0);
    assert_int_equal(count_of(&scene->redis, id, "wanted"), 107);
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_E_BUSY);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_OK);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_E_GONE);
    assert_int_equal(quern_batch_add(batch, members("0", 1), 1, receipts, &desk->error), QUERN_E_GONE);
    assert_int_equal(receipts[0].code, QUERN_E_GONE);
    quern_batch_free(batch);
    wait_for(closings() == 1);
    is_told(id, 107, 100, 7, 0);
    wait_for(is_nothing_left(&scene->redis));
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
    struct desk *desk = desk_at(scene, NULL);
    struct mill *mill = working(mill_new(scene, NULL));
    for (int i = 0; i < 4; i++) {
        quern_message then = closing;
        char id[40];
        if (table[i].data) then.data = (quern_bytes){table[i].data, strlen(table[i].data)};
        assert_int_equal(QUERN_OK, quern_publish_batch(publisher_of(desk), members("0", 2), 2, &then, NULL, id, &desk->error));
        wait_for(closings() == i + 1);
        assert_int_equal(strncmp(book.data[i], table[i].begins, strlen(table[i].begins)), 0);
        assert_string_equal(book.ids[i], id);
        json_t *value = json_loads(book.data[i], 0, NULL);
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
    struct mill *mill = working(mill_new(scene, NULL));
    for (int shape = 0; shape < 2; shape++) {
        struct desk *desk = desk_at(scene, "publish_shape", shapes[shape], NULL);
        char id[40];
        members("0", 30);
        for (int i = 0; i < 30; i++) {
            messages[i].delay_ms = i % 3 == 0 ? 50 : 0;
            messages[i].key = i % 3 == 1 ? "k" : NULL;
        }
        assert_int_equal(QUERN_OK, quern_publish_batch(publisher_of(desk), messages, 30, &closing, receipts, id, &desk->error));
        wait_for(closings() == shape + 1);
        is_told(id, 30, 30, 0, 0);
        desk_close(desk);
    }
    mill_stop(mill);
}

static void another_group_neither_counts_nor_is_told(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *other = mill_run(scene, "group", "h", NULL);
    publish(desk, "0", 50, id);
    wait_for(mill_stat(other, "jobs", "done") == 50);
    assert_int_equal(count_of(&scene->redis, id, "done"), 0);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(id, 50, 50, 0, 0);
    assert_int_equal(redis_number(&scene->redis, "KEYS", "jobs:h:batches*"), 0);
    stays(mill_stat(other, "jobs", "done") == 50, 100);
    desk_close(desk);
    mill_stop(mill);
    mill_stop(other);
}

/* ── what ends otherwise ─────────────────────────────────────────────────────────────────────────────────────────── */

static void what_is_dead_counts_as_dead_and_what_is_tried_again_once(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    members("0123", 40);
    for (int i = 0; i < 40; i += 8) messages[i].expire_at_ms = 1;
    assert_int_equal(QUERN_OK, quern_publish_batch(publisher_of(desk), messages, 40, &closing, receipts, id, &desk->error));
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(id, 40, 5 + 10, 5 + 10 + 10, 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 25);
    assert_true(is_nothing_left(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
}

/* A replay makes jobs of the dead ones: they are run, and counted no more. */
static void what_is_replayed_is_not_counted_again(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    quern_batch *batch = batch_open(desk, id);
    struct mill *mill = working(mill_new(scene, NULL));
    add(desk, batch, "1", 3);
    wait_for(count_of(&scene->redis, id, "dead") == 3);
    char *answer = quern_queue_replay(mill->config, NULL, 0, &desk->error);
    assert_non_null(answer);
    quern_free(answer);
    wait_for(mill_stat(mill, "jobs", "dead") == 6);
    seal(desk, batch);
    wait_for(closings() == 1);
    is_told(id, 3, 0, 3, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void what_is_cancelled_purged_or_dropped_counts_as_dead(void **state)
{
    static const char *const shapes[] = {"fields", "object"};
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    for (int shape = 0; shape < 2; shape++) {
        struct desk *desk =
            desk_at(scene, "publish_shape", shapes[shape], "max_pending", "10", "on_max_pending", "drop_oldest", NULL);
        char id[40];
        members("0", 200);
        for (int i = 0; i < 180; i++) messages[i].delay_ms = 3600000;
        assert_int_equal(QUERN_OK,
                         quern_publish_batch(publisher_of(desk), messages, 200, &closing, receipts, id, &desk->error));
        assert_int_equal(count_of(&scene->redis, id, "dead"), 10); /* of 20, 10 made room */
        char *answer = quern_queue_cancel(desk->config, receipts[7].id, 0, &desk->error);
        assert_non_null(answer);
        quern_free(answer);
        assert_int_equal(count_of(&scene->redis, id, "dead"), 11);
        answer = quern_queue_purge(desk->config, "scheduled", 0, &desk->error);
        assert_non_null(strstr(answer, "\"purged\":179"));
        quern_free(answer);
        assert_int_equal(count_of(&scene->redis, id, "dead"), 190);
        assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:scheduled", "jobs:scheduled:jobs"), 0);
        struct mill *mill = working(mill_new(scene, NULL));
        wait_for(closings() == shape + 1);
        is_told(id, 200, 10, 190, 0);
        mill_stop(mill);
        desk_close(desk);
    }
}

static void a_retry_that_is_taken_out_before_its_time_counts_as_dead(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, "retry_base_ms", "3600000", NULL);
    mill_on(mill, &(quern_handler){.event = "closed", .run = close_one});
    mill_on(mill, &(quern_handler){.event = "*", .run = work});
    mill_start(mill);
    publish(desk, "023", 90, id);
    wait_for(mill_stat(mill, "jobs", "done") == 30 && mill_stat(mill, "jobs", "retry") == 60);
    char *answer = quern_queue_cancel(desk->config, receipts[1].id, 0, &desk->error);
    assert_non_null(answer);
    quern_free(answer);
    assert_int_equal(count_of(&scene->redis, id, "dead"), 1);
    answer = quern_queue_purge(desk->config, "delayed", QUERN_DRY_RUN, &desk->error);
    assert_non_null(strstr(answer, "\"purged\":59"));
    quern_free(answer);
    assert_int_equal(closings(), 0);
    answer = quern_queue_purge(desk->config, "delayed", 0, &desk->error);
    assert_non_null(strstr(answer, "\"purged\":59"));
    quern_free(answer);
    wait_for(closings() == 1);
    is_told(id, 90, 30, 60, 0);
    desk_close(desk);
    mill_stop(mill);
}

/* As if they had ended a process. */
static void what_runs_alone_is_counted_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40], field[80];
    publish(desk, "0123", 4, id);
    snprintf(field, sizeof field, "g:%s", id);
    redis_ask(&scene->redis, "DEL", "jobs");
    for (int i = 0; i < 4; i++)
        redis_ask(&scene->redis, "XADD", "jobs:g:alone", "*", "id", receipts[i].id, "event", "job", "data",
                  (char[]){"0123"[i], 0}, "batch", field, "quern_entry", receipts[i].entry);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(id, 4, 2, 2, 0);
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
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, "timeout_ms", "50", "timeout_grace_ms", "50", "retry_limit", "0", NULL);
    atomic_store(&mill->is_shut, true);
    mill_on(mill, &(quern_handler){.event = "closed", .run = close_one});
    mill_on(mill, &(quern_handler){.event = "*", .run = stay});
    mill_start(mill);
    publish(desk, "0", 1, id);
    wait_for(closings() == 1);
    is_told(id, 1, 0, 1, 0);
    atomic_store(&mill->is_shut, false);
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(closings(), 1);
}

/* Waiting in the stream, it is marked, and dead as soon as somebody takes it. */
static void what_is_cancelled_while_it_waits_counts_as_dead(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    publish(desk, "0", 3, id);
    char *answer = quern_queue_cancel(desk->config, receipts[1].id, 0, &desk->error);
    assert_non_null(answer);
    quern_free(answer);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(id, 3, 2, 1, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void what_finds_no_room_is_of_the_batch_once_it_is_there(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, "max_pending", "10", NULL);
    char id[40];
    quern_batch *batch = batch_open(desk, id);
    assert_int_equal(quern_batch_add(batch, members("0", 15), 15, receipts, &desk->error), QUERN_E_FULL);
    for (int i = 0; i < 15; i++) assert_int_equal(receipts[i].code, i < 10 ? QUERN_OK : QUERN_E_FULL);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    add(desk, batch, "0", 5);
    seal(desk, batch);
    wait_for(closings() == 1);
    is_told(id, 15, 15, 0, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void a_duplicate_is_not_of_the_batch(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    assert_int_equal(PUBLISH(desk, "0", .unique = "k"), QUERN_OK);
    members("0", 3);
    messages[1].unique = "k";
    assert_int_equal(QUERN_OK, quern_publish_batch(publisher_of(desk), messages, 3, &closing, receipts, id, &desk->error));
    assert_int_equal(receipts[1].is_duplicate, 1);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(id, 2, 2, 0, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void with_at_most_once_each_is_counted_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *mill = working(mill_new(scene, "delivery", "at-most-once", NULL));
    publish(desk, "001", 90, id);
    wait_for(closings() == 1);
    is_told(id, 90, 60, 30, 0);
    desk_close(desk);
    mill_stop(mill);
}

static void with_a_log_and_for_events_that_nobody_handles_each_is_counted_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, "completed_max", "100", "unhandled", "ack", NULL);
    mill_on(mill, &(quern_handler){.event = "closed", .run = close_one});
    mill_on(mill, &(quern_handler){.event = "job", .run = work});
    mill_start(mill);
    members("0", 20);
    for (int i = 0; i < 5; i++) messages[i].event = "unknown";
    assert_int_equal(QUERN_OK, quern_publish_batch(publisher_of(desk), messages, 20, &closing, receipts, id, &desk->error));
    wait_for(closings() == 1);
    is_told(id, 20, 20, 0, 0);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:g:completed") == 16); /* what nobody has run is not in the log */
    desk_close(desk);
    mill_stop(mill);
}

/* ── processes that die, answers that are lost ───────────────────────────────────────────────────────────────────── */

static void a_killed_process_loses_no_count(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    int status = 0;
    quern_batch *batch = batch_open(desk, id);
    add(desk, batch, "0", 30);
    add(desk, batch, "2", 1); /* the runner never comes to its end */
    add(desk, batch, "0", 30);
    seal(desk, batch);
    int pidfd = runner_start(scene, NULL);
    wait_for(count_of(&scene->redis, id, "done") == 30 && redis_pending(&scene->redis, "jobs", "g") > 0);
    assert_int_equal(runner_signal(pidfd, SIGKILL), 0);
    wait_for(runner_has_exited(pidfd, &status));
    struct mill *mill = working(mill_new(scene, "lease_ms", "300", "reap_ms", "50", NULL));
    wait_for(closings() == 1);
    is_told(id, 61, 61, 0, 0);
    assert_true(is_nothing_left(&scene->redis));
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(closings(), 1);
}

/* Another has taken the job and settled it: what its first owner says of it later changes nothing. */
static void a_late_owner_counts_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, NULL);
    atomic_store(&mill->is_shut, true);
    working(mill);
    quern_batch *batch = batch_open(desk, id);
    add(desk, batch, "4", 1);
    wait_for(mill->started == 1);
    const char *entry = receipts[0].entry, *job = receipts[0].id;
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "thief", "0", entry);
    const struct answer *answer =
        redis_ask(&scene->redis, "EVAL", script_done.text, "7", "jobs", "jobs:g:settles", "jobs:g:completed", "jobs:g:batches",
                  "jobs:g:batches:open", "jobs:g:batches:state", "jobs:g:retry", "g", "thief", "1", entry, entry, "10", "0",
                  "0", "1", entry, "2", job, "job", "", "0", "0", "0", "", "1", job, id);
    assert_true(answer_is(answer, "d"));
    assert_int_equal(count_of(&scene->redis, id, "done"), 1);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "leases", "lost") == 1 && mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(count_of(&scene->redis, id, "done"), 1);
    seal(desk, batch);
    wait_for(closings() == 1);
    is_told(id, 1, 1, 0, 0);
    desk_close(desk);
    mill_stop(mill);
}

static const struct proxy_fault faults[] = {{.kind = PROXY_CLOSE},
                                            {.kind = PROXY_CLOSE, .after = 3},
                                            {.kind = PROXY_RESET, .after = 1},
                                            {.kind = PROXY_SILENT},
                                            {.kind = PROXY_DELAY, .pause_ms = 20}};
enum { FAULTS = sizeof faults / sizeof *faults };

static void strike(struct proxy *proxy, const char *name, const struct script *script, struct proxy_fault fault)
{
    fault.name = name;
    fault.question = script->sha1;
    fault.times = 1;
    proxy_fault(proxy, &fault);
}

/* The answer to the first, a middle or the last call, or to the seal. */
static void a_publishers_lost_answers_publish_and_count_nothing_twice(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = desk_at(scene, "redis", proxy_url(proxy), "publish_ms", "6000", NULL);
    char id[40];
    int expected = 0;
    publish(desk, "0", 1, NULL); /* the script is known from here on */
    redis_ask(&scene->redis, "DEL", "jobs", "jobs:g:batches", "jobs:g:batches:open", "jobs:g:batches:state");
    struct mill *mill = working(mill_new(scene, NULL));
    for (int i = 0; i < FAULTS; i++)
        for (int call = 0; call < 4; call++, expected++) {
            int before = proxy_swallowed(proxy);
            quern_batch *batch = batch_open(desk, id);
            for (int part = 0; part < 3; part++) {
                if (part == call) strike(proxy, ":publisher", &script_enqueue, faults[i]);
                add(desk, batch, "0", 5);
            }
            if (call == 3) strike(proxy, ":publisher", &script_enqueue, faults[i]);
            seal(desk, batch);
            wait_for(proxy_swallowed(proxy) == before + 1);
            wait_for(closings() == expected + 1);
            is_told(id, 15, 15, 0, 0);
        }
    wait_for(book.ran == 15 * expected);
    desk_close(desk);
    mill_stop(mill);
    proxy_close(proxy);
}

static void a_workers_lost_answers_count_nothing_twice(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = desk_at(scene, NULL);
    static const struct script *const scripts[] = {&script_done, &script_dead};
    char id[40];
    int expected = 0;
    struct mill *mill = working(mill_new(scene, "redis", proxy_url(proxy), "lease_ms", "20000", NULL));
    publish(desk, "0123", 8, id); /* the scripts are known from here on */
    wait_for(closings() == 1);
    for (int i = 0; i < FAULTS; i++)
        for (int script = 0; script < 2; script++) {
            int before = proxy_swallowed(proxy);
            strike(proxy, ":settler", scripts[script], faults[i]);
            publish(desk, "0123", 20, id);
            expected++;
            wait_for(closings() == 1 + expected);
            wait_for(proxy_swallowed(proxy) == before + 1);
            is_told(id, 20, 10, 10, 0);
            wait_for(is_nothing_left(&scene->redis));
        }
    desk_close(desk);
    mill_stop(mill);
    proxy_close(proxy);
}

/* Nothing was published, or all of it: and then it is sealed, for it was one call. */
static void one_attempt_whose_answer_is_lost_is_unknown_and_ends(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct desk *desk = desk_at(scene, "redis", proxy_url(proxy), "publish_ms", "0", NULL);
    char ids[3][40];
    publish(desk, "0", 1, ids[0]);
    strike(proxy, ":publisher", &script_enqueue, faults[0]);
    assert_int_equal(try_to_publish(desk, 3, &closing, ids[1]), QUERN_E_UNKNOWN);
    quern_batch *batch = batch_open(desk, ids[2]);
    strike(proxy, ":publisher", &script_enqueue, faults[0]);
    assert_int_equal(quern_batch_add(batch, members("0", 2), 2, receipts, &desk->error), QUERN_E_UNKNOWN);
    assert_int_equal(quern_batch_add(batch, members("0", 2), 2, receipts, &desk->error), QUERN_E_GONE);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_E_GONE);
    quern_batch_free(batch);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 2);
    is_told(ids[1], 3, 3, 0, 0);
    wait_for(count_of(&scene->redis, ids[2], "done") == 2);
    let_time_pass(&scene->redis, ids[2]);
    wait_for(closings() == 3);
    assert_non_null(strstr(book.data[2], "\"published\":2,\"done\":2,\"dead\":0,\"open\":0,\"complete\":false}"));
    desk_close(desk);
    mill_stop(mill);
    proxy_close(proxy);
}

/* ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_batch_whose_publisher_dies_before_the_seal_ends_incomplete(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    quern_batch *batch = batch_open(desk, id);
    add(desk, batch, "0", 70);
    quern_batch_free(batch);
    desk_close(desk); /* it was never sealed */
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(count_of(&scene->redis, id, "done") == 70);
    assert_int_equal(closings(), 0);
    let_time_pass(&scene->redis, id);
    wait_for(closings() == 1);
    assert_non_null(strstr(book.data[0], "\"published\":70,\"done\":70,\"dead\":0,\"open\":0,\"complete\":false}"));
    assert_true(is_nothing_left(&scene->redis));
    mill_stop(mill);
}

static void what_somebody_has_deleted_is_open_when_its_time_is_over(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, "batch_ms", "1000", NULL);
    char id[40];
    publish(desk, "0", 100, id);
    for (int i = 0; i < 40; i++) redis_ask(&scene->redis, "XDEL", "jobs", receipts[i].entry);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(id, 100, 60, 0, 40);
    wait_for(is_nothing_left(&scene->redis));
    wait_for(mill_lines(mill, "event=batches_overdue") == 1);
    desk_close(desk);
    mill_stop(mill);
}

static void what_ends_after_its_batch_is_closed_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    struct mill *mill = mill_new(scene, NULL);
    atomic_store(&mill->is_shut, true);
    working(mill);
    publish(desk, "40", 2, id);
    wait_for(count_of(&scene->redis, id, "done") == 1);
    let_time_pass(&scene->redis, id);
    wait_for(closings() == 1);
    is_told(id, 2, 1, 0, 1);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    assert_true(is_nothing_left(&scene->redis));
    assert_int_equal(closings(), 1);
    desk_close(desk);
    mill_stop(mill);
}

static void a_large_batch_is_closed_once_and_taken_away_in_steps(void **state)
{
    enum { MANY = 5000 };
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char ids[2][40];
    publish(desk, "0", 1, ids[0]);
    publish(desk, "0", 2, ids[1]);
    static const char fill[] = "for n = 1, tonumber(ARGV[2]) do redis.call('ZADD', KEYS[1], 0, ARGV[1] .. '/' .. n) end "
                               "redis.call('HINCRBY', KEYS[2], ARGV[1] .. ':published', ARGV[2])";
    redis_ask(&scene->redis, "EVAL", fill, "2", "jobs:g:batches:open", "jobs:g:batches:state", ids[0], "5000");
    redis_ask(&scene->redis, "DEL", "jobs");
    let_time_pass(&scene->redis, ids[0]);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(closings() == 1);
    is_told(ids[0], MANY + 1, 0, 0, MANY + 1);
    wait_for(redis_number(&scene->redis, "ZCARD", "jobs:g:batches") == 1);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:batches:open"), 2); /* the other's */
    assert_int_equal(closings(), 1);
    desk_close(desk);
    mill_stop(mill);
}

static void an_added_job_comes_too_late_for_a_closed_batch(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40];
    quern_batch *batch = batch_open(desk, id);
    struct mill *mill = working(mill_new(scene, NULL));
    add(desk, batch, "0", 1);
    let_time_pass(&scene->redis, id);
    wait_for(closings() == 1);
    long long entries = redis_number(&scene->redis, "XINFO", "STREAM", "jobs");
    assert_int_equal(quern_batch_add(batch, members("0", 2), 2, receipts, &desk->error), QUERN_E_GONE);
    assert_int_equal(receipts[0].code, QUERN_E_GONE);
    assert_int_equal(quern_batch_seal(batch, &desk->error), QUERN_E_GONE);
    assert_int_equal(redis_number(&scene->redis, "XINFO", "STREAM", "jobs"), entries);
    quern_batch_free(batch);
    wait_for(book.ran == 1); /* the one that was added in time; the closing job may have been faster */
    stays(closings() == 1 && book.ran == 1, 100);
    desk_close(desk);
    mill_stop(mill);
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────── */

#define REFUSED(words, expected, ...)                                               \
    do {                                                                            \
        quern_message then = {.size = sizeof then, .event = "closed", __VA_ARGS__}; \
        assert_int_equal(try_to_publish(desk, 1, &then, NULL), expected);           \
        assert_int_equal(desk->error.code, expected);                               \
        if (!strstr(desk->error.text, words)) fail_msg("%s", desk->error.text);     \
        assert_int_equal(receipts[0].code, expected);                               \
    } while (0)

static void a_closing_job_that_could_not_be_told_is_refused_before_any_io(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, "redis", "unix:///nowhere", "payload_max_bytes", "900", "json_depth_max", "2", NULL);
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
    assert_null(quern_batch_open(NULL, &closing, NULL, &desk->error));
    assert_null(quern_batch_open(desk->publisher, NULL, NULL, &desk->error));
    assert_int_equal(desk->error.code, QUERN_E_ARGUMENT);
    assert_int_equal(quern_batch_add(NULL, NULL, 0, NULL, &desk->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_batch_seal(NULL, &desk->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_publish_batch(desk->publisher, NULL, 1, &closing, NULL, NULL, &desk->error), QUERN_E_ARGUMENT);
    members("0", 2);
    messages[1].event = "";
    assert_int_equal(quern_publish_batch(desk->publisher, messages, 2, &closing, receipts, NULL, &desk->error),
                     QUERN_E_ARGUMENT);
    assert_non_null(strstr(desk->error.text, "message 2 of 2: the event is empty"));
    quern_batch_free(NULL);
    desk_close(desk);
}

static void a_depth_that_the_counts_do_not_fit_is_refused(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, "redis", "unix:///nowhere", "json_depth_max", "1", NULL);
    REFUSED("with \"batch\" in it: the data is nested 2 deep", QUERN_E_ARGUMENT, .data = {"{}", 2});
    desk_close(desk);
}

static void keys_of_another_type_are_refused_and_nothing_is_published(void **state)
{
    static const char *const keys[] = {"jobs:g:batches", "jobs:g:batches:open", "jobs:g:batches:state"};
    struct scene *scene = *state;
    for (int i = 0; i < 3; i++) {
        struct desk *desk = desk_at(scene, NULL);
        struct mill *mill = mill_new(scene, NULL);
        redis_ask(&scene->redis, "SET", keys[i], "text");
        assert_int_equal(try_to_publish(desk, 2, &closing, NULL), QUERN_E_SERVER);
        assert_non_null(strstr(desk->error.text, "WRONGTYPE"));
        assert_int_equal(receipts[0].code, QUERN_E_SERVER);
        assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 0);
        mill_on(mill, &(quern_handler){.event = "*", .run = work});
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
    struct desk *desk = desk_at(scene, "redis", url, NULL);
    publish(desk, "0", 70, NULL);
    publish(desk, "0", 0, NULL);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 1);
    redis_ask(&scene->redis, "ACL", "SETUSER", "producer", "-hincrby");
    assert_int_not_equal(QUERN_OK, try_to_publish(desk, 3, &closing, NULL));
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 70);
    desk_close(desk);
}

/* A closing job that is not what was written, or batch fields that other software has for its own use. */
static void what_is_not_ours_stops_nobody(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_at(scene, NULL);
    char id[40], field[80];
    quern_batch *batch = batch_open(desk, id);
    static const char *const texts[] = {"", "7", "g:", "g:7", "h:01234567-0123-0123-0123-012345678901"};
    add(desk, batch, "0", 1);
    for (int i = 0; i < 5; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "job", "data", "0", "batch", texts[i]);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "job", "{\"event\":\"job\",\"data\":0,\"batch\":{\"a\":1}}");
    snprintf(field, sizeof field, "g:%s", id);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "stranger", "event", "job", "data", "1", "batch", field);
    struct mill *mill = working(mill_new(scene, NULL));
    wait_for(mill_stat(mill, "jobs", "done") == 7 && mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(count_of(&scene->redis, id, "done"), 1);
    assert_int_equal(count_of(&scene->redis, id, "dead"), 0);
    snprintf(field, sizeof field, "%s:job", id);
    redis_ask(&scene->redis, "HSET", "jobs:g:batches:state", field, "no MessagePack");
    let_time_pass(&scene->redis, id);
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
    struct desk *desk = desk_at(scene, NULL);
    char ids[2][40];
    quern_batch *batch = batch_open(desk, ids[0]);
    add(desk, batch, "0", 3);
    publish(desk, "0", 2, ids[1]);
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
    let_time_pass(&scene->redis, ids[1]);
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
    assert_true(is_nothing_left(&scene->redis));
    quern_batch_free(batch);
    desk_close(desk);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, batch_scene, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_closing_job_runs_once_when_all_have_ended),
        SCENE(many_batches_at_once_are_each_told_of_their_own),
        SCENE(an_empty_batch_is_closed_at_once),
        SCENE(jobs_may_be_added_until_it_is_sealed),
        SCENE(its_data_has_the_counts_beside_what_was_in_it),
        SCENE(either_shape_later_and_keyed_jobs_are_counted),
        SCENE(another_group_neither_counts_nor_is_told),
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
        SCENE(a_killed_process_loses_no_count),
        SCENE(a_late_owner_counts_nothing),
        SCENE(a_publishers_lost_answers_publish_and_count_nothing_twice),
        SCENE(a_workers_lost_answers_count_nothing_twice),
        SCENE(one_attempt_whose_answer_is_lost_is_unknown_and_ends),
        SCENE(a_batch_whose_publisher_dies_before_the_seal_ends_incomplete),
        SCENE(what_somebody_has_deleted_is_open_when_its_time_is_over),
        SCENE(what_ends_after_its_batch_is_closed_changes_nothing),
        SCENE(a_large_batch_is_closed_once_and_taken_away_in_steps),
        SCENE(an_added_job_comes_too_late_for_a_closed_batch),
        SCENE(a_closing_job_that_could_not_be_told_is_refused_before_any_io),
        SCENE(a_depth_that_the_counts_do_not_fit_is_refused),
        SCENE(keys_of_another_type_are_refused_and_nothing_is_published),
        SCENE(a_publisher_of_batches_needs_no_more_rights_than_are_named),
        SCENE(what_is_not_ours_stops_nobody),
        SCENE(open_batches_are_seen_and_keep_their_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
