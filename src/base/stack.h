/* SPDX-License-Identifier: MIT */

/* base/stack: a lock-free stack of small numbers, each of which is in it at most once.
 * Idea       what was given back last is taken first, for its memory is still in some cache. One word says which number is on top and how
 *            many there are; a tag in it changes with every step, so that a word that was seen before is not taken for the same one.
 * Threads    push, pop, length: any · open, close: owner
 * Never      waits, allocates. */
#ifndef QUERN_BASE_STACK_H
#define QUERN_BASE_STACK_H

#include <stdbool.h>
#include <stdint.h>

enum { STACK_MAX = (1 << 20) - 1 };

struct stack;

/* For the numbers from 0 to count - 1, at most STACK_MAX of them; empty. Gives; NULL: no memory, or too many. */
struct stack *stack_open(uint32_t count);
void stack_close(struct stack *stack);
/* The number must not be inside. */
void stack_push(struct stack *stack, uint32_t number);
/* false: empty. */
bool stack_pop(struct stack *stack, uint32_t *number);
/* How many are inside. */
uint32_t stack_length(const struct stack *stack);

#endif
