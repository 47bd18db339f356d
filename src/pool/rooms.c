/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "config/policy.h"
#include "job/server.h"
#include "pool/pool.h"

enum { CHUNKS_KEPT = 128 /* 8 MiB: what a thousand jobs of 1 KiB lie in */, SLOTS_BESIDE_PREFETCH = 128 };
static const char *const roles[CONNS] = {"dispatcher", "settler", "heartbeat", "reaper"};

/* Names, unique per run: two pools of one machine, or one pool twice, are two consumers. */
static int open_names(quern_pool *pool, quern_error *err)
{
    const quern_config *config = pool->config;
    char host[65] = "host", id[UUID_SIZE];
    gethostname(host, sizeof host - 1);
    uuid_text(id);
    id[8] = 0;
    bool is_open = asprintf(&pool->consumer, "%s-%d-%s", config->consumer ? config->consumer : host, getpid(), id) >= 0;
    for (int i = 0; i < CONNS && is_open; i++)
        is_open = asprintf(&pool->conn_names[i], "quern:%s:%s", pool->consumer, roles[i]) >= 0;
    if (!is_open) return err_set(err, QUERN_E_MEMORY, "no memory for a pool");
    return QUERN_OK;
}

/* One source per queue, and what is kept for each. */
static int open_sources(quern_pool *pool, quern_error *err)
{
    int code = served_open(pool->config, &pool->served, err);
    if (code) return code;
    uint32_t count = (uint32_t)pool->served.count;
    pool->sources = calloc(count, sizeof *pool->sources);
    pool->deletes = calloc(count, sizeof *pool->deletes);
    pool->fetched = calloc(count, sizeof *pool->fetched);
    if (!pool->sources || !pool->deletes || !pool->fetched) return err_set(err, QUERN_E_MEMORY, "no memory for a pool");
    for (; pool->source_count < count && !code; pool->source_count++) {
        const quern_config *own = pool->served.at[pool->source_count];
        struct source *source = &pool->sources[pool->source_count];
        code = source_open(source, own->stream, own->group, own->dead_letter_stream, err);
        source->config = own;
    }
    return code;
}

static int open_wakers(quern_pool *pool, quern_error *err)
{
    struct waker *wakers[] = {&pool->dispatcher_waker, &pool->reaper_waker, &pool->heartbeat_waker, &pool->ended_waker};
    for (size_t i = 0; i < COUNT_OF(wakers); i++)
        if (waker_open(wakers[i]))
            return err_set(err, QUERN_E_MEMORY, "no file descriptor for a pool: is there a limit on open files?");
    return QUERN_OK;
}

/* max_running is of a handler whichever queue its jobs come from: it is the same in each of its policies. false: no memory. */
static bool setup_cap(struct caps *caps, struct handler_setup *setup)
{
    int64_t max_running = setup->policies[0].max_running;
    setup->cap = max_running ? caps_get(caps, setup->handler->event) : NULL;
    return setup->cap || !max_running;
}

static void set_caps(struct caps *caps, const struct registry_setup *setup)
{
    for (uint32_t i = 0; i < setup->count; i++)
        caps_set(caps, setup->handlers[i].handler->event, (uint32_t)setup->handlers[i].policies[0].max_running);
}

/* false: no memory. */
static bool setup_lines(struct bill *bill, struct handler_setup *setups, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(setups[i].line = bill_line(bill, setups[i].handler->event))) return false;
    return true;
}

/* A policy per queue. */
static int read_policies(const struct served *served, const char *own, struct policy *policies, quern_error *err)
{
    int code = QUERN_OK;
    for (size_t i = 0; i < served->count && !code; i++) code = policy_read(served->at[i], own, &policies[i], err);
    return code;
}

/* What the registry is made of; room for all of it was made. */
static int setup_registry(struct caps *caps, const struct config_handlers *handlers, const struct served *served,
                          struct handler_setup *setups, struct policy *policies, int *unhandled, quern_error *err)
{
    size_t queues = served->count;
    int code = read_policies(served, NULL, policies + handlers->count * queues, err);
    for (size_t i = 0; i < queues; i++) unhandled[i] = served->at[i]->unhandled;
    for (size_t i = 0; i < handlers->count && !code; i++) {
        setups[i] = (struct handler_setup){.handler = &handlers->at[i], .policies = policies + i * queues};
        code = read_policies(served, handlers->at[i].policy, policies + i * queues, err);
        if (!code && !setup_cap(caps, &setups[i])) code = err_set(err, QUERN_E_MEMORY, "no memory for the handlers");
    }
    return code;
}

int rooms_registry(struct caps *caps, struct bill *bill, const quern_config *config,
                   bool (*use)(void *user, const struct registry_setup *setup), void *user, quern_error *err)
{
    const struct config_handlers *handlers = &config->handlers;
    struct served served;
    int code = served_open(config, &served, err);
    if (code) return code;
    size_t queues = served.count;
    struct handler_setup *setups = calloc(handlers->count, sizeof *setups);
    struct policy *policies = calloc((handlers->count + 1) * queues, sizeof *policies);
    int *unhandled = calloc(queues, sizeof *unhandled);
    struct registry_setup setup = {setups, (uint32_t)handlers->count, (uint32_t)queues, NULL, unhandled};
    bool has_room = setups && policies && unhandled;
    if (has_room) setup.policies = policies + handlers->count * queues;
    code = has_room ? setup_registry(caps, handlers, &served, setups, policies, unhandled, err)
                    : err_set(err, QUERN_E_MEMORY, "no memory for the handlers");
    if (!code && !setup_lines(bill, setups, handlers->count)) code = err_set(err, QUERN_E_MEMORY, "no memory for the handlers");
    bool is_used = !code && use(user, &setup);
    if (is_used) set_caps(caps, &setup);
    free(setups);
    free(policies);
    free(unhandled);
    served_close(&served);
    return code ? code : is_used ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the handlers");
}

