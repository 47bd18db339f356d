/* SPDX-License-Identifier: MIT */

/* The public calls on a pool; the map of the house is in pool/pool.h. */
#include "pool/pool.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "blame/journal.h"
#include "inspect/advice.h"
#include "inspect/health.h"
#include "inspect/stats.h"

enum { FINISH_ERROR_MAX = 1000 };

int pool_check(const quern_config *config, quern_error *err)
{
    if (!config) return err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (!config->redis) return err_set(err, QUERN_E_CONFIG, "redis: not set; right would be redis://host:6379 or unix:///path");
    if (!config->handlers.count)
        return err_set(err, QUERN_E_CONFIG, "no handler: name at least one event with quern_config_on()");
    return config_check(config, err);
}

static int pool_open(quern_pool *pool, const quern_config *config, quern_error *err)
{
    if (!(pool->config = config_copy(config))) return err_set(err, QUERN_E_MEMORY, "no memory for a pool");
    int code = rooms_open(pool, err);
    if (code) return code;
    threads_fill(pool);
    code = connect_redis(pool, err);
    if (!code && pool->config->lanes != LANES_ALONE) /* its parent's pool has said it */
        code = advice_give(pool->conns[CONN_SETTLER], pool->config, pool->log, err);
    if (code) return code;
    past_settle(pool);
    code = rooms_crew(pool, err);
    return code ? code : threads_start(pool, err);
}

static void tell_start(quern_pool *pool)
{
    struct crew_sums sums;
    crew_read(pool->crew, &sums);
    for (uint32_t i = 1; i < pool->source_count; i++)
        log_event(pool->log, LOG_INFO, "serves_too", LOG_TEXT("stream", pool->sources[i].stream),
                  LOG_TEXT("group", pool->sources[i].group));
    log_event(pool->log, LOG_INFO, "started", LOG_TEXT("redis", pool->url.shown), LOG_TEXT("stream", pool->sources[0].stream),
              LOG_TEXT("group", pool->sources[0].group), LOG_TEXT("consumer", pool->consumer),
              LOG_INT("threads", sums.threads));
}

quern_pool *quern_pool_start(const quern_config *config, quern_error *err)
{
    if (pool_check(config, err)) return NULL;
    quern_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, QUERN_E_MEMORY, "no memory for a pool");
        return NULL;
    }
    pthread_mutex_init(&pool->join_lock, NULL);
    pthread_mutex_init(&pool->reload_lock, NULL);
    atomic_init(&pool->drain_ms, config->drain_ms);
    atomic_init(&pool->drain_ns, CLOCK_NEVER);
    atomic_init(&pool->due_ns, CLOCK_NEVER);
    atomic_init(&pool->alone_waits, true); /* until somebody has looked */
    pool->dispatcher_waker.fd = pool->reaper_waker.fd = pool->heartbeat_waker.fd = pool->ended_waker.fd = -1;
    pool->started_ns = clock_now_ns();
    if (pool_open(pool, config, err)) {
        threads_abandon(pool);
        rooms_close(pool);
        return NULL;
    }
    tell_start(pool);
    return pool;
}

void quern_pool_stop(quern_pool *pool)
{
    if (!pool) return;
    int64_t never = CLOCK_NEVER;
    atomic_compare_exchange_strong(&pool->drain_ns, &never, clock_deadline_ns(clock_now_ns(), atomic_load(&pool->drain_ms)));
    atomic_store(&pool->is_stopping, true);
    journal_stops(pool->journal);
    waker_wake(&pool->dispatcher_waker);
    waker_wake(&pool->reaper_waker);
    pull_wake(&pool->pull);
}

