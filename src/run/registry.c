/* SPDX-License-Identifier: MIT */
#include "run/registry.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-memb.h>

#include "base/bytes.h"
#include "base/tsan.h"

struct table {
    _Atomic uint32_t holders; /* the registry, and each worker that uses it */
    uint32_t count, mask;
    uint32_t queues;
    struct policy *policies; /* a row of them per handler, then one for jobs without a handler */
    int *unhandled;          /* per queue */
    int32_t any;             /* index of the handler for "*", or -1 */
    int32_t *buckets;        /* mask + 1 indices, -1: empty; open addressing */
    struct handler at[];
};

struct registry {
    struct table *current; /* RCU */
};

static void table_free(struct table *table)
{
    if (!table) return;
    for (uint32_t i = 0; i < table->count; i++) free((char *)(uintptr_t)table->at[i].is.event);
    free(table->buckets);
    free(table->policies);
    free(table->unhandled);
    free(table);
}

static void bucket_add(struct table *table, uint32_t index)
{
    uint32_t at = (uint32_t)bytes_hash(table->at[index].event) & table->mask;
    while (table->buckets[at] >= 0) at = (at + 1) & table->mask;
    table->buckets[at] = (int32_t)index;
}

static const struct policy *fill_row(struct table *table, uint32_t row, const struct policy *policies)
{
    return memcpy(table->policies + row * table->queues, policies, table->queues * sizeof *policies);
}

static bool table_fill(struct table *table, const struct handler_setup *setups, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct handler *handler = &table->at[i];
        handler->is = *setups[i].handler;
        handler->is.policy = NULL; /* read already */
        handler->is.event = strdup(setups[i].handler->event);
        handler->index = i;
        handler->policies = fill_row(table, i, setups[i].policies);
        handler->cap = setups[i].cap;
        handler->line = setups[i].line;
        atomic_init(&handler->mean_ns, 0);
        table->count = i + 1;
        if (!handler->is.event) return false;
        handler->event = bytes_of(handler->is.event);
        if (bytes_is(handler->event, "*"))
            table->any = (int32_t)i; /* no event is called that: it is not looked up */
        else
            bucket_add(table, i);
    }
    return true;
}

static struct table *table_make(const struct registry_setup *setup)
{
    size_t size = sizeof(struct table) + setup->count * sizeof(struct handler); /* whole cache lines, as a handler is */
    struct table *table = aligned_alloc(_Alignof(struct table), size);
    if (!table) return NULL;
    memset(table, 0, size);
    uint32_t buckets = 4, queues = setup->queues;
    while (buckets < 2 * setup->count) buckets *= 2;
    table->queues = queues;
    table->policies = calloc((setup->count + 1) * queues, sizeof *table->policies);
    table->unhandled = calloc(queues, sizeof *table->unhandled);
    table->mask = buckets - 1;
    table->any = -1;
    atomic_init(&table->holders, 1);
    table->buckets = malloc(buckets * sizeof *table->buckets);
    if (table->buckets) memset(table->buckets, 0xff, buckets * sizeof *table->buckets);
    bool has_room = table->buckets && table->policies && table->unhandled;
    if (has_room && table_fill(table, setup->handlers, setup->count)) {
        fill_row(table, setup->count, setup->policies);
        memcpy(table->unhandled, setup->unhandled, queues * sizeof *setup->unhandled);
        return table;
    }
    table_free(table);
    return NULL;
}

struct registry *registry_open(const struct registry_setup *setup)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (!registry) return NULL;
    if (!(registry->current = table_make(setup))) return free(registry), NULL;
    return registry;
}

void registry_drop(struct table *held)
{
    if (held && atomic_fetch_sub_explicit(&held->holders, 1, memory_order_acq_rel) == 1) table_free(held);
}

void registry_close(struct registry *registry)
{
    if (!registry) return;
    registry_drop(registry->current);
    free(registry);
}

bool registry_replace(struct registry *registry, const struct registry_setup *setup)
{
    struct table *table = table_make(setup), *old = registry->current;
    if (!table) return false;
    TSAN_PUBLISHES(table);
    rcu_assign_pointer(registry->current, table);
    urcu_memb_synchronize_rcu(); /* who has read the old pointer has counted itself by now */
    registry_drop(old);
    return true;
}

void registry_thread_begin(void)
{
    urcu_memb_register_thread();
}

void registry_thread_end(void)
{
    urcu_memb_unregister_thread();
}

bool registry_hold(struct registry *registry, struct table **held, struct table **old)
{
    struct table *now = __atomic_load_n(&registry->current, __ATOMIC_ACQUIRE);
    if (now == *held) return false; /* the usual case: ours is counted, so this address cannot be another table's */
    urcu_memb_read_lock();
    now = rcu_dereference(registry->current);
    TSAN_SEES(now);
    atomic_fetch_add_explicit(&now->holders, 1, memory_order_relaxed);
    urcu_memb_read_unlock();
    *old = *held;
    *held = now;
    return true;
}

bool registry_is_current(const struct registry *registry, const struct table *held)
{
    return __atomic_load_n(&registry->current, __ATOMIC_ACQUIRE) == held;
}

uint32_t table_count(const struct table *table)
{
    return table->count;
}

struct handler *table_at(struct table *table, uint32_t index)
{
    return &table->at[index];
}

struct handler *table_find(struct table *table, quern_bytes event)
{
    for (uint32_t at = (uint32_t)bytes_hash(event) & table->mask; table->buckets[at] >= 0; at = (at + 1) & table->mask) {
        struct handler *handler = &table->at[table->buckets[at]];
        if (bytes_equal(event, handler->event)) return handler;
    }
    return table->any >= 0 ? &table->at[table->any] : NULL;
}

const struct policy *table_policy(const struct table *table, uint32_t queue, int *unhandled)
{
    *unhandled = table->unhandled[queue];
    return &table->policies[table->count * table->queues + queue];
}

/* Whoever takes a microsecond is asked now and then: were it each time, the workers would do little but pass that word from one to
 * the other. */
void handler_took(struct handler *handler, int64_t ns, uint64_t turn)
{
    enum { SHORT_NS = 20000, EACH = 16 };
    int64_t mean_ns = atomic_load_explicit(&handler->mean_ns, memory_order_relaxed);
    if (mean_ns && mean_ns < SHORT_NS && ns < SHORT_NS && turn % EACH) return;
    /* Two workers may overwrite each other's step: it is a mean, and the next step mends it. */
    mean_ns = mean_ns ? mean_ns + (ns - mean_ns) / 8 : ns;
    atomic_store_explicit(&handler->mean_ns, mean_ns > 0 ? mean_ns : 1, memory_order_relaxed);
}
