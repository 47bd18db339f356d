/* SPDX-License-Identifier: MIT */

/* pool/reload: another configuration for a pool that runs.
 * Idea       what may differ is not kept in the pool's config, which stays that of its start, but lives where it is used: policies,
 *            handlers and what becomes of unhandled jobs in the registry (RCU), threads in the crew, the log's level and drain_ms as
 *            atomics. So nobody reads a config that changes.
 * Order      what can be refused, then what can fail, then what cannot: a reload that fails leaves everything as it was. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/differences.h"
#include "pool/pool.h"
#include "run/cores.h"

static bool replace(void *registry, const struct registry_setup *setup)
{
    return registry_replace(registry, setup);
}

/* Threads are made before the handlers change and leave after it: making them may fail, leaving cannot. (A pool that begins to
 * stop meanwhile takes no threads any more; it does not matter how many it has.) */
static int change(quern_pool *pool, const quern_config *config, quern_error *err)
{
    struct crew_sums sums;
    crew_read(pool->crew, &sums);
    uint32_t before = sums.threads, threads = config->threads ? config->threads : cores_usable();
    int code = threads > before ? crew_set(pool->crew, threads, err) : QUERN_OK;
    if (!code) code = rooms_registry(pool->caps, pool->bill, config, replace, pool->registry, err);
    uint32_t after = code ? before : threads;
    int leaving = code || threads < before ? crew_set(pool->crew, after, NULL) : QUERN_OK;
    (void)leaving;
    return code;
}

static void tell(quern_pool *pool, const quern_config *config)
{
    struct crew_sums sums;
    crew_read(pool->crew, &sums);
    ready_wake_all(pool->ready); /* who is idle closes what the old handlers have opened on its thread */
    waker_wake(&pool->dispatcher_waker);
    pull_wake(&pool->pull);
    log_event(pool->log, LOG_INFO, "reloaded", LOG_INT("handlers", config->handlers.count), LOG_INT("threads", sums.threads));
}

/* Under the lock. */
static int reload(quern_pool *pool, const quern_config *config, quern_error *err)
{
    if (atomic_load(&pool->is_stopping)) return err_set(err, QUERN_E_GONE, "the pool is stopping");
    int code = config_differences(pool->config, config, err);
    if (!code && config->queues.count && config->stream_is_given != pool->config->stream_is_given)
        code = err_set(err, QUERN_E_CONFIG, "stream: %s, where queues are given, is another set of queues; a restart is needed",
                       config->stream_is_given ? "set now" : "not set any more");
    if (!code) code = change(pool, config, err);
    if (code) return code;
    log_set_level(pool->log, (enum log_level)config->log_level);
    atomic_store(&pool->drain_ms, config->drain_ms);
    tell(pool, config);
    return QUERN_OK;
}

int quern_pool_reload(quern_pool *pool, const quern_config *config, quern_error *error)
{
    if (!pool) return err_set(error, QUERN_E_ARGUMENT, "no pool was given");
    int code = pool_check(config, error);
    if (code) return code;
    pthread_mutex_lock(&pool->reload_lock);
    code = reload(pool, config, error);
    pthread_mutex_unlock(&pool->reload_lock);
    return code;
}