int quern_pool_join(quern_pool *pool, int64_t timeout_ms, quern_error *err)
{
    if (!pool) return err_set(err, QUERN_E_ARGUMENT, "no pool was given");
    if (thread_role() != ROLE_HOST) return err_set(err, QUERN_E_ARGUMENT, "a pool cannot be joined on one of its own threads");
    int64_t deadline_ns = clock_deadline_ns(clock_now_ns(), timeout_ms);
    while (!atomic_load(&pool->has_ended)) {
        struct pollfd at = {.fd = pool->ended_waker.fd, .events = POLLIN}; /* never cleared: it ends once */
        poll(&at, 1, clock_poll_ms(deadline_ns));
        if (atomic_load(&pool->has_ended) || clock_now_ns() < deadline_ns) continue;
        if (!atomic_load(&pool->is_stopping)) return err_set(err, QUERN_E_BUSY, "the pool was not asked to stop");
        struct crew_sums sums;
        crew_read(pool->crew, &sums);
        return err_set(err, QUERN_E_BUSY, "still running: %u handlers, %u jobs held", sums.running,
                       slots_held_count(pool->slots));
    }
    threads_join(pool);
    return QUERN_OK;
}

int quern_pool_free(quern_pool *pool)
{
    if (!pool) return QUERN_OK;
    if (!atomic_load(&pool->has_ended) || atomic_load(&pool->finishing)) return QUERN_E_BUSY;
    threads_join(pool);
    rooms_close(pool);
    return QUERN_OK;
}

int pool_ended_fd(const quern_pool *pool)
{
    return pool->ended_waker.fd;
}

/* ── while it runs ───────────────────────────────────────────────────────────────────────────────────────────────── */

int quern_pool_set_threads(quern_pool *pool, unsigned threads, quern_error *err)
{
    if (!pool || threads < 1 || threads > WORKERS_MAX)
        return err_set(err, QUERN_E_ARGUMENT, "threads: %u; right would be 1 to %d", threads, WORKERS_MAX);
    if (atomic_load(&pool->is_stopping)) return err_set(err, QUERN_E_GONE, "the pool is stopping");
    int code = crew_set(pool->crew, threads, err);
    waker_wake(&pool->dispatcher_waker); /* it may ask for more now */
    return code;
}

int quern_pool_pause(quern_pool *pool)
{
    if (!pool) return QUERN_E_ARGUMENT;
    if (atomic_load(&pool->is_stopping)) return QUERN_E_GONE;
    if (ready_pause(pool->ready)) log_event(pool->log, LOG_DEBUG, "paused", LOG_INT("waiting", ready_length(pool->ready)));
    return QUERN_OK;
}

int quern_pool_resume(quern_pool *pool)
{
    if (!pool) return QUERN_E_ARGUMENT;
    if (atomic_load(&pool->is_stopping)) return QUERN_E_GONE;
    if (ready_resume(pool->ready)) log_event(pool->log, LOG_DEBUG, "resumed");
    waker_wake(&pool->dispatcher_waker);
    return QUERN_OK;
}

static enum slot_outcome outcome_of(quern_verdict verdict)
{
    return verdict == QUERN_DONE ? OUTCOME_DONE : verdict == QUERN_DEAD ? OUTCOME_DEAD : OUTCOME_RETRY;
}

static void push(quern_pool *pool, quern_job *job)
{
    slot_merge(job);
    caps_leave(job);
    keys_leave(job);
    journal_end(pool->journal, job->index);
    done_push(pool->done, job);
}

static int say(quern_pool *pool, uint64_t ticket, quern_verdict verdict, const char *error)
{
    quern_job *job = slots_claim(pool->slots, ticket);
    if (!job) return QUERN_E_GONE;
    job->said.outcome = outcome_of(verdict);
    job->said.ended_ns = clock_now_ns();
    job->said.error = error ? strndup(error, FINISH_ERROR_MAX) : NULL;
    if (slot_said(job)) push(pool, job);
    return QUERN_OK;
}

/* Whoever has pulled a job returns with it, in time or too late: till then its slot is nobody else's. */
static int finish(quern_pool *pool, uint64_t ticket, quern_verdict verdict, const char *error)
{
    int code = say(pool, ticket, verdict, error);
    quern_job *pulled = slots_return(pool->slots, ticket);
    if (pulled && slot_end(pulled, false) == END_SAID) push(pool, pulled);
    return code;
}

