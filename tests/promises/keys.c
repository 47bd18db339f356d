/* SPDX-License-Identifier: MIT */

/* promises/keys: jobs of one key run one after the other, in the order of the stream; keys do not hold up each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"

enum { KEYS = 8, TOLD = 4096 };

/* What ran of each key. */
struct lane {
    _Atomic int inside, most, count;
    _Atomic int order[TOLD];
};
struct book {
    struct mill *mill;
    struct lane lanes[KEYS];
    _Atomic int started;
    _Atomic bool is_first_shut; /* jobs of key 0 wait inside */
};

/* Data: number * KEYS + key. */
static quern_verdict keep_book(quern_job *job, void *thread, void *user)
{
    struct book *book = user;
    int number = atoi(quern_job_data(job).at);
    struct lane *lane = &book->lanes[number % KEYS];
    int inside = atomic_fetch_add(&lane->inside, 1) + 1;
    if (inside > lane->most) lane->most = inside;
    int place = atomic_fetch_add(&lane->count, 1);
    if (place < TOLD) lane->order[place] = number / KEYS;
    atomic_fetch_add(&book->started, 1);
    while (number % KEYS == 0 && atomic_load(&book->is_first_shut) && !quern_job_cancelled(job)) burn_us(100);
    quern_verdict verdict = mill_grind(job, thread, book->mill);
    atomic_fetch_sub(&lane->inside, 1);
    return verdict;
}

static void publish_keyed(struct desk *desk, int key, int number)
{
    char data[16], name[16];
    snprintf(data, sizeof data, "%d", number * KEYS + key);
    snprintf(name, sizeof name, "customer-%d", key);
    assert_int_equal(QUERN_OK, PUBLISH(desk, data, .key = name));
}

static struct mill *keeping(struct scene *scene, struct book *book, const char *threads)
{
    struct mill *mill = mill_new(scene, "threads", threads, NULL);
    memset(book, 0, sizeof *book);
    book->mill = mill;
    mill_on(mill, &(quern_handler){.event = "*", .run = keep_book, .user = book});
    return mill;
}

static bool is_in_order(const struct lane *lane, int count)
{
    for (int i = 0; i < count; i++)
        if (lane->order[i] != i) return false;
    return lane->count == count;
}

static void jobs_of_a_key_start_one_after_the_other_in_the_order_of_the_stream(void **state)
{
    enum { EACH = 100 };
    static struct book book;
    struct scene *scene = *state;
    struct mill *mill = keeping(scene, &book, "6");
    struct desk *desk = desk_open(scene, NULL);
    mill->work_us = 300;
    mill_start(mill);
    for (int i = 0; i < EACH; i++)
        for (int key = 0; key < KEYS; key++) publish_keyed(desk, key, i);
    wait_for(mill_stat(mill, "jobs", "done") == EACH * KEYS);
    for (int key = 0; key < KEYS; key++) {
        assert_true(is_in_order(&book.lanes[key], EACH));
        assert_int_equal(1, book.lanes[key].most);
    }
    desk_close(desk);
    mill_stop(mill);
}

static void a_key_whose_job_takes_long_holds_up_no_other(void **state)
{
    enum { EACH = 50 };
    static struct book book;
    struct scene *scene = *state;
    struct mill *mill = keeping(scene, &book, "2");
    struct desk *desk = desk_open(scene, NULL);
    atomic_store(&book.is_first_shut, true);
    for (int i = 0; i < EACH; i++) publish_keyed(desk, 0, i);
    for (int i = 0; i < EACH; i++) publish_keyed(desk, 1, i);
    mill_start(mill);
    wait_for(book.lanes[1].count == EACH);
    assert_int_equal(1, book.lanes[0].count);
    assert_true(mill_stat(mill, "jobs", "parked") > 0);
    atomic_store(&book.is_first_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 2 * EACH);
    assert_true(is_in_order(&book.lanes[0], EACH) && is_in_order(&book.lanes[1], EACH));
    assert_int_equal(0, mill_stat(mill, "jobs", "parked"));
    desk_close(desk);
    mill_stop(mill);
}

static void what_waits_for_its_key_goes_back_in_order_at_a_stop(void **state)
{
    enum { EACH = 40 };
    static struct book book, next_book;
    struct scene *scene = *state;
    struct mill *mill = keeping(scene, &book, "2");
    struct desk *desk = desk_open(scene, NULL);
    atomic_store(&book.is_first_shut, true);
    for (int i = 0; i < EACH; i++) publish_keyed(desk, 0, i);
    mill_start(mill);
    wait_for(book.lanes[0].count == 1 && mill_stat(mill, "jobs", "parked") == EACH - 1);
    quern_pool_stop(mill->pool);
    wait_for(mill_stat(mill, "jobs", "released") == EACH - 1);
    atomic_store(&book.is_first_shut, false);
    mill_stop(mill);
    struct mill *next = keeping(scene, &next_book, "4");
    mill_start(next);
    wait_for(mill_stat(next, "jobs", "done") == EACH - 1);
    for (int i = 0; i < EACH - 1; i++) assert_int_equal(i + 1, next_book.lanes[0].order[i]);
    assert_int_equal(0, redis_pending(&scene->redis, "jobs", "g"));
    desk_close(desk);
    mill_stop(next);
}

