/* SPDX-License-Identifier: MIT */
#include "base/stack.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The word: tag · how many · the top's number + 1, or 0. The tag comes round after 2^24 steps, all of which would have to fit between a
 * load and its compare-and-swap. */
enum { BITS = 20 };

struct stack {
    _Alignas(64) _Atomic uint64_t word;
    _Alignas(64) _Atomic uint32_t below[]; /* per number: the one it lies on + 1, or 0 */
};

static uint32_t top_of(uint64_t word)
{
    return (uint32_t)word & STACK_MAX;
}

static uint32_t length_of(uint64_t word)
{
    return (uint32_t)(word >> BITS) & STACK_MAX;
}

static uint64_t next_word(uint64_t word, uint32_t length, uint32_t top)
{
    uint64_t tag = (word >> 2 * BITS) + 1;
    return tag << 2 * BITS | (uint64_t)length << BITS | top;
}

struct stack *stack_open(uint32_t count)
{
    if (count > STACK_MAX) return NULL;
    size_t size = (sizeof(struct stack) + count * sizeof(uint32_t) + 63) / 64 * 64;
    struct stack *stack = aligned_alloc(64, size);
    if (!stack) return NULL;
    atomic_init(&stack->word, 0);
    for (uint32_t i = 0; i < count; i++) atomic_init(&stack->below[i], 0);
    return stack;
}

void stack_close(struct stack *stack)
{
    free(stack);
}

void stack_push(struct stack *stack, uint32_t number)
{
    uint64_t word = atomic_load_explicit(&stack->word, memory_order_relaxed), next;
    do {
        atomic_store_explicit(&stack->below[number], top_of(word), memory_order_relaxed);
        next = next_word(word, length_of(word) + 1, number + 1);
        /* release: what lies below, and all that its owner did with it, comes first; pairs with stack_pop() */
    } while (!atomic_compare_exchange_weak_explicit(&stack->word, &word, next, memory_order_release, memory_order_relaxed));
}

bool stack_pop(struct stack *stack, uint32_t *number)
{
    uint64_t word = atomic_load_explicit(&stack->word, memory_order_acquire), next;
    do {
        if (!top_of(word)) return false;
        /* If somebody else takes it meanwhile, this may be another's by now: then the tag has changed. */
        uint32_t below = atomic_load_explicit(&stack->below[top_of(word) - 1], memory_order_relaxed);
        next = next_word(word, length_of(word) - 1, below);
    } while (!atomic_compare_exchange_weak_explicit(&stack->word, &word, next, memory_order_acquire, memory_order_acquire));
    *number = top_of(word) - 1;
    return true;
}

uint32_t stack_length(const struct stack *stack)
{
    return length_of(atomic_load_explicit(&stack->word, memory_order_relaxed));
}
