/* SPDX-License-Identifier: MIT */
#include "queue/orders.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* Of one queue. */
struct order {
    char **events;               /* NULL: none */
    struct cancelled *cancelled; /* by identity */
    uint32_t cancelled_count;
    _Atomic bool holds_all;
};

struct orders {
    pthread_mutex_t lock; /* guards the lists */
    _Atomic bool has_any;
    uint32_t count;
    struct order at[];
};

struct orders *orders_open(uint32_t queues)
{
    struct orders *orders = calloc(1, sizeof *orders + queues * sizeof *orders->at);
    if (!orders) return NULL;
    orders->count = queues;
    pthread_mutex_init(&orders->lock, NULL);
    return orders;
}

static void free_texts(char **texts)
{
    for (char **text = texts; text && *text; text++) free(*text);
    free(texts);
}

void orders_free(struct orders *orders)
{
    if (!orders) return;
    for (uint32_t i = 0; i < orders->count; i++) {
        free_texts(orders->at[i].events);
        free(orders->at[i].cancelled);
    }
    pthread_mutex_destroy(&orders->lock);
    free(orders);
}

/* Under the lock. */
static void look(struct orders *orders)
{
    bool has_any = false;
    for (uint32_t i = 0; i < orders->count; i++)
        has_any |= orders->at[i].cancelled_count > 0 || (orders->at[i].events && orders->at[i].events[0]);
    atomic_store(&orders->has_any, has_any);
}

static bool has_event(char *const *events, quern_bytes event)
{
    for (; events && *events; events++)
        if (bytes_is(event, *events)) return true;
    return false;
}

void orders_set_paused(struct orders *orders, uint32_t queue, char **events)
{
    struct order *order = &orders->at[queue];
    pthread_mutex_lock(&orders->lock);
    char **old = order->events;
    order->events = events;
    atomic_store(&order->holds_all, has_event(events, bytes_of("*")));
    look(orders);
    pthread_mutex_unlock(&orders->lock);
    free_texts(old);
}

static int compare(const void *left, const void *right)
{
    const struct cancelled *a = left, *b = right;
    return a->identity < b->identity ? -1 : a->identity > b->identity;
}

void orders_set_cancelled(struct orders *orders, uint32_t queue, struct cancelled *list, uint32_t count)
{
    struct order *order = &orders->at[queue];
    if (count) qsort(list, count, sizeof *list, compare);
    pthread_mutex_lock(&orders->lock);
    struct cancelled *old = order->cancelled;
    order->cancelled = list;
    order->cancelled_count = count;
    look(orders);
    pthread_mutex_unlock(&orders->lock);
    free(old);
}

bool orders_concern(const struct orders *orders)
{
    return atomic_load_explicit(&orders->has_any, memory_order_relaxed);
}

bool orders_hold(const struct orders *orders, uint32_t queue)
{
    return atomic_load_explicit(&orders->at[queue].holds_all, memory_order_relaxed);
}

bool orders_is_paused(struct orders *orders, uint32_t queue, quern_bytes event)
{
    struct order *order = &orders->at[queue];
    pthread_mutex_lock(&orders->lock);
    bool is_paused = atomic_load(&order->holds_all) || has_event(order->events, event);
    pthread_mutex_unlock(&orders->lock);
    return is_paused;
}

bool orders_is_cancelled(struct orders *orders, uint32_t queue, uint64_t identity, int64_t born_ms)
{
    const struct cancelled wanted = {.identity = identity};
    struct order *order = &orders->at[queue];
    pthread_mutex_lock(&orders->lock);
    const struct cancelled *found =
        order->cancelled_count ? bsearch(&wanted, order->cancelled, order->cancelled_count, sizeof wanted, compare) : NULL;
    bool is_cancelled = found && born_ms <= found->until_ms;
    pthread_mutex_unlock(&orders->lock);
    return is_cancelled;
}
