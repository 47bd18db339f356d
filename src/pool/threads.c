/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "base/err.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/thread.h"
#include "pool/pool.h"
#include "run/cores.h"
#include "run/overdue.h"
#include "upkeep/trim.h"

enum begun { BEGINS, BEGUN, BROKEN };

static void has_begun(void *given, bool is_whole)
{
    quern_pool *pool = given;
    atomic_store(&pool->begun, is_whole ? BEGUN : BROKEN);
    futex_wake(&pool->begun, 1);
}

static void run_dispatcher(void *given)
{
    quern_pool *pool = given;
    dispatcher_run(&(struct dispatcher_start){&pool->dispatcher_needs, pool->conns[CONN_DISPATCHER], has_begun, pool});
}

static void run_reaper(void *given)
{
    quern_pool *pool = given;
    reaper_run(&(struct reaper_start){&pool->reaper_needs, pool->conns[CONN_REAPER], has_begun, pool});
}

static void run_settler(void *given)
{
    quern_pool *pool = given;
    settler_run(&(struct settler_start){&pool->settler_needs, pool->conns[CONN_SETTLER], has_begun, pool});
    atomic_store(&pool->has_settled, true);
    waker_wake(&pool->reaper_waker);
    waker_wake(&pool->heartbeat_waker);
}

static void has_ended(void *given)
{
    quern_pool *pool = given;
    atomic_store(&pool->has_ended, true);
    waker_wake(&pool->ended_waker);
}

/* What each event cost, for whoever reads the log of a run. */
static bool say_bill(void *given, const struct bill_sums *sums)
{
    quern_pool *pool = given;
    log_event(pool->log, LOG_INFO, "bill", LOG_TEXT("job_event", sums->event), LOG_INT("jobs", sums->jobs),
              LOG_INT("done", sums->done), LOG_INT("cpu_ms", sums->cpu_ns / NS_PER_MS),
              LOG_INT("wait_p99_us", sums->wait.p99_us), LOG_INT("run_p50_us", sums->run.p50_us),
              LOG_INT("run_p99_us", sums->run.p99_us));
    return true;
}

static void run_heartbeat(void *given)
{
    quern_pool *pool = given;
    heartbeat_run(&(struct heartbeat_start){&pool->heartbeat_needs, pool->conns[CONN_HEARTBEAT], has_begun, pool});
    const struct settle_counters *counters = &pool->settle_counters;
    bill_each(pool->bill, say_bill, pool);
    log_flush(pool->log);
    log_event(pool->log, LOG_INFO, "stopped", LOG_INT("done", counter_read(&counters->done)),
              LOG_INT("retry", counter_read(&counters->retry)), LOG_INT("dead", counter_read(&counters->dead)),
              LOG_INT("released", counter_read(&counters->released)), LOG_INT("left_pending", counter_read(&counters->left)));
    notices_post(pool->notices, &(quern_notice){.what = QUERN_NOTICE_STOPPED, .cpu_us = -1});
    notices_finish(pool->notices, has_ended, pool);
}

/* ── needs: what each thread may touch ───────────────────────────────────────────────────────────────────────────── */

static void read_crew(void *crew, uint32_t *threads, int64_t *jobs, int64_t *run_ns)
{
    struct crew_sums sums;
    crew_read(crew, &sums);
    *threads = sums.threads;
    *jobs = sums.jobs;
    *run_ns = sums.run_ns;
}

static int64_t watch_handlers(void *given, int64_t now_ns)
{
    quern_pool *pool = given;
    return overdue_step(&(struct overdue_needs){pool->slots, pool->done, pool->crew, pool->log, pool->notices, pool->journal},
                        now_ns);
}

static void stop_pool(void *pool)
{
    quern_pool_stop(pool);
}

static void close_caps(void *caps)
{
    caps_close(caps);
}

