/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "config/policy.h"
#include "pool/pool.h"

enum { CHUNKS_KEPT = 32, SLOTS_BESIDE_PREFETCH = 128 };
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
    int code = source_open(&pool->source, config->stream, config->group, config->dead_letter_stream, err);
    return code ? code : url_read(&pool->url, config->redis, err);
}

static int open_wakers(quern_pool *pool, quern_error *err)
{
    struct waker *wakers[] = {&pool->dispatcher_waker, &pool->reaper_waker, &pool->heartbeat_waker, &pool->ended_waker};
    for (size_t i = 0; i < COUNT_OF(wakers); i++)
        if (waker_open(wakers[i]))
            return err_set(err, QUERN_E_MEMORY, "no file descriptor for a pool: is there a limit on open files?");
    return QUERN_OK;
}

/* false: no memory. */
static bool setup_cap(struct caps *caps, struct handler_setup *setup)
{
    setup->cap = setup->policy.max_running ? caps_get(caps, setup->handler->event) : NULL;
    return setup->cap || !setup->policy.max_running;
}

static void set_caps(struct caps *caps, const struct registry_setup *setup)
{
    for (uint32_t i = 0; i < setup->count; i++)
        caps_set(caps, setup->handlers[i].handler->event, (uint32_t)setup->handlers[i].policy.max_running);
}

int rooms_registry(struct caps *caps, const quern_config *config, bool (*use)(void *user, const struct registry_setup *setup), void *user,
                   quern_error *err)
{
    const struct config_handlers *handlers = &config->handlers;
    struct handler_setup *setups = calloc(handlers->count, sizeof *setups);
    struct registry_setup setup = {setups, (uint32_t)handlers->count, {0}, config->unhandled};
    int code = setups ? policy_read(config, NULL, &setup.policy, err) : QUERN_E_MEMORY;
    for (size_t i = 0; i < handlers->count && !code; i++) {
        setups[i].handler = &handlers->at[i];
        code = policy_read(config, handlers->at[i].policy, &setups[i].policy, err);
        if (!code && !setup_cap(caps, &setups[i])) code = err_set(err, QUERN_E_MEMORY, "no memory for the handlers");
    }
    bool is_used = !code && use(user, &setup);
    if (is_used) set_caps(caps, &setup);
    free(setups);
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
    if (pool->ready && pool->done) pool->caps = caps_open(pool->ready, pool->done);
    if (!pool->chunks || !pool->slots || !pool->ready || !pool->done || !pool->caps)
        return err_set(err, QUERN_E_MEMORY, "no memory for a pool");
    slots_set_owner(pool->slots, pool->consumer, pool->config->depth_max);
    return rooms_registry(pool->caps, pool->config, open_registry, pool, err);
}

int rooms_crew(quern_pool *pool, quern_error *err)
{
    pool->crew = crew_open(&(struct worker_needs){
        .ready = pool->ready,
        .done = pool->done,
        .slots = pool->slots,
        .registry = pool->registry,
        .log = pool->log,
        .journal = pool->journal,
        .gate = &pool->gate,
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
    journal_close(pool->journal);
    crew_free(pool->crew);
    registry_close(pool->registry);
    ready_free(pool->ready);
    done_free(pool->done);
    slots_close(pool->slots);
    chunk_pool_close(pool->chunks);
    log_close(pool->log);
    waker_close(&pool->dispatcher_waker);
    waker_close(&pool->reaper_waker);
    waker_close(&pool->heartbeat_waker);
    waker_close(&pool->ended_waker);
    for (int i = 0; i < CONNS; i++) free(pool->conn_names[i]);
    free(pool->consumer);
    source_close(&pool->source);
    url_free(&pool->url);
    quern_config_free(pool->config);
    pthread_mutex_destroy(&pool->join_lock);
    pthread_mutex_destroy(&pool->reload_lock);
    free(pool);
}
