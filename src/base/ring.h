/* SPDX-License-Identifier: MIT */

/* base/ring: a bounded lock-free queue of small numbers.
 * Idea       each cell carries a sequence number that says whose turn it is: a push may take cell i when its number is i, a pop
 *            when it is i + 1. Producers race for the tail, consumers for the head, by compare-and-swap.
 *
 *                cell     0        1        2        3          push: CAS tail 2 → 3, write value, number 2 → 3
 *                number   4(empty) 2(full)  2(empty) 3(empty)   pop:  CAS head 1 → 2, read value, number 2 → 1 + 4
 *                                  ▲ head   ▲ tail
 *
 * Threads    push, pop, length: any · open, close: owner
 * What can   a producer that is stopped between taking a cell and numbering it makes the ring look empty from there on, until it
 * go wrong   goes on; nothing is lost and nobody spins on it. A consumer that is stopped there bars its cell: a push that comes
 *            round to it lets others run until it goes on; anything else would lose what is pushed, since there is room.
 * Never      waits otherwise, allocates. */
#ifndef QUERN_BASE_RING_H
#define QUERN_BASE_RING_H

#include <stdbool.h>
#include <stdint.h>

struct ring;

/* Room for at least capacity numbers. Gives; NULL: no memory. */
struct ring *ring_open(uint32_t capacity);
void ring_close(struct ring *ring);
/* false: full. */
bool ring_push(struct ring *ring, uint32_t value);
/* false: empty. */
bool ring_pop(struct ring *ring, uint32_t *value);
/* The oldest number inside, or one that was by the time it is looked at. */
bool ring_peek(const struct ring *ring, uint32_t *value);
/* How many are inside; exact only while nobody pushes or pops. */
uint32_t ring_length(const struct ring *ring);

#endif
