/* SPDX-License-Identifier: MIT */
#include "base/ring.h"

#include <stdatomic.h>

#include "support/unit.h"

enum { SIDES = 4, ITEMS = 1000000, ROOM = 1024 };

static void what_goes_in_comes_out_in_order(void **state)
{
    (void)state;
    struct ring *ring = ring_open(8);
    uint32_t in = 0, out = 0, value;
    uint64_t seed = 3;
    for (int i = 0; i < 100000; i++) {
        for (uint64_t n = unit_random(&seed) % 9; n && in - out < 8; n--) assert_true(ring_push(ring, in++));
        assert_int_equal(in - out, ring_length(ring));
        for (uint64_t n = unit_random(&seed) % 9; n && in != out; n--) {
            assert_true(ring_pop(ring, &value));
            assert_int_equal(out++, value);
        }
    }
    ring_close(ring);
}

static void full_and_empty_are_said(void **state)
{
    static const uint32_t capacities[] = {0, 1, 2, 3, 4, 5, 100, 1024, 1025};
    (void)state;
    for (size_t row = 0; row < COUNT_OF(capacities); row++) {
        struct ring *ring = ring_open(capacities[row]);
        uint32_t held = 0, value = 77;
        assert_false(ring_pop(ring, &value));
        assert_int_equal(77, value);
        while (held < 5000 && ring_push(ring, held)) held++;
        assert_in_range(held, capacities[row], 2 * capacities[row] + 2);
        assert_false(ring_push(ring, 1));
        assert_int_equal(held, ring_length(ring));
        for (uint32_t i = 0; i < held; i++) assert_true(ring_pop(ring, &value) && value == i);
        assert_false(ring_pop(ring, &value));
        ring_close(ring);
    }
}

struct crowd {
    struct ring *ring;
    _Atomic uint8_t *seen;
    _Atomic uint32_t popped, wrong;
    int64_t deadline_ns;
};

static void push_all(struct crowd *crowd, uint32_t producer)
{
    for (uint32_t i = producer; i < ITEMS; i += SIDES)
        while (!ring_push(crowd->ring, i))
            if (unit_is_over(crowd->deadline_ns))
                return;
            else
                sched_yield();
}

static void pop_all(struct crowd *crowd)
{
    int64_t last[SIDES] = {-1, -1, -1, -1};
    while (atomic_load_explicit(&crowd->popped, memory_order_relaxed) < ITEMS && !unit_is_over(crowd->deadline_ns)) {
        uint32_t value;
        for (int i = 0; i < 64; i++) {
            if (!ring_pop(crowd->ring, &value)) {
                sched_yield();
                break;
            }
            /* each once, and one producer's in its order */
            bool is_wrong = value >= ITEMS || atomic_exchange(&crowd->seen[value % ITEMS], 1) || last[value % SIDES] >= value;
            last[value % SIDES] = value;
            atomic_fetch_add_explicit(&crowd->wrong, is_wrong, memory_order_relaxed);
            atomic_fetch_add_explicit(&crowd->popped, 1, memory_order_relaxed);
        }
    }
}

static void take_side(void *given, unsigned number)
{
    if (number < SIDES)
        push_all(given, number);
    else
        pop_all(given);
}

static void four_producers_and_four_consumers_meet_each_item_once(void **state)
{
    (void)state;
    struct crowd crowd = {
        .ring = ring_open(ROOM), .seen = calloc(ITEMS, sizeof *crowd.seen), .deadline_ns = unit_deadline_ns()};
    unit_together(2 * SIDES, take_side, &crowd);
    assert_int_equal(ITEMS, crowd.popped);
    assert_int_equal(0, crowd.wrong);
    assert_int_equal(0, ring_length(crowd.ring));
    ring_close(crowd.ring);
    free((void *)crowd.seen);
}

/* As the slots do it: as many numbers as there is room for go round and round. Whoever holds one can put it back at once, though
 * another thread may be stopped in the middle of its pop while the others go all the way round. */
enum { ROUNDS = 200000, PLACES = 4 };

static void go_round(void *given, unsigned number)
{
    struct crowd *crowd = given;
    uint32_t value;
    (void)number;
    for (int i = 0; i < ROUNDS && !unit_is_over(crowd->deadline_ns);) {
        if (!ring_pop(crowd->ring, &value)) {
            sched_yield();
            continue;
        }
        if (!ring_push(crowd->ring, value)) atomic_fetch_add(&crowd->wrong, 1);
        i++;
    }
}

static void who_holds_a_number_can_always_put_it_back(void **state)
{
    (void)state;
    struct crowd crowd = {.ring = ring_open(PLACES), .deadline_ns = unit_deadline_ns()};
    for (uint32_t i = 0; i < PLACES; i++) assert_true(ring_push(crowd.ring, i));
    unit_together(2 * SIDES, go_round, &crowd);
    assert_int_equal(0, crowd.wrong);
    assert_int_equal(PLACES, ring_length(crowd.ring));
    assert_false(ring_push(crowd.ring, 0)); /* full is still said */
    ring_close(crowd.ring);
}

static void the_oldest_is_seen_without_being_taken(void **state)
{
    (void)state;
    uint32_t value = 99;
    struct ring *ring = ring_open(4);
    assert_false(ring_peek(ring, &value));
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(ring_push(ring, 2 * i) && ring_push(ring, 2 * i + 1));
        assert_true(ring_peek(ring, &value) && value == 2 * i);
        assert_true(ring_peek(ring, &value) && value == 2 * i);
        assert_true(ring_pop(ring, &value) && value == 2 * i);
        assert_true(ring_peek(ring, &value) && value == 2 * i + 1);
        assert_true(ring_pop(ring, &value));
        assert_false(ring_peek(ring, &value));
    }
    ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out_in_order),
        cmocka_unit_test(full_and_empty_are_said),
        cmocka_unit_test(four_producers_and_four_consumers_meet_each_item_once),
        cmocka_unit_test(the_oldest_is_seen_without_being_taken),
        cmocka_unit_test(who_holds_a_number_can_always_put_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
