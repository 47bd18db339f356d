/* SPDX-License-Identifier: MIT */

/* intake/order: which of a pool's queues is read next. Pure functions of what was asked and what came.
 * Idea       without weights the first one that may have something. With weights stride scheduling: each queue has a place, the one
 *            furthest back is read, and what it was asked for moves it on by its share. One that was empty joins where the others are:
 *            it has saved nothing up, and no queue that has jobs is ever left out.
 *
 *                 DRY ──(something came from another queue, or time has passed)──▶ UNKNOWN ──a read──▶ FULL or DRY
 *
 * Threads    dispatcher. */
#ifndef QUERN_INTAKE_ORDER_H
#define QUERN_INTAKE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

enum { QUEUES_MAX = 32 };

enum order_state {
    ORDER_DRY,     /* it had less than was asked for, the last time */
    ORDER_UNKNOWN, /* the same, but that is some time ago */
    ORDER_FULL     /* it had as much */
};

struct order_queue {
    enum order_state state;
    uint32_t weight; /* 0: all have none */
    int64_t place;
};

struct order {
    uint32_t count;
    int64_t place; /* of the one that was read last */
    struct order_queue queues[QUEUES_MAX];
};

/* All are dry. */
void order_open(struct order *order, const uint32_t *weights, uint32_t count);

/* in_flight: per queue, how many reads of it are not answered yet; ORDER_BARRED: it cannot be read now; ORDER_CROWDED: not before one of
 * those that are under way is answered. One of which it is not known whether it has anything is not read twice at a time. Without weights
 * those behind one that is crowded or not known wait for the answer, unless it is dry. -1: none. */
enum { ORDER_BARRED = INT32_MAX, ORDER_CROWDED = INT32_MAX - 1 };
int order_next(const struct order *order, const uint32_t *in_flight);

/* It is asked for so many; so many came. */
void order_asks(struct order *order, uint32_t queue, uint32_t asked);
void order_gets(struct order *order, uint32_t queue, uint32_t asked, uint32_t came, bool is_full);
/* It cannot be read for now, whatever it has: when it can be, it joins where the others are. */
void order_pass_over(struct order *order, uint32_t queue);
/* It may have something by now. */
void order_stir(struct order *order, uint32_t queue);

#endif
