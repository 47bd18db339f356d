/* SPDX-License-Identifier: MIT */
#include "upkeep/heed.h"

#include "base/bytes.h"
#include "base/waker.h"
#include "job/slot.h"
#include "queue/orders.h"
#include "support/unit.h"
#include "upkeep/reaper.h"

static struct waker waker;
static struct reaper_needs needs;
static struct source source;
static _Atomic int64_t blocked_id;

static int open_needs(void **state)
{
    (void)state;
    static _Atomic int64_t drain_ns;
    assert_int_equal(0, waker_open(&waker));
    needs = (struct reaper_needs){.sources = &source, .source_count = 1, .dispatcher = &waker, .blocked_ids = &blocked_id};
    needs.slots = slots_open(4, &drain_ns);
    needs.orders = orders_open(1);
    return !needs.slots || !needs.orders;
}

static int close_needs(void **state)
{
    (void)state;
    orders_free(needs.orders);
    slots_close(needs.slots);
    waker_close(&waker);
    return 0;
}

static void hear(struct heeded *heeded, const char *event)
{
    quern_error err;
    struct reply text = {.type = REPLY_TEXT, .count = event ? (uint32_t)strlen(event) : 0, .text = event};
    struct reply events = {.type = REPLY_ARRAY, .count = event != NULL, .items = &text};
    assert_int_equal(QUERN_OK, heed(&needs, 0, heeded, &(struct heard){.events = &events}, NULL, &err));
}

/* The one who looked at the start is not the one who looks from then on. */
static void what_went_on_between_the_start_and_the_first_look_goes_on(void **state)
{
    (void)state;
    struct heeded at_start = {0}, reaper = {0};
    hear(&at_start, "*");
    assert_true(orders_hold(needs.orders, 0));
    hear(&reaper, NULL);
    assert_false(orders_hold(needs.orders, 0));
}

static void what_was_cancelled_no_more_by_the_first_look_is_not(void **state)
{
    (void)state;
    struct heeded reaper = {0};
    struct cancelled *list = malloc(sizeof *list);
    assert_non_null(list);
    *list = (struct cancelled){.identity = 7, .until_ms = 100};
    orders_set_cancelled(needs.orders, 0, list, 1);
    hear(&reaper, NULL);
    assert_false(orders_is_cancelled(needs.orders, 0, 7, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_went_on_between_the_start_and_the_first_look_goes_on, open_needs, close_needs),
        cmocka_unit_test_setup_teardown(what_was_cancelled_no_more_by_the_first_look_is_not, open_needs, close_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