int quern_pool_finish(quern_pool *pool, uint64_t ticket, quern_verdict verdict, const char *error)
{
    if (!pool || verdict < QUERN_DONE || verdict > QUERN_DEAD) return QUERN_E_ARGUMENT;
    /* The push may end the pool: it must not be freed under it. */
    atomic_fetch_add(&pool->finishing, 1);
    int code = finish(pool, ticket, verdict, error);
    atomic_fetch_sub(&pool->finishing, 1);
    return code;
}

int quern_pool_progress(quern_pool *pool, uint64_t ticket, double percent, const char *note)
{
    if (!pool) return QUERN_E_ARGUMENT;
    atomic_fetch_add(&pool->finishing, 1);
    bool is_told = slots_tell(pool->slots, ticket, percent, note);
    atomic_fetch_sub(&pool->finishing, 1);
    return is_told ? QUERN_OK : QUERN_E_GONE;
}

static bool is_ending(void *given)
{
    return atomic_load(&((quern_pool *)given)->is_stopping);
}

/* For those who look on: which thread has it. */
static void chalk_up_self(quern_job *job)
{
    struct board_thread self;
    board_here(&self);
    if (job->board) board_hand(job->board, slot_generation(job), &self);
}

int quern_pull(quern_pool *pool, int64_t timeout_ms, quern_job **job, quern_error *err)
{
    if (!pool || !job) return err_set(err, QUERN_E_ARGUMENT, "no pool was given, or no place for a job");
    int64_t deadline_ns = timeout_ms < 0 ? CLOCK_NEVER : clock_deadline_ns(clock_now_ns(), timeout_ms);
    atomic_fetch_add(&pool->finishing, 1);
    quern_job *pulled = pull_take(&pool->pull, deadline_ns, is_ending, pool);
    bool is_over = !pulled && is_ending(pool);
    atomic_fetch_sub(&pool->finishing, 1);
    if (is_over) return err_set(err, QUERN_E_GONE, "the pool is stopping");
    if (pulled) chalk_up_self(pulled);
    if (!pulled) return err_set(err, QUERN_E_TIMEOUT, "no job came within %lld ms", (long long)timeout_ms);
    *job = pulled;
    return QUERN_OK;
}

/* Milliseconds since a moment of our clock; -1: it never was. */
static int64_t ago_ms(const struct counter *at_ns)
{
    int64_t then_ns = counter_read(at_ns);
    return then_ns ? (clock_now_ns() - then_ns) / NS_PER_MS : -1;
}

static void read_counters(quern_pool *pool, struct stats *stats)
{
    const struct settle_counters *settle = &pool->settle_counters;
    stats->fetched = 0;
    for (uint32_t i = 0; i < pool->source_count; i++) stats->fetched += counter_read(&pool->fetched[i]);
    stats->adopted = counter_read(&pool->intake_counters.adopted);
    stats->reads = counter_read(&pool->intake_counters.reads);
    stats->last_fetch_ms = ago_ms(&pool->intake_counters.last_ns);
    stats->done = counter_read(&settle->done);
    stats->retry = counter_read(&settle->retry);
    stats->dead = counter_read(&settle->dead);
    stats->malformed = counter_read(&settle->malformed);
    stats->unhandled = counter_read(&settle->unhandled);
    stats->too_large = counter_read(&settle->too_large);
    stats->expired = counter_read(&settle->expired);
    stats->timeout = counter_read(&settle->timeout);
    stats->poison = counter_read(&settle->poison);
    stats->cancelled = counter_read(&settle->cancelled);
    uint32_t parked;
    caps_read(pool->caps, &parked, &stats->postponed);
    stats->parked = parked + keys_waiting(pool->keys);
    stats->released = counter_read(&settle->released);
    stats->left = counter_read(&settle->left);
    stats->unsettled = counter_read(&settle->unsettled);
    stats->ambiguous = counter_read(&settle->ambiguous);
    stats->settles = counter_read(&settle->batches);
    stats->last_settle_ms = ago_ms(&settle->last_ns);
    stats->renewed = counter_read(&pool->heartbeat_counters.renewed);
    stats->lost =
        counter_read(&pool->heartbeat_counters.lost) + counter_read(&settle->lost) + counter_read(&pool->intake_counters.lost);
    stats->last_renewal_ms = ago_ms(&pool->heartbeat_counters.last_ns);
    stats->trimmed = counter_read(&pool->reaper_counters.trimmed);
    stats->reclaimed = counter_read(&pool->reaper_counters.reclaimed);
    stats->deleted = counter_read(&pool->reaper_counters.deleted) + counter_read(&pool->intake_counters.deleted);
    stats->due = counter_read(&pool->reaper_counters.due);
    stats->scheduled = counter_read(&pool->reaper_counters.scheduled);
    stats->swept = counter_read(&pool->reaper_counters.swept);
    for (uint32_t i = 0; i < pool->source_count; i++) stats->is_deleting |= atomic_load(&pool->deletes[i]);
    stats->dead_trimmed = counter_read(&pool->reaper_counters.dead_trimmed);
}