static bool open_registry(void *given, const struct registry_setup *setup)
{
    quern_pool *pool = given;
    return (pool->registry = registry_open(setup)) != NULL;
}

static int open_notices(quern_pool *pool, quern_error *err)
{
    const quern_config *config = pool->config;
    pool->notices = notices_open(&(struct notices_options){.observed = config->observed,
                                                           .observer = config->observer,
                                                           .observer_user = config->observer_user,
                                                           .logger = config->logger,
                                                           .logger_user = config->logger_user});
    if (!pool->notices) return err_set(err, QUERN_E_MEMORY, "no memory or no thread for the notices");
    pool->log = log_open(&(struct log_options){.level = (enum log_level)config->log_level,
                                               .format = (enum log_format)config->log_format,
                                               .sink = notices_line,
                                               .user = pool->notices});
    pool->outage.log = pool->log;
    pool->outage.notices = pool->notices;
    return pool->log ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the log");
}

static int open_queues(quern_pool *pool, quern_error *err)
{
    uint32_t slots = (uint32_t)pool->config->prefetch_max + SLOTS_BESIDE_PREFETCH;
    pool->chunks = chunk_pool_open(CHUNKS_KEPT);
    pool->slots = slots_open(slots, &pool->drain_ns);
    pool->ready = ready_open(slots, &pool->dispatcher_waker);
    pool->done = done_open();
    pool->orders = orders_open(pool->source_count);
    pool->bill = bill_open();
    if (pool->ready && pool->done) pool->caps = caps_open(pool->ready, pool->done);
    if (pool->ready && pool->done) pool->keys = keys_open(slots, pool->ready, pool->done);
    if (!pool->chunks || !pool->slots || !pool->ready || !pool->done || !pool->caps || !pool->keys || !pool->orders ||
        !pool->bill)
        return err_set(err, QUERN_E_MEMORY, "no memory for a pool");
    slots_set_owner(pool->slots, pool->consumer, pool->sources, pool->config->depth_max);
    return rooms_registry(pool->caps, pool->bill, pool->config, open_registry, pool, err);
}

/* What runs is written where a journal is kept, else in memory. false: no memory. */
static bool open_board(quern_pool *pool)
{
    struct journal *journal = pool->journal;
    if (!journal && !(pool->board = board_open(slots_count(pool->slots)))) return false;
    struct board_place *first = journal ? &journal->records->board : pool->board;
    slots_set_board(pool->slots, first, journal ? sizeof *journal->records : sizeof *pool->board);
    return true;
}

int rooms_crew(quern_pool *pool, quern_error *err)
{
    if (!open_board(pool)) return err_set(err, QUERN_E_MEMORY, "no memory for the jobs that run");
    pool->crew = crew_open(&(struct worker_needs){
        .ready = pool->ready,
        .done = pool->done,
        .slots = pool->slots,
        .registry = pool->registry,
        .log = pool->log,
        .journal = pool->journal,
        .gate = &pool->gate,
        .orders = pool->orders,
        .pull = &pool->pull,
        .is_stopping = &pool->is_stopping,
        .lease_ns = pool->config->lease_ms * NS_PER_MS,
        .hooks_crashes = pool->config->crash_hook,
    });
    return pool->crew ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the workers");
}

int rooms_open(quern_pool *pool, quern_error *err)
{
    pull_open(&pool->pull);
    int code = open_names(pool, err);
    if (!code) code = open_sources(pool, err);
    if (!code) code = server_url(&pool->url, pool->config, pool->sources[0].stream, err);
    if (!code) code = open_wakers(pool, err);
    if (!code) code = open_notices(pool, err);
    if (!code) code = open_queues(pool, err);
    return code;
}

void rooms_close(quern_pool *pool)
{
    notices_close(pool->notices);
    pull_close(&pool->pull);
    caps_free(pool->caps);
    keys_free(pool->keys);
    orders_free(pool->orders);
    bill_free(pool->bill);
    journal_close(pool->journal);
    crew_free(pool->crew);
    registry_close(pool->registry);
    ready_free(pool->ready);
    done_free(pool->done);
    slots_close(pool->slots);
    free(pool->board);
    chunk_pool_close(pool->chunks);
    log_close(pool->log);
    waker_close(&pool->dispatcher_waker);
    waker_close(&pool->reaper_waker);
    waker_close(&pool->heartbeat_waker);
    waker_close(&pool->ended_waker);
    for (int i = 0; i < CONNS; i++) free(pool->conn_names[i]);
    free(pool->consumer);
    for (uint32_t i = 0; i < pool->source_count; i++) source_close(&pool->sources[i]);
    free(pool->sources);
    free(pool->deletes);
    free(pool->fetched);
    served_close(&pool->served);
    url_free(&pool->url);
    quern_config_free(pool->config);
    pthread_mutex_destroy(&pool->join_lock);
    pthread_mutex_destroy(&pool->reload_lock);
    free(pool);
}