/* Its retry comes when it is due, and those behind it do not wait for that. */
/* Those that have not been read yet lie in the stream, those that went back in another one. */
static void what_goes_back_at_a_stop_comes_before_what_was_never_read(void **state)
{
    enum { EACH = 300 };
    static struct book book, next_book;
    struct scene *scene = *state;
    struct mill *mill = keeping(scene, &book, "2");
    struct desk *desk = desk_open(scene, NULL);
    atomic_store(&book.is_first_shut, true);
    for (int i = 0; i < EACH; i++) publish_keyed(desk, 0, i);
    mill_start(mill);
    wait_for(book.lanes[0].count == 1 && mill_stat(mill, "jobs", "parked") == EACH - 1);
    quern_pool_stop(mill->pool);
    wait_for(mill_stat(mill, "jobs", "released") == EACH - 1);
    for (int i = EACH; i < 2 * EACH; i++) publish_keyed(desk, 0, i);
    atomic_store(&book.is_first_shut, false);
    mill_stop(mill);
    struct mill *next = keeping(scene, &next_book, "2");
    mill_start(next);
    wait_for(mill_stat(next, "jobs", "done") == 2 * EACH - 1);
    for (int i = 0; i < 2 * EACH - 1; i++) assert_int_equal(i + 1, next_book.lanes[0].order[i]);
    desk_close(desk);
    mill_stop(next);
}

static void a_job_that_failed_lets_the_next_of_its_key_start(void **state)
{
    static struct book book;
    struct scene *scene = *state;
    struct mill *mill = keeping(scene, &book, "2");
    struct desk *desk = desk_open(scene, NULL);
    mill_set(mill, "retry_base_ms", "600000");
    mill->verdict = QUERN_RETRY;
    mill_start(mill);
    publish_keyed(desk, 0, 0);
    publish_keyed(desk, 0, 1);
    wait_for(mill_stat(mill, "jobs", "retry") == 2);
    assert_true(is_in_order(&book.lanes[0], 2));
    desk_close(desk);
    mill_stop(mill);
}

static void a_handler_that_outstays_its_time_does_not_keep_its_key(void **state)
{
    static struct book book;
    struct scene *scene = *state;
    struct mill *mill =
        mill_new(scene, "threads", "2", "timeout_ms", "100", "timeout_grace_ms", "100", "retry_limit", "0", NULL);
    struct desk *desk = desk_open(scene, NULL);
    memset(&book, 0, sizeof book);
    book.mill = mill;
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    atomic_store(&mill->is_shut, true);
    mill_start(mill);
    publish_keyed(desk, 0, 0);
    publish_keyed(desk, 0, 1);
    wait_for(mill->started == 2);
    atomic_store(&mill->is_shut, false);
    wait_for(mill->ended == 2);
    desk_close(desk);
    mill_stop(mill);
}

static quern_verdict take_ticket(quern_job *job, void *thread, void *user)
{
    struct book *book = user;
    (void)thread;
    atomic_fetch_add(&book->started, 1);
    atomic_store(&book->mill->ticket, quern_job_ticket(job));
    return QUERN_PENDING;
}

static void a_job_that_a_ticket_will_finish_keeps_its_key_until_then(void **state)
{
    static struct book book;
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, NULL);
    struct desk *desk = desk_open(scene, NULL);
    memset(&book, 0, sizeof book);
    book.mill = mill;
    mill_on(mill, &(quern_handler){.event = "*", .run = take_ticket, .user = &book});
    mill_start(mill);
    for (int i = 0; i < 3; i++) publish_keyed(desk, 0, i);
    for (int i = 1; i <= 3; i++) {
        wait_for(book.started == i);
        if (i < 3) wait_for(mill_stat(mill, "jobs", "parked") == 3 - i);
        stays(book.started == i, 20);
        assert_int_equal(QUERN_OK, quern_pool_finish(mill->pool, mill->ticket, QUERN_DONE, NULL));
    }
    wait_for(mill_stat(mill, "jobs", "done") == 3);
    desk_close(desk);
    mill_stop(mill);
}

/* With a cap beside it, and threads that come and go. */
static void keys_and_caps_together_lose_nothing(void **state)
{
    enum { EACH = 60 };
    static struct book book;
    struct scene *scene = *state;
    struct mill *mill = keeping(scene, &book, "8");
    struct desk *desk = desk_open(scene, NULL);
    mill_set(mill, "max_running", "3");
    mill_set(mill, "prefetch_max", "16");
    mill->work_us = 200;
    for (int i = 0; i < EACH; i++)
        for (int key = 0; key < KEYS; key++) publish_keyed(desk, key, i);
    mill_start(mill);
    while (mill_stat(mill, "jobs", "done") < EACH * KEYS / 2) {
        assert_int_equal(QUERN_OK, quern_pool_set_threads(mill->pool, 1, &mill->error));
        assert_int_equal(QUERN_OK, quern_pool_set_threads(mill->pool, 8, &mill->error));
        wait_breathe();
    }
    wait_for(mill_stat(mill, "jobs", "done") == EACH * KEYS);
    for (int key = 0; key < KEYS; key++) assert_int_equal(1, book.lanes[key].most);
    desk_close(desk);
    mill_stop(mill);
    assert_int_equal(0, redis_pending(&scene->redis, "jobs", "g"));
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(jobs_of_a_key_start_one_after_the_other_in_the_order_of_the_stream),
        SCENE(a_key_whose_job_takes_long_holds_up_no_other),
        SCENE(what_waits_for_its_key_goes_back_in_order_at_a_stop),
        SCENE(what_goes_back_at_a_stop_comes_before_what_was_never_read),
        SCENE(a_job_that_failed_lets_the_next_of_its_key_start),
        SCENE(a_handler_that_outstays_its_time_does_not_keep_its_key),
        SCENE(a_job_that_a_ticket_will_finish_keeps_its_key_until_then),
        SCENE(keys_and_caps_together_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