static void fill_dispatcher(quern_pool *pool)
{
    const quern_config *config = pool->config;
    pool->dispatcher_needs = (struct dispatcher_needs){
        .slots = pool->slots,
        .ready = pool->ready,
        .done = pool->done,
        .sources = pool->sources,
        .source_count = pool->source_count,
        .consumer = pool->consumer,
        .link = link_options(pool, CONN_DISPATCHER),
        .chunks = pool->chunks,
        .lease_ns = config->lease_ms * NS_PER_MS,
        .block_ms = config_block_ms(config),
        .prefetch_ns = config->prefetch_ms * NS_PER_MS,
        .prefetch_bytes = config->prefetch_bytes,
        .payload_max_bytes = config->payload_max_bytes,
        .batch_size = (uint32_t)config->batch_size,
        .prefetch_max = (uint32_t)config->prefetch_max,
        .fields_max = (uint32_t)config->fields_max,
        .until_empty = config->until_empty,
        .is_unpended = config->delivery == DELIVERY_AT_MOST_ONCE,
        .log = pool->log,
        .notices = pool->notices,
        .counters = &pool->intake_counters,
        .fetched = pool->fetched,
        .waker = &pool->dispatcher_waker,
        .is_stopping = &pool->is_stopping,
        .wants_slots = &pool->wants_slots,
        .heals = &pool->heals,
        .owed_until_ns = &pool->owed_until_ns,
        .blocked_ids = pool->blocked_ids,
        .read_crew = read_crew,
        .crew = pool->crew,
        .stop = stop_pool,
        .pool = pool,
        .keys = pool->keys,
        .orders = pool->orders,
        .leaves_cap = caps_leave,
        .close_caps = close_caps,
        .caps = pool->caps,
        .alone_waits = &pool->alone_waits,
        .max_unended = config->on_max_deliveries == ON_MAX_DEAD ? (uint32_t)config->max_deliveries : 0,
        .reads_nothing = config->lanes == LANES_ALONE,
    };
}

static void fill_settler(quern_pool *pool)
{
    pool->settler_needs = (struct settler_needs){
        .done = pool->done,
        .slots = pool->slots,
        .sources = pool->sources,
        .source_count = pool->source_count,
        .consumer = pool->consumer,
        .link = link_options(pool, CONN_SETTLER),
        .lease_ns = pool->config->lease_ms * NS_PER_MS,
        .is_unpended = pool->config->delivery == DELIVERY_AT_MOST_ONCE,
        .log = pool->log,
        .notices = pool->notices,
        .counters = &pool->settle_counters,
        .bill = pool->bill,
        .drain_ns = &pool->drain_ns,
        .owed_until_ns = &pool->owed_until_ns,
        .refill = &pool->dispatcher_waker,
        .gate = &pool->gate,
        .wants_slots = &pool->wants_slots,
        .upkeep = &pool->reaper_waker,
        .trim_after = TRIM_AFTER,
        .acked = &pool->acked,
        .deletes = pool->deletes,
        .due_ns = &pool->due_ns,
        .soon_ms = DUE_LOOK_MS,
    };
}

static void fill_heartbeat(quern_pool *pool)
{
    pool->heartbeat_needs = (struct heartbeat_needs){
        .slots = pool->slots,
        .sources = pool->sources,
        .source_count = pool->source_count,
        .consumer = pool->consumer,
        .link = link_options(pool, CONN_HEARTBEAT),
        .lease_ns = pool->config->lease_ms * NS_PER_MS,
        .tick_ns = config_heartbeat_ms(pool->config) * NS_PER_MS,
        .log = pool->log,
        .notices = pool->notices,
        .counters = &pool->heartbeat_counters,
        .waker = &pool->heartbeat_waker,
        .is_stopping = &pool->has_settled,
    };
}

void threads_fill(quern_pool *pool)
{
    pool->reaper_needs = (struct reaper_needs){
        .sources = pool->sources,
        .source_count = pool->source_count,
        .consumer = pool->consumer,
        .watch = watch_handlers,
        .user = pool,
        .slots = pool->slots,
        .ready = pool->ready,
        .done = pool->done,
        .gate = &pool->gate,
        .orders = pool->orders,
        .dispatcher = &pool->dispatcher_waker,
        .lanes = pool->config->lanes,
        .alone_after = pool->config->on_max_deliveries == ON_MAX_ALONE ? pool->config->max_deliveries : 0,
        .max_crashes = pool->config->max_crashes,
        .fields_max = (uint32_t)pool->config->fields_max,
        .until_empty = pool->config->until_empty,
        .alone_waits = &pool->alone_waits,
        .call_alone = pool->config->alone_waits,
        .call_user = pool->config->alone_user,
        .stop = stop_pool,
        .link = link_options(pool, CONN_REAPER),
        .period_ns = pool->config->reap_ms * NS_PER_MS,
        .lease_ns = pool->config->lease_ms * NS_PER_MS,
        .log = pool->log,
        .counters = &pool->reaper_counters,
        .waker = &pool->reaper_waker,
        .is_stopping = &pool->is_stopping,
        .has_settled = &pool->has_settled,
        .deletes = pool->deletes,
        .acked = &pool->acked,
        .due_ns = &pool->due_ns,
        .blocked_ids = pool->blocked_ids,
    };
}

