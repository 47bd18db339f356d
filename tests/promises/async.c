/* SPDX-License-Identifier: MIT */

/* promises/async: publishing without waiting: each message is answered exactly once, in order, within a bound, on whichever thread the
 * host wants. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"

enum { N = 5000 };

struct ear {
    _Atomic int told, published, full, lost, disorder;
    _Atomic int last; /* number of the last one that was told */
    _Atomic bool is_shut, is_in;
    quern_publisher *publisher;
};

struct call {
    struct ear *ear;
    int number;
    _Atomic int told;
};

static void hear(void *user, const quern_receipt *receipt)
{
    struct call *call = user;
    struct ear *ear = call->ear;
    atomic_store(&ear->is_in, true);
    while (atomic_load(&ear->is_shut)) wait_breathe();
    if (call->number < atomic_load(&ear->last)) atomic_fetch_add(&ear->disorder, 1);
    atomic_store(&ear->last, call->number);
    atomic_fetch_add(&call->told, 1);
    atomic_fetch_add(receipt->code == QUERN_OK ? &ear->published : receipt->code == QUERN_E_FULL ? &ear->full : &ear->lost, 1);
    atomic_fetch_add(&ear->told, 1);
}

static struct call calls[N];

static int put(struct desk *desk, struct ear *ear, int number)
{
    char text[12];
    int len = snprintf(text, sizeof text, "%d", number);
    quern_message message = {.size = sizeof message, .event = "job", .data = {text, (size_t)len}};
    if (!desk->publisher) desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_non_null(desk->publisher);
    calls[number] = (struct call){.ear = ear, .number = number};
    int code = quern_publish_async(desk->publisher, &message, hear, &calls[number], &desk->error);
    memset(text, 'x', sizeof text); /* it was copied */
    return code;
}

static bool each_told_once(int n)
{
    for (int i = 0; i < n; i++)
        if (calls[i].told != 1) return false;
    return true;
}

static void each_message_is_published_in_order_and_told_once(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct ear ear = {.last = -1};
    for (int i = 0; i < N; i++) assert_int_equal(put(desk, &ear, i), QUERN_OK);
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(ear.published, N);
    assert_int_equal(ear.disorder, 0);
    assert_true(each_told_once(N));
    const struct answer *list = redis_ask(&scene->redis, "XRANGE", "jobs", "-", "+");
    assert_int_equal(list->count, N);
    for (int i = 0; i < N; i++) assert_int_equal(atoi(answer_of(answer_at(answer_at(list, (size_t)i), 1), "data")->text), i);
    desk_close(desk);
}

static void a_full_queue_refuses_at_once_and_tells_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "publish_queue_max", "50", NULL);
    struct ear ear = {.last = -1, .is_shut = true};
    int taken = 0, code = QUERN_OK;
    while (!code) code = put(desk, &ear, taken++);
    assert_int_equal(code, QUERN_E_FULL);
    assert_int_equal(taken, 51);
    assert_string_equal(desk->error.text, "50 messages are unanswered; publish_queue_max is 50");
    assert_int_equal(quern_publisher_flush(desk->publisher, 50, &desk->error), QUERN_E_TIMEOUT);
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_E_BUSY);
    ear.is_shut = false;
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(ear.told, 50);
    assert_int_equal(calls[50].told, 0);
    assert_int_equal(put(desk, &ear, 51), QUERN_OK);
    assert_int_equal(quern_publisher_flush(desk->publisher, -1, &desk->error), QUERN_OK);
    desk_close(desk);
}

static void the_bytes_of_the_queue_are_bounded_too(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "publish_queue_bytes", "1000", NULL);
    struct ear ear = {.last = -1, .is_shut = true};
    static char large[3000];
    memset(large, '1', sizeof large);
    quern_message message = {.size = sizeof message, .event = "job", .data = {large, sizeof large}};
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    calls[0] = (struct call){.ear = &ear};
    assert_int_equal(quern_publish_async(desk->publisher, &message, hear, &calls[0], &desk->error),
                     QUERN_E_ARGUMENT); /* no number */
    message.is_raw = 1;
    assert_int_equal(quern_publish_async(desk->publisher, &message, hear, &calls[0], &desk->error), QUERN_OK);
    assert_int_equal(quern_publish_async(desk->publisher, &message, hear, &calls[0], &desk->error), QUERN_E_FULL);
    assert_non_null(strstr(desk->error.text, "publish_queue_bytes is 1000"));
    ear.is_shut = false;
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    desk_close(desk);
}

static char *empty_for_seven(void *user, const quern_message *message)
{
    (void)user;
    return message->data.len == 1 && message->data.at[0] == '7' ? strdup("") : NULL;
}

static void one_wrong_key_is_refused_alone(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct ear ear = {.last = -1};
    quern_config_unique(desk->config, empty_for_seven, NULL);
    for (int i = 0; i < 200; i++) assert_int_equal(put(desk, &ear, i), i == 7 ? QUERN_E_ARGUMENT : QUERN_OK);
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(ear.published, 199);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 199);
    desk_close(desk);
}

/* Nobody is dropped: while Redis is away each is told that it was not published. */
static void what_cannot_be_published_is_told_so(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "publish_ms", "100", NULL);
    struct ear ear = {.last = -1};
    redis_kill(&scene->redis);
    for (int i = 0; i < 300; i++) assert_int_equal(put(desk, &ear, i), QUERN_OK);
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(ear.lost, 300);
    assert_true(each_told_once(300));
    desk_close(desk);
    redis_again(&scene->redis);
}

