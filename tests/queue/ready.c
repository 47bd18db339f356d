/* SPDX-License-Identifier: MIT */
#include "queue/ready.h"

#include <poll.h>

#include "base/clock.h"
#include "base/waker.h"
#include "support/unit.h"

enum { JOBS = 1000000, ROOM = 1024, CONSUMERS = 4 };

static struct waker refill;

static struct ready *make(void)
{
    assert_int_equal(0, waker_open(&refill));
    struct ready *ready = ready_open(ROOM, &refill);
    assert_non_null(ready);
    return ready;
}

static void drop(struct ready *ready)
{
    ready_free(ready);
    waker_close(&refill);
}

static bool refill_rang(void)
{
    bool rang = poll(&(struct pollfd){.fd = refill.fd, .events = POLLIN}, 1, 0) == 1;
    if (rang) waker_clear(&refill);
    return rang;
}

static bool stays(void *user)
{
    (void)user;
    return false;
}

static void what_is_pushed_is_popped_in_order(void **state)
{
    (void)state;
    struct ready *ready = make();
    uint32_t index;
    assert_false(ready_pop(ready, &index));
    for (uint32_t i = 0; i < ROOM; i++) ready_push(ready, i);
    assert_int_equal(ROOM, ready_length(ready));
    for (uint32_t i = 0; i < ROOM; i++) assert_true(ready_pop(ready, &index) && index == i);
    assert_false(ready_pop(ready, &index));
    assert_int_equal(0, ready_sleepers(ready));
    drop(ready);
}

static void what_is_in_comes_out_after_a_close(void **state)
{
    (void)state;
    struct ready *ready = make();
    uint32_t index;
    ready_push(ready, 7);
    assert_false(ready_is_closed(ready));
    ready_close(ready);
    assert_true(ready_is_closed(ready));
    ready_sleep(ready, stays, NULL); /* nobody sleeps in what is closed */
    assert_true(ready_pop(ready, &index) && index == 7);
    ready_sleep(ready, stays, NULL);
    drop(ready);
}

static void the_dispatcher_is_woken_once_when_the_backlog_has_fallen(void **state)
{
    (void)state;
    struct ready *ready = make();
    uint32_t index;
    for (uint32_t i = 0; i < 10; i++) ready_push(ready, i);
    for (int i = 0; i < 3; i++) (void)ready_pop(ready, &index);
    assert_false(refill_rang()); /* not armed */
    ready_arm_refill(ready, 4);
    (void)ready_pop(ready, &index);
    (void)ready_pop(ready, &index);
    assert_false(refill_rang());
    (void)ready_pop(ready, &index); /* four are left */
    assert_true(refill_rang());
    (void)ready_pop(ready, &index);
    assert_false(refill_rang());
    ready_arm_refill(ready, 4);
    ready_disarm_refill(ready);
    (void)ready_pop(ready, &index);
    assert_false(refill_rang());
    ready_arm_refill(ready, 0);
    while (ready_length(ready) > 1) (void)ready_pop(ready, &index);
    assert_false(refill_rang());
    (void)ready_pop(ready, &index);
    assert_true(refill_rang());
    ready_arm_refill(ready, UINT32_MAX); /* as soon as anybody looks */
    ready_push(ready, 1);
    (void)ready_pop(ready, &index);
    assert_true(refill_rang());
    drop(ready);
}

static void what_is_paused_comes_out_when_resumed_or_taken(void **state)
{
    (void)state;
    struct ready *ready = make();
    uint32_t index;
    for (uint32_t i = 0; i < 4; i++) ready_push(ready, i);
    assert_false(ready_resume(ready));
    assert_true(ready_pause(ready));
    assert_false(ready_pause(ready));
    assert_true(ready_is_paused(ready));
    assert_false(ready_pop(ready, &index));
    assert_int_equal(4, ready_length(ready));
    assert_true(ready_take(ready, &index) && index == 0);
    assert_true(ready_resume(ready));
    assert_false(ready_is_paused(ready));
    assert_true(ready_pop(ready, &index) && index == 1);
    assert_true(ready_pause(ready));
    ready_close(ready);
    assert_false(ready_is_paused(ready));
    assert_true(ready_pop(ready, &index) && index == 2);
    ready_sleep(ready, stays, NULL); /* nobody sleeps in what is closed, paused or not */
    drop(ready);
}

/* ── many workers ────────────────────────────────────────────────────────────────────────────────────────────────── */