/* ── starting, ending ────────────────────────────────────────────────────────────────────────────────────────────── */

/* Waits until it has what it cannot do without: a pool whose leases nobody renews, for want of memory, is none. */
static bool start_one(pthread_t *thread, bool *has, enum thread_role role, const char *name, void (*run)(void *),
                      quern_pool *pool)
{
    atomic_store(&pool->begun, BEGINS);
    *has = !thread_start(thread, role, name, run, pool);
    while (*has && atomic_load(&pool->begun) == BEGINS) futex_wait(&pool->begun, BEGINS, CLOCK_NEVER);
    return *has && atomic_load(&pool->begun) == BEGUN;
}

/* From the drain to the tap. On failure the threads that run see a stop, and each ends by the queue before it. */
int threads_start(quern_pool *pool, quern_error *err)
{
    uint32_t threads = pool->config->threads ? pool->config->threads : cores_usable();
    fill_settler(pool);
    fill_heartbeat(pool);
    fill_dispatcher(pool);
    if (!start_one(&pool->settler, &pool->has_settler, ROLE_SETTLER, "quern-settle", run_settler, pool)) goto failed;
    if (!start_one(&pool->heartbeat, &pool->has_heartbeat, ROLE_HEARTBEAT, "quern-heart", run_heartbeat, pool)) goto failed;
    if (crew_set(pool->crew, threads, err)) goto failed;
    if (!start_one(&pool->reaper, &pool->has_reaper, ROLE_REAPER, "quern-reap", run_reaper, pool)) goto failed;
    if (!start_one(&pool->dispatcher, &pool->has_dispatcher, ROLE_DISPATCHER, "quern-dispatch", run_dispatcher, pool))
        goto failed;
    return QUERN_OK;
failed:
    if (atomic_load(&pool->begun) == BROKEN) return err_set(err, QUERN_E_MEMORY, "no memory for the threads of a pool");
    return err_set(err, QUERN_E_MEMORY, "the threads of the pool could not be started: is there a limit on threads?");
}

/* Ends what a failed start has begun: without a dispatcher nobody else closes ready. */
void threads_abandon(quern_pool *pool)
{
    struct conn *unused[CONNS];
    bool taken[CONNS] = {pool->has_dispatcher, pool->has_settler, pool->has_heartbeat, pool->has_reaper};
    for (int i = 0; i < CONNS; i++) {
        unused[i] = taken[i] ? NULL : pool->conns[i];
        conn_close(unused[i]);
    }
    quern_pool_stop(pool);
    if (pool->ready && !pool->has_dispatcher) ready_close(pool->ready);
    struct crew_sums sums = {0};
    if (pool->crew) crew_read(pool->crew, &sums);
    if (pool->done && sums.threads == 0) done_close(pool->done);
    if (pool->has_dispatcher) pthread_join(pool->dispatcher, NULL);
    if (pool->has_reaper) pthread_join(pool->reaper, NULL);
    if (pool->crew) crew_join(pool->crew);
    if (pool->has_settler) pthread_join(pool->settler, NULL);
    if (pool->has_heartbeat)
        pthread_join(pool->heartbeat, NULL);
    else if (pool->notices)
        notices_finish(pool->notices, has_ended, pool);
}

void threads_join(quern_pool *pool)
{
    pthread_mutex_lock(&pool->join_lock);
    if (!pool->is_joined) {
        pthread_join(pool->dispatcher, NULL);
        pthread_join(pool->reaper, NULL);
        crew_join(pool->crew);
        pthread_join(pool->settler, NULL);
        pthread_join(pool->heartbeat, NULL);
        pool->is_joined = true;
    }
    pthread_mutex_unlock(&pool->join_lock);
}