static void what_finds_no_room_is_told_so(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "100", NULL);
    struct ear ear = {.last = -1};
    for (int i = 0; i < 300; i++) assert_int_equal(put(desk, &ear, i), QUERN_OK);
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(ear.published, 100);
    assert_int_equal(ear.full, 200);
    desk_close(desk);
}

/* ── event loops ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void answers_come_where_they_are_dispatched(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct ear ear = {.last = -1};
    size_t dispatched = 0;
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    struct pollfd at = {.fd = quern_publisher_fd(desk->publisher), .events = POLLIN};
    assert_true(at.fd >= 0 && at.fd == quern_publisher_fd(desk->publisher));
    assert_int_equal(quern_publisher_dispatch(desk->publisher), 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(put(desk, &ear, i), QUERN_OK);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs") == 1000);
    assert_int_equal(ear.told, 0);
    while (dispatched < 1000) {
        assert_int_equal(poll(&at, 1, PATIENCE_MS), 1);
        dispatched += quern_publisher_dispatch(desk->publisher);
    }
    assert_int_equal(poll(&at, 1, 0), 0);
    assert_int_equal(ear.published, 1000);
    assert_int_equal(ear.disorder, 0);
    assert_int_equal(put(desk, &ear, 1000), QUERN_OK);
    assert_int_equal(quern_publisher_flush(desk->publisher, -1, &desk->error),
                     QUERN_E_BUSY); /* waits for the answer, not for us */
    assert_int_equal(poll(&at, 1, PATIENCE_MS), 1);
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_E_BUSY);
    assert_int_equal(quern_publisher_dispatch(desk->publisher), 1);
    desk_close(desk);
}

/* ── callbacks that call back ────────────────────────────────────────────────────────────────────────────────────── */

struct chain {
    quern_publisher *publisher;
    _Atomic int left, flush_code, close_code;
};

static void go_on(void *user, const quern_receipt *receipt)
{
    struct chain *chain = user;
    quern_message message = {.size = sizeof message, .event = "job"};
    assert_int_equal(receipt->code, QUERN_OK);
    chain->flush_code = quern_publisher_flush(chain->publisher, -1, NULL);
    chain->close_code = quern_publisher_close(chain->publisher);
    if (atomic_fetch_sub(&chain->left, 1) > 1)
        assert_int_equal(quern_publish_async(chain->publisher, &message, go_on, chain, NULL), QUERN_OK);
}

/* Dispatches where the host does. */
static bool has_ended(struct chain *chain, bool is_dispatched)
{
    if (is_dispatched) quern_publisher_dispatch(chain->publisher);
    return chain->left == 0;
}

static void call_back(struct scene *scene, bool is_dispatched)
{
    struct desk *desk = desk_open(scene, NULL);
    struct chain chain = {.left = 20};
    quern_message message = {.size = sizeof message, .event = "job"};
    redis_ask(&scene->redis, "DEL", "jobs");
    desk->publisher = chain.publisher = quern_publisher_open(desk->config, &desk->error);
    if (is_dispatched) assert_true(quern_publisher_fd(desk->publisher) >= 0);
    assert_int_equal(quern_publish_async(desk->publisher, &message, go_on, &chain, NULL), QUERN_OK);
    wait_for(has_ended(&chain, is_dispatched));
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(chain.flush_code, QUERN_E_ARGUMENT);
    assert_int_equal(chain.close_code, QUERN_E_BUSY);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 20);
    desk_close(desk);
}

static void a_callback_may_publish_but_not_flush_or_close(void **state)
{
    call_back(*state, false);
    call_back(*state, true);
}

/* Which is told on the publisher's own thread. */
struct flusher {
    quern_publisher *publisher;
    _Atomic int code, told;
};

static void flush_when_told(void *user, const quern_notice *notice)
{
    struct flusher *flusher = user;
    (void)notice;
    atomic_store(&flusher->code, quern_publisher_flush(flusher->publisher, SOON_MS, NULL));
    atomic_fetch_add(&flusher->told, 1);
}

static void an_observer_cannot_flush_what_it_is_told_of(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    struct flusher flusher = {.code = QUERN_OK};
    quern_message message = {.size = sizeof message, .event = "job"};
    quern_config_observe(desk->config, QUERN_NOTICE_PUBLISH, flush_when_told, &flusher);
    flusher.publisher = desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_int_equal(quern_publish_async(desk->publisher, &message, NULL, NULL, &desk->error), QUERN_OK);
    wait_for(flusher.told == 1);
    assert_int_equal(flusher.code, QUERN_E_ARGUMENT);
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    desk_close(desk);
}

enum { THREADS = 4, EACH = 1000 };

static void *push(void *given)
{
    quern_message message = {.size = sizeof message, .event = "job"};
    long failed = 0;
    for (int i = 0; i < EACH; i++) failed += quern_publish_async(given, &message, NULL, NULL, NULL) != QUERN_OK;
    return (void *)failed;
}

static void many_threads_may_publish_through_one(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, NULL);
    pthread_t threads[THREADS];
    void *failed;
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, push, desk->publisher), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(quern_publisher_flush(desk->publisher, PATIENCE_MS, &desk->error), QUERN_OK);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), THREADS * EACH);
    desk_close(desk);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(each_message_is_published_in_order_and_told_once),
        SCENE(a_full_queue_refuses_at_once_and_tells_nothing),
        SCENE(the_bytes_of_the_queue_are_bounded_too),
        SCENE(one_wrong_key_is_refused_alone),
        SCENE(what_cannot_be_published_is_told_so),
        SCENE(what_finds_no_room_is_told_so),
        SCENE(answers_come_where_they_are_dispatched),
        SCENE(a_callback_may_publish_but_not_flush_or_close),
        SCENE(an_observer_cannot_flush_what_it_is_told_of),
        SCENE(many_threads_may_publish_through_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