struct mill {
    struct ready *ready;
    _Atomic uint8_t *seen;
    _Atomic uint32_t popped, twice, running;
    _Atomic bool is_stuck;
    bool is_one_by_one; /* the producer waits until each is popped: every push meets sleepers */
    bool is_attentive;  /* consumers say when they pay attention, and the producer relies on it */
    int64_t deadline_ns;
};

/* As for a job that takes long: what was pushed meanwhile is not kept waiting by it. */
static void look_away(struct mill *mill, uint32_t index)
{
    ready_turn_away(mill->ready);
    for (uint32_t i = 0; i < index % 3; i++) sched_yield();
    ready_attend(mill->ready);
}

static void consume(struct mill *mill)
{
    uint32_t index;
    ready_attend(mill->ready);
    for (;;) {
        if (ready_pop(mill->ready, &index)) {
            atomic_fetch_add(&mill->twice, atomic_exchange(&mill->seen[index], 1));
            if (mill->is_attentive && index % 8 == 0) look_away(mill, index);
            atomic_fetch_add(&mill->popped, 1);
        } else if (ready_is_closed(mill->ready) && ready_length(mill->ready) == 0) {
            return;
        } else {
            ready_sleep(mill->ready, stays, NULL);
        }
    }
}

static bool is_stuck(struct mill *mill)
{
    if (unit_is_over(mill->deadline_ns)) atomic_store(&mill->is_stuck, true);
    return atomic_load(&mill->is_stuck);
}

static void produce(struct mill *mill, uint32_t jobs)
{
    uint64_t seed = 17;
    for (uint32_t i = 0; i < jobs && !is_stuck(mill);) {
        uint32_t batch = mill->is_one_by_one ? 1 : 1 + (uint32_t)unit_random(&seed) % 100;
        for (uint32_t n = 0; n < batch && i < jobs; n++) ready_push(mill->ready, i++);
        mill->is_attentive ? ready_call(mill->ready, 0) : ready_wake(mill->ready);
        uint32_t most = mill->is_one_by_one ? 0 : ROOM - 100; /* never more than slots; and somebody must come, unasked again */
        while (i - atomic_load(&mill->popped) > most && !is_stuck(mill)) sched_yield();
    }
    while (atomic_load(&mill->popped) < jobs && !is_stuck(mill)) sched_yield();
    ready_close(mill->ready);
}

static void all_of_them(void *given, unsigned number)
{
    struct mill *mill = given;
    if (number)
        consume(mill);
    else
        produce(mill, mill->is_one_by_one ? JOBS / 10 : JOBS);
}

static void a_million_jobs_each_once_and_nobody_sleeps_while_jobs_wait(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct mill mill = {.ready = make(),
                            .seen = calloc(JOBS, sizeof *mill.seen),
                            .is_one_by_one = way % 2,
                            .is_attentive = way / 2,
                            .deadline_ns = clock_deadline_ns(clock_now_ns(), 3 * UNIT_PATIENCE_MS)};
        ready_set_worth(mill.ready, mill.is_attentive ? UINT32_MAX : 0); /* at least 1 */
        unit_together(1 + CONSUMERS, all_of_them, &mill);
        assert_false(mill.is_stuck);
        assert_int_equal(mill.is_one_by_one ? JOBS / 10 : JOBS, mill.popped);
        assert_int_equal(0, mill.twice);
        drop(mill.ready);
        free((void *)mill.seen);
    }
}

static void wait_until_popped(struct mill *mill, uint32_t jobs)
{
    while ((atomic_load(&mill->popped) < jobs || !ready_sleepers(mill->ready)) && !is_stuck(mill)) sched_yield();
}

/* One pays attention, and comes not; the other one sleeps. */
static void rely_on_it(struct mill *mill)
{
    struct ready *ready = mill->ready;
    ready_attend(ready);
    ready_set_worth(ready, 2);
    wait_until_popped(mill, 0);
    ready_push(ready, 0);
    ready_call(ready, 0);
    ready_turn_away(ready);
    wait_until_popped(mill, 1);
    ready_attend(ready);
    ready_push(ready, 1);
    ready_call(ready, 0);
    ready_push(ready, 2);
    ready_call(ready, 0); /* worth another one */
    wait_until_popped(mill, 3);
    ready_push(ready, 3);
    ready_call(ready, 0);
    ready_nudge(ready, 0);
    wait_until_popped(mill, 4);
    ready_push(ready, 4);
    ready_call(ready, NS_PER_S / 2); /* not relied on any more */
    wait_until_popped(mill, 5);
    ready_close(ready);
}

static void rely_or_consume(void *given, unsigned number)
{
    if (number)
        consume(given);
    else
        rely_on_it(given);
}

