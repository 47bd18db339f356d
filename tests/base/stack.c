/* SPDX-License-Identifier: MIT */
#include "base/stack.h"

#include <stdatomic.h>

#include "support/unit.h"

enum { SIDES = 4, NUMBERS = 256, ROUNDS = 300000 };

static void the_last_in_is_the_first_out(void **state)
{
    (void)state;
    struct stack *stack = stack_open(NUMBERS);
    uint32_t inside[NUMBERS], count = 0, out[NUMBERS], out_count = 0, number = 0;
    uint64_t seed = 8;
    assert_false(stack_pop(stack, &number));
    for (uint32_t i = 0; i < NUMBERS; i++) out[out_count++] = i;
    for (int i = 0; i < 200000; i++) {
        if (out_count && unit_random(&seed) % 2) {
            uint32_t at = (uint32_t)(unit_random(&seed) % out_count);
            number = inside[count++] = out[at];
            out[at] = out[--out_count];
            stack_push(stack, number);
        } else if (count) {
            assert_true(stack_pop(stack, &number));
            assert_int_equal(inside[--count], number);
            out[out_count++] = number;
        }
        assert_int_equal(count, stack_length(stack));
    }
    stack_close(stack);
}

static void too_many_are_refused(void **state)
{
    (void)state;
    assert_null(stack_open(STACK_MAX + 1));
    struct stack *stack = stack_open(STACK_MAX);
    uint32_t number;
    assert_non_null(stack);
    stack_push(stack, STACK_MAX - 1);
    assert_true(stack_pop(stack, &number) && number == STACK_MAX - 1);
    assert_false(stack_pop(stack, &number));
    stack_close(stack);
}

struct crowd {
    struct stack *stack;
    _Atomic uint32_t holders[NUMBERS], wrong;
    uint32_t plain[NUMBERS]; /* whoever holds a number writes here: the sanitizer sees if two do */
};

/* Takes some, keeps each for a moment, gives them back in another order. */
static void take_and_give_back(void *given, unsigned side)
{
    struct crowd *crowd = given;
    uint64_t seed = side + 1;
    for (int i = 0; i < ROUNDS / SIDES; i++) {
        uint32_t held[8], count = 0;
        for (uint64_t n = 1 + unit_random(&seed) % 8; n && stack_pop(crowd->stack, &held[count]); n--) count++;
        for (uint32_t h = 0; h < count; h++) {
            if (atomic_fetch_add(&crowd->holders[held[h]], 1)) atomic_fetch_add(&crowd->wrong, 1);
            crowd->plain[held[h]]++;
        }
        for (uint32_t h = 0; h < count; h++) {
            atomic_fetch_sub(&crowd->holders[held[h]], 1);
            stack_push(crowd->stack, held[h]);
        }
    }
}

static void each_number_has_one_holder(void **state)
{
    (void)state;
    struct crowd crowd = {.stack = stack_open(NUMBERS)};
    for (uint32_t i = 0; i < NUMBERS; i++) stack_push(crowd.stack, i);
    unit_together(SIDES, take_and_give_back, &crowd);
    assert_int_equal(0, crowd.wrong);
    assert_int_equal(NUMBERS, stack_length(crowd.stack));
    bool seen[NUMBERS] = {false};
    for (uint32_t number; stack_pop(crowd.stack, &number); seen[number] = true) assert_false(seen[number]);
    for (uint32_t i = 0; i < NUMBERS; i++) assert_true(seen[i]);
    stack_close(crowd.stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_in_is_the_first_out),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(each_number_has_one_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