/* What the dispatcher was owed when it ended is not owed to a pool that stops. */
static const char *why_unhealthy(quern_pool *pool)
{
    bool is_stopping = atomic_load(&pool->is_stopping);
    return health_why_not(&(struct health_facts){
        .is_up = atomic_load(&pool->outage.links_down) == 0,
        .now_ns = clock_now_ns(),
        .read_since_ns = is_stopping ? 0 : counter_read(&pool->intake_counters.owed_ns),
        .settle_since_ns = counter_read(&pool->settle_counters.owed_ns),
        .renewal_since_ns = counter_read(&pool->heartbeat_counters.owed_ns),
        .block_ms = pool->dispatcher_needs.block_ms,
        .answer_ms = pool->settler_needs.link.conn.answer_ms,
        .lease_ms = pool->config->lease_ms,
    });
}

static void read_queues(quern_pool *pool, struct stats_queue queues[QUEUES_MAX])
{
    for (uint32_t i = 0; i < pool->source_count; i++) {
        const struct source *source = &pool->sources[i];
        queues[i] =
            (struct stats_queue){source->stream, source->group, source->config->weight, counter_read(&pool->fetched[i]), 0};
    }
    for (uint32_t i = 0; i < slots_count(pool->slots); i++) {
        const quern_job *job = slots_at(pool->slots, i);
        uint32_t queue = job_queue(job); /* of a free slot, that of the job before it */
        if (slot_state(job) != SLOT_FREE && queue < pool->source_count) queues[queue].held++;
    }
}

char *quern_pool_stats(quern_pool *pool)
{
    struct crew_sums crew;
    struct stats_queue queues[QUEUES_MAX];
    if (!pool) return NULL;
    read_queues(pool, queues);
    crew_read(pool->crew, &crew);
    struct stats stats = {
        .queues = queues,
        .queue_count = pool->source_count,
        .stream = pool->sources[0].stream,
        .group = pool->sources[0].group,
        .consumer = pool->consumer,
        .is_stopping = atomic_load(&pool->is_stopping),
        .is_paused = ready_is_paused(pool->ready),
        .is_up = atomic_load(&pool->outage.links_down) == 0,
        .unhealthy_because = why_unhealthy(pool),
        .uptime_ms = (clock_now_ns() - pool->started_ns) / NS_PER_MS,
        .threads = crew.threads,
        .threads_stuck = crew.stuck,
        .running = crew.running,
        .run_us = crew.run_ns / NS_PER_US,
        .waiting = ready_length(pool->ready),
        .slots = slots_count(pool->slots),
        .table = pool->slots,
        .held = slots_held_count(pool->slots),
        .reply_bytes = chunk_pool_used_bytes(pool->chunks),
        .outages = atomic_load(&pool->outage.count),
        .notices_dropped = (int64_t)notices_dropped(pool->notices),
        .bill = pool->bill,
    };
    read_counters(pool, &stats);
    return stats_text(&stats);
}