static void one_that_sleeps_comes_when_attention_is_over_or_proves_to_be_none_or_there_is_much(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct mill mill = {.ready = make(), .seen = calloc(JOBS, sizeof *mill.seen), .deadline_ns = unit_deadline_ns()};
        unit_together(2, rely_or_consume, &mill);
        assert_false(mill.is_stuck);
        assert_int_equal(5, mill.popped);
        drop(mill.ready);
        free((void *)mill.seen);
    }
}

/* Jobs that last: as long as some wait, nobody who sleeps stays asleep. */
static void hold(struct mill *mill)
{
    uint32_t index;
    while (!ready_pop(mill->ready, &index)) {
        if (ready_is_closed(mill->ready)) return;
        ready_sleep(mill->ready, stays, NULL);
    }
    atomic_fetch_add(&mill->running, 1);
    while (atomic_load(&mill->running) < CONSUMERS && !is_stuck(mill)) sched_yield(); /* none ends before all have begun */
}

static void hand_out(void *given, unsigned number)
{
    struct mill *mill = given;
    if (number) {
        hold(mill);
        return;
    }
    while (ready_sleepers(mill->ready) < CONSUMERS && !is_stuck(mill)) sched_yield();
    for (uint32_t i = 0; i < CONSUMERS; i++) ready_push(mill->ready, i);
    ready_wake(mill->ready); /* wakes one, who wakes the next */
    while (atomic_load(&mill->running) < CONSUMERS && !is_stuck(mill)) sched_yield();
    ready_close(mill->ready);
}

static void one_wake_brings_as_many_as_there_is_work_for(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct mill mill = {.ready = make(), .deadline_ns = unit_deadline_ns()};
        unit_together(1 + CONSUMERS, hand_out, &mill);
        assert_false(mill.is_stuck);
        assert_int_equal(CONSUMERS, mill.running);
        drop(mill.ready);
    }
}

static void sleep_until_closed(void *given, unsigned number)
{
    struct mill *mill = given;
    if (number) {
        while (!ready_is_closed(mill->ready)) ready_sleep(mill->ready, stays, NULL);
        return;
    }
    while (ready_sleepers(mill->ready) < CONSUMERS && !is_stuck(mill)) sched_yield();
    ready_close(mill->ready);
}

static void a_close_wakes_everybody(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct mill mill = {.ready = make(), .deadline_ns = unit_deadline_ns()};
        unit_together(1 + CONSUMERS, sleep_until_closed, &mill);
        assert_false(mill.is_stuck);
        assert_int_equal(0, ready_sleepers(mill.ready));
        drop(mill.ready);
    }
}

/* The producer pauses, pushes, and sees nothing popped; then it resumes, and somebody must come. */
static void pause_and_feed(struct mill *mill)
{
    for (uint32_t i = 0; i < JOBS / 100 && !is_stuck(mill); i++) {
        (void)ready_pause(mill->ready);
        ready_push(mill->ready, i);
        if (i % 2) ready_wake(mill->ready);
        (void)ready_resume(mill->ready);
        if (i % 2 == 0) ready_wake(mill->ready);
        while (atomic_load(&mill->popped) <= i && !is_stuck(mill)) sched_yield();
    }
    ready_close(mill->ready);
}

static void pause_or_consume(void *given, unsigned number)
{
    if (number)
        consume(given);
    else
        pause_and_feed(given);
}

static void no_wake_is_lost_between_a_pause_and_its_end(void **state)
{
    (void)state;
    struct mill mill = {.ready = make(), .seen = calloc(JOBS, sizeof *mill.seen), .deadline_ns = unit_deadline_ns()};
    unit_together(1 + CONSUMERS, pause_or_consume, &mill);
    assert_false(mill.is_stuck);
    assert_int_equal(JOBS / 100, mill.popped);
    assert_int_equal(0, mill.twice);
    drop(mill.ready);
    free((void *)mill.seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_is_popped_in_order),
        cmocka_unit_test(what_is_in_comes_out_after_a_close),
        cmocka_unit_test(the_dispatcher_is_woken_once_when_the_backlog_has_fallen),
        cmocka_unit_test(what_is_paused_comes_out_when_resumed_or_taken),
        cmocka_unit_test(a_million_jobs_each_once_and_nobody_sleeps_while_jobs_wait),
        cmocka_unit_test(one_that_sleeps_comes_when_attention_is_over_or_proves_to_be_none_or_there_is_much),
        cmocka_unit_test(one_wake_brings_as_many_as_there_is_work_for),
        cmocka_unit_test(a_close_wakes_everybody),
        cmocka_unit_test(no_wake_is_lost_between_a_pause_and_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
