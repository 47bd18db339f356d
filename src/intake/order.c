/* SPDX-License-Identifier: MIT */
#include "intake/order.h"

static const int64_t lap = 1 << 20; /* a thousand weights divide it to a thousandth */

void order_open(struct order *order, const uint32_t *weights, uint32_t count)
{
    *order = (struct order){.count = count};
    for (uint32_t i = 0; i < count; i++) order->queues[i].weight = weights[i];
}

static bool may_have(const struct order_queue *queue, uint32_t in_flight)
{
    if (in_flight == ORDER_BARRED || in_flight == ORDER_CROWDED || queue->state == ORDER_DRY) return false;
    return queue->state == ORDER_FULL || in_flight == 0;
}

int order_next(const struct order *order, const uint32_t *in_flight)
{
    int next = -1;
    for (uint32_t i = 0; i < order->count; i++) {
        const struct order_queue *queue = &order->queues[i];
        if (!may_have(queue, in_flight[i])) {
            if (!queue->weight && queue->state != ORDER_DRY && in_flight[i] != ORDER_BARRED) break;
            continue;
        }
        if (next < 0 || order->queues[i].place < order->queues[next].place) next = (int)i;
    }
    return next;
}

/* Without weights all stay where they are, and the first one that has something is the next. */
static void move(struct order_queue *queue, int64_t jobs)
{
    if (queue->weight) queue->place += jobs * (lap / queue->weight);
}

void order_asks(struct order *order, uint32_t queue, uint32_t asked)
{
    struct order_queue *read = &order->queues[queue];
    if (read->place > order->place) order->place = read->place;
    move(read, asked);
}

void order_gets(struct order *order, uint32_t queue, uint32_t asked, uint32_t came, bool is_full)
{
    move(&order->queues[queue], (int64_t)came - asked);
    order->queues[queue].state = is_full ? ORDER_FULL : ORDER_DRY;
}

void order_pass_over(struct order *order, uint32_t queue)
{
    struct order_queue *passed = &order->queues[queue];
    if (passed->place < order->place) passed->place = order->place;
}

void order_stir(struct order *order, uint32_t queue)
{
    struct order_queue *stirred = &order->queues[queue];
    if (stirred->state != ORDER_DRY) return;
    stirred->state = ORDER_UNKNOWN;
    order_pass_over(order, queue);
}
