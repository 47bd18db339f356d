/* SPDX-License-Identifier: MIT */

/* queue/orders: what operators have ordered for a group, as far as this process has heard: events that are paused, jobs that are
 * cancelled.
 * Idea       Redis keeps the orders; the reaper reads them twice a second, and leaves here what it has read. A worker asks before it
 *            starts a job, which costs one load where there are none.
 * Invariant  a cancellation is for jobs that came into their stream before it: what is published or replayed later under the same id is
 *            not meant.
 * Threads    set: reaper · the rest: any. One lock, a leaf, for where there are orders. None waits. */
#ifndef QUERN_QUEUE_ORDERS_H
#define QUERN_QUEUE_ORDERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct orders;
struct quern_job;

/* A job that is cancelled: its identity (job/slot), and until when it must have come. */
struct cancelled {
    uint64_t identity;
    int64_t until_ms; /* Unix */
};

/* For so many queues. Gives; NULL: no memory. */
struct orders *orders_open(uint32_t queues);
void orders_free(struct orders *orders);

/* In place of what was known of a queue: takes events (a list of texts, NULL behind the last; "*": all of them) or list. */
void orders_set_paused(struct orders *orders, uint32_t queue, char **events);
void orders_set_cancelled(struct orders *orders, uint32_t queue, struct cancelled *list, uint32_t count);

/* Is there any? One load. */
bool orders_concern(const struct orders *orders);
/* All events of the queue are paused. One load. */
bool orders_hold(const struct orders *orders, uint32_t queue);
bool orders_is_paused(struct orders *orders, uint32_t queue, quern_bytes event);
bool orders_is_cancelled(struct orders *orders, uint32_t queue, uint64_t identity, int64_t born_ms);

#endif
