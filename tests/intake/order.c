/* SPDX-License-Identifier: MIT */
#include "intake/order.h"

#include "support/unit.h"

static const uint32_t nothing[QUEUES_MAX];

static struct order order_of(const uint32_t *weights, uint32_t count)
{
    struct order order;
    order_open(&order, weights, count);
    for (uint32_t i = 0; i < count; i++) order_stir(&order, i);
    return order;
}

/* Reads the next queue, which has as much as is asked for. */
static int read_full(struct order *order, uint32_t count)
{
    int next = order_next(order, nothing);
    order_asks(order, (uint32_t)next, count);
    order_gets(order, (uint32_t)next, count, count, true);
    return next;
}

static void without_weights_the_first_that_has_something_is_next(void **state)
{
    (void)state;
    struct order order = order_of((uint32_t[]){0, 0, 0}, 3);
    assert_int_equal(0, read_full(&order, 10));
    assert_int_equal(0, read_full(&order, 10));
    order_gets(&order, 0, 10, 3, false);
    assert_int_equal(1, order_next(&order, nothing));
    order_gets(&order, 1, 10, 0, false);
    order_gets(&order, 2, 10, 0, false);
    assert_int_equal(-1, order_next(&order, nothing));
    order_stir(&order, 2);
    assert_int_equal(2, order_next(&order, nothing));
    order_stir(&order, 0);
    assert_int_equal(0, order_next(&order, nothing));
}

static void those_behind_wait_until_it_is_known_whether_one_has_something(void **state)
{
    (void)state;
    struct order order = order_of((uint32_t[]){0, 0}, 2);
    assert_int_equal(-1, order_next(&order, (uint32_t[]){1, 0}));
    order_gets(&order, 0, 10, 10, true);
    assert_int_equal(0, order_next(&order, (uint32_t[]){1, 0}));
    assert_int_equal(1, order_next(&order, (uint32_t[]){ORDER_BARRED, 0}));
    assert_int_equal(-1, order_next(&order, (uint32_t[]){ORDER_CROWDED, 0}));
    order_gets(&order, 0, 10, 0, false);
    assert_int_equal(-1, order_next(&order, (uint32_t[]){0, 1}));
}

static void with_weights_each_gets_its_share(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 7, 128};
    for (size_t c = 0; c < 3; c++) {
        struct order order = order_of((uint32_t[]){6, 3, 1}, 3);
        int64_t jobs[3] = {0};
        for (int i = 0; i < 10000; i++) jobs[read_full(&order, counts[c])] += counts[c];
        for (int i = 0; i < 3; i++)
            assert_in_range(jobs[i] * 10 / counts[c],
                            (i == 0   ? 60000
                             : i == 1 ? 30000
                                      : 10000) -
                                30,
                            (i == 0   ? 60000
                             : i == 1 ? 30000
                                      : 10000) +
                                30);
    }
}

static void no_queue_with_jobs_is_ever_left_out(void **state)
{
    (void)state;
    struct order order = order_of((uint32_t[]){1000, 1}, 2);
    int since = 0;
    for (int i = 0; i < 100000; i++) {
        since = read_full(&order, 1) == 1 ? 0 : since + 1;
        assert_true(since <= 1001);
    }
}

/* Nor does the other one have to wait until it has caught up. */
static void what_was_empty_has_saved_nothing_up(void **state)
{
    (void)state;
    struct order order = order_of((uint32_t[]){1, 1}, 2);
    order_gets(&order, 1, 10, 0, false);
    for (int i = 0; i < 1000; i++) assert_int_equal(0, read_full(&order, 10));
    order_stir(&order, 1);
    int of_second = 0;
    for (int i = 0; i < 100; i++) of_second += read_full(&order, 10);
    assert_in_range(of_second, 49, 51);
}

/* It had a backlog when it was paused, and has more than ever by now. */
static void what_could_not_be_read_has_saved_nothing_up(void **state)
{
    (void)state;
    struct order order = order_of((uint32_t[]){1, 1}, 2);
    for (int i = 0; i < 10; i++) read_full(&order, 10);
    for (int i = 0; i < 1000; i++) {
        order_pass_over(&order, 1);
        assert_int_equal(0, order_next(&order, (uint32_t[]){0, ORDER_BARRED}));
        order_asks(&order, 0, 10);
        order_gets(&order, 0, 10, 10, true);
    }
    int of_second = 0;
    for (int i = 0; i < 100; i++) of_second += read_full(&order, 10);
    assert_in_range(of_second, 49, 51);
}

static void what_was_asked_for_and_did_not_come_is_not_charged(void **state)
{
    (void)state;
    struct order order = order_of((uint32_t[]){1, 1}, 2);
    for (int i = 0; i < 100; i++) {
        order_asks(&order, 0, 128);
        order_gets(&order, 0, 128, 1, false);
        order_stir(&order, 0);
    }
    int64_t jobs[2] = {100, 0};
    for (int i = 0; i < 1000; i++) jobs[read_full(&order, 1)]++;
    assert_in_range(jobs[0], 549, 551);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_weights_the_first_that_has_something_is_next),
        cmocka_unit_test(those_behind_wait_until_it_is_known_whether_one_has_something),
        cmocka_unit_test(with_weights_each_gets_its_share),
        cmocka_unit_test(no_queue_with_jobs_is_ever_left_out),
        cmocka_unit_test(what_was_empty_has_saved_nothing_up),
        cmocka_unit_test(what_could_not_be_read_has_saved_nothing_up),
        cmocka_unit_test(what_was_asked_for_and_did_not_come_is_not_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
