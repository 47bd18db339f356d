/* SPDX-License-Identifier: MIT */

/* pool: assembles the house. The map:
 *
 *   job/slot      the table of what we hold                    base/arena     where its bytes lie
 *   intake/       dispatcher: Redis → ready                    queue/ready    lock-free, many to many
 *   run/          worker × N: ready → handler → done           queue/done     wait-free, many to one
 *   settle/       settler: done → Redis                        settle/verdict what is asked for each
 *   keep/         heartbeat: renews what the table holds       upkeep/        reaper: trims, unblocks the dispatcher
 *   tell/         notices: the host's callbacks
 *
 * Shared state, all of it (who writes → who reads; atomics unless said):
 *   slots         see job/slot.h                               ready, done    see queue/
 *   is_stopping   stop → dispatcher, reaper                    drain_ns       stop → handlers, settler
 *   has_settled   settler's end → heartbeat, reaper                  wants_slots    dispatcher ⇄ settler
 *   acked         settler → reaper                             blocked_id     dispatcher → reaper
 *   counters      each its own thread → inspect                registry       host → workers (RCU)
 *
 * Starts from the drain to the tap: notices, settler, heartbeat, workers, reaper, dispatcher. Stops from the tap to the drain:
 * a stop tells dispatcher and reaper; the dispatcher closes ready, the last worker closes done, the settler ends when every slot
 * is free, then the heartbeat, then notices. Each knows only the queue behind it. */
#include "pool.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/uuid.h"
#include "config/policy.h"
#include "inspect/stats.h"
#include "intake/dispatcher.h"
#include "keep/heartbeat.h"
#include "run/cores.h"
#include "run/crew.h"
#include "settle/settler.h"
#include "tell/notices.h"
#include "tell/outage.h"
#include "upkeep/reaper.h"
#include "upkeep/trim.h"
#include "wire/group.h"

enum { CHUNKS_KEPT = 32, SLOTS_BESIDE_PREFETCH = 128, RECONNECT_MS = 2000, TRY_AGAIN_MS = 100 };
enum { ANSWER_MIN_MS = 1000, ANSWER_MAX_MS = 10000 };

enum {
    CHUNKS_KEPT = 32,
    SLOTS_BESIDE_PREFETCH = 128,
    RECONNECT_MS = 2000,
    TRY_AGAIN_MS = 100,
    LEAST_WAIT_MS = 1000,
    ONE_ATTEMPT_MS = 5000
};
enum { CONN_DISPATCHER, CONN_SETTLER, CONN_HEARTBEAT, CONN_REAPER, CONNS };
static const char *const roles[CONNS] = {"dispatcher", "settler", "heartbeat", "reaper"};

struct quern_pool {
    quern_config *config;
    struct url url;
    char *consumer;
    char *conn_names[CONNS];
    struct source source;
    int64_t started_ns;

    struct log *log;
    struct notices *notices;
    struct outage outage;
    struct chunk_pool *chunks;
    struct slots *slots;
    struct ready *ready;
    struct done *done;
    struct registry *registry;
    struct crew *crew;
    struct waker dispatcher_waker, reaper_waker, heartbeat_waker, ended_waker;

    _Atomic bool is_stopping, has_settled, wants_slots, has_ended;
    _Atomic int64_t drain_ns, acked, blocked_id;
    struct intake_counters intake_counters;
    struct settle_counters settle_counters;
    struct heartbeat_counters heartbeat_counters;
    struct reaper_counters reaper_counters;

    struct dispatcher_needs dispatcher_needs;
    struct settler_needs settler_needs;
    struct heartbeat_needs heartbeat_needs;
    struct reaper_needs reaper_needs;
    struct conn *conns[CONNS]; /* made before the threads; each is taken by its own */
    pthread_t dispatcher, settler, heartbeat, reaper;
    bool has_dispatcher, has_settler, has_heartbeat, has_reaper;
    pthread_mutex_t join_lock;
    bool is_joined; /* under join_lock */
};

/* ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void run_dispatcher(void *given)
{
    quern_pool *pool = given;
    dispatcher_run(&(struct dispatcher_start){&pool->dispatcher_needs, pool->conns[CONN_DISPATCHER]});
}

static void run_reaper(void *given)
{
    quern_pool *pool = given;
    reaper_run(&(struct reaper_start){&pool->reaper_needs, pool->conns[CONN_REAPER]});
}

static void run_settler(void *given)
{
    quern_pool *pool = given;
    settler_run(&(struct settler_start){&pool->settler_needs, pool->conns[CONN_SETTLER]});
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

static void run_heartbeat(void *given)
{
    quern_pool *pool = given;
    heartbeat_run(&(struct heartbeat_start){&pool->heartbeat_needs, pool->conns[CONN_HEARTBEAT]});
    const struct settle_counters *counters = &pool->settle_counters;
    log_event(pool->log, LOG_INFO, "stopped", LOG_INT("done", counter_read(&counters->done)),
              LOG_INT("released", counter_read(&counters->released)), LOG_INT("left_pending", counter_read(&counters->left)));
    notices_post(pool->notices, &(quern_notice){.what = QUERN_NOTICE_STOPPED});
    notices_finish(pool->notices, has_ended, pool);
}

/* ── needs: what each thread may touch ───────────────────────────────────────────────────────────────────────────── */

/* How long an answer may take: well within a lease, so that a connection that says nothing is given up while its jobs are ours. */
static int64_t answer_ms(const quern_config *config)
{
    int64_t third_ms = config->lease_ms / 3;
    return third_ms < ANSWER_MIN_MS ? ANSWER_MIN_MS : third_ms > ANSWER_MAX_MS ? ANSWER_MAX_MS : third_ms;

/* connect_ms 0 means one attempt, not an impatient one. */
static int64_t answer_ms(const quern_config *config)
{
    if (!config->connect_ms) return ONE_ATTEMPT_MS;
    return config->connect_ms > LEAST_WAIT_MS ? config->connect_ms : LEAST_WAIT_MS;
}

static struct link_options link_options(quern_pool *pool, int role)
{
    return (struct link_options){
        .conn = {.url = &pool->url,
                 .name = pool->conn_names[role],
                 .pool = role == CONN_DISPATCHER ? pool->chunks : NULL,
                 .answer_ms = answer_ms(pool->config)},
        .connect_ms = RECONNECT_MS,
        .down = outage_down,
        .up = outage_up,
        .user = &pool->outage,
    };
}

static void read_crew(void *crew, uint32_t *threads, int64_t *jobs, int64_t *run_ns)
{
    struct crew_sums sums;
    crew_read(crew, &sums);
    *threads = sums.threads;
    *jobs = sums.jobs;
    *run_ns = sums.run_ns;
}

static void stop_pool(void *pool)
{
    quern_pool_stop(pool);
}

static void fill_dispatcher(quern_pool *pool)
{
    const quern_config *config = pool->config;
    pool->dispatcher_needs = (struct dispatcher_needs){
        .slots = pool->slots,
        .ready = pool->ready,
        .done = pool->done,
        .sources = &pool->source,
        .source_count = 1,
        .consumer = pool->consumer,
        .link = link_options(pool, CONN_DISPATCHER),
        .chunks = pool->chunks,
        .block_ms = config_block_ms(config),
        .prefetch_ns = config->prefetch_ms * NS_PER_MS,
        .prefetch_bytes = config->prefetch_bytes,
        .batch_size = (uint32_t)config->batch_size,
        .prefetch_max = (uint32_t)config->prefetch_max,
        .fields_max = (uint32_t)config->fields_max,
        .until_empty = config->until_empty,
        .log = pool->log,
        .counters = &pool->intake_counters,
        .waker = &pool->dispatcher_waker,
        .is_stopping = &pool->is_stopping,
        .wants_slots = &pool->wants_slots,
        .blocked_id = &pool->blocked_id,
        .read_crew = read_crew,
        .crew = pool->crew,
        .stop = stop_pool,
        .pool = pool,
    };
}

static void fill_settler(quern_pool *pool)
{
    pool->settler_needs = (struct settler_needs){
        .done = pool->done,
        .slots = pool->slots,
        .sources = &pool->source,
        .source_count = 1,
        .consumer = pool->consumer,
        .link = link_options(pool, CONN_SETTLER),
        .lease_ns = pool->config->lease_ms * NS_PER_MS,
        .completed_max = pool->config->completed_max,
        .log = pool->log,
        .notices = pool->notices,
        .counters = &pool->settle_counters,
        .drain_ns = &pool->drain_ns,
        .refill = &pool->dispatcher_waker,
        .wants_slots = &pool->wants_slots,
        .upkeep = &pool->reaper_waker,
        .trim_after = TRIM_AFTER,
        .acked = &pool->acked,
    };
}

static void fill_heartbeat(quern_pool *pool)
{
    pool->heartbeat_needs = (struct heartbeat_needs){
        .slots = pool->slots,
        .sources = &pool->source,
        .source_count = 1,
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

static void fill_reaper(quern_pool *pool)
{
    pool->reaper_needs = (struct reaper_needs){
        .sources = &pool->source,
        .source_count = 1,
        .link = link_options(pool, CONN_REAPER),
        .period_ns = pool->config->reap_ms * NS_PER_MS,
        .trims = pool->config->trim,
        .required_groups = &pool->config->required_groups,
        .ignored_groups = &pool->config->ignored_groups,
        .log = pool->log,
        .counters = &pool->reaper_counters,
        .waker = &pool->reaper_waker,
        .is_stopping = &pool->is_stopping,
        .has_settled = &pool->has_settled,
        .acked = &pool->acked,
        .blocked_id = &pool->blocked_id,
    };
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

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
    int code = source_open(&pool->source, config->stream, config->group, err);
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

static int open_registry(quern_pool *pool, quern_error *err)
{
    const struct config_handlers *handlers = &pool->config->handlers;
    struct handler_setup *setups = calloc(handlers->count, sizeof *setups);
    int code = setups ? QUERN_OK : QUERN_E_MEMORY;
    for (size_t i = 0; i < handlers->count && !code; i++) {
        struct policy policy;
        code = policy_read(pool->config, handlers->at[i].policy, &policy, err);
        setups[i] = (struct handler_setup){&handlers->at[i], policy.timeout_ms};
    }
    if (!code) pool->registry = registry_open(setups, (uint32_t)handlers->count);
    free(setups);
    return code ? code : pool->registry ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the handlers");
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

static int open_rooms(quern_pool *pool, quern_error *err)
{
    uint32_t slots = (uint32_t)pool->config->prefetch_max + SLOTS_BESIDE_PREFETCH;
    pool->chunks = chunk_pool_open(CHUNKS_KEPT);
    pool->slots = slots_open(slots, &pool->drain_ns);
    pool->ready = ready_open(slots, &pool->dispatcher_waker);
    pool->done = done_open();
    if (!pool->chunks || !pool->slots || !pool->ready || !pool->done)
        return err_set(err, QUERN_E_MEMORY, "no memory for a pool");
    int code = open_registry(pool, err);
    if (code) return code;
    pool->crew = crew_open(&(struct worker_needs){
        .ready = pool->ready, .done = pool->done, .slots = pool->slots, .registry = pool->registry, .log = pool->log});
    return pool->crew ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the workers");
}

/* ── Redis ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int check_keys(quern_pool *pool, struct conn *conn, quern_error *err)
{
    const struct source *source = &pool->source;
    int code = key_must_be(conn, source->stream, "stream", err);
    if (!code) code = key_must_be(conn, source->retry, "stream", err);
    if (!code) code = key_must_be(conn, source->completed, "stream", err);
    if (!code) code = key_must_be(conn, source->settles, "hash", err);
    if (!code) code = group_create(conn, source->stream, source->group, pool->config->start, err);
    if (!code) code = group_create(conn, source->retry, source->group, "0", err);
    return code;
}

static int connect_once(quern_pool *pool, int64_t deadline_ns, quern_error *err)
{
    for (int i = 0; i < CONNS; i++) {
        struct link_options options = link_options(pool, i);
        if (!pool->conns[i] && !(pool->conns[i] = conn_open(&options.conn, deadline_ns, err)))
            return err ? err->code : QUERN_E_CONNECT;
    }
    return check_keys(pool, pool->conns[CONN_SETTLER], err);
}

static void close_conns(quern_pool *pool)
{
    for (int i = 0; i < CONNS; i++) {
        conn_close(pool->conns[i]);
        pool->conns[i] = NULL;
    }
}

/* Tries until connect_ms is over; what no waiting mends fails at once. */
static int connect_redis(quern_pool *pool, quern_error *err)
{
    quern_error why = {0};
    int64_t end_ns = clock_deadline_ns(clock_now_ns(), pool->config->connect_ms);
    int64_t least_ms = pool->config->connect_ms ? LEAST_WAIT_MS : ONE_ATTEMPT_MS;
    for (;;) {
        int64_t least_ns = clock_deadline_ns(clock_now_ns(), least_ms), deadline_ns = end_ns > least_ns ? end_ns : least_ns;
        int code = connect_once(pool, deadline_ns, &why);
        if (!code) return QUERN_OK;
        close_conns(pool);
        if (code != QUERN_E_CONNECT || clock_now_ns() + TRY_AGAIN_MS * NS_PER_MS >= end_ns) break;
        poll(NULL, 0, TRY_AGAIN_MS);
    }
    if (err) *err = why;
    return why.code;
}

/* ── start and stop ──────────────────────────────────────────────────────────────────────────────────────────────── */

static bool start_one(pthread_t *thread, bool *has, enum thread_role role, const char *name, void (*run)(void *),
                      quern_pool *pool)
{
    *has = !thread_start(thread, role, name, run, pool);
    return *has;
}

/* From the drain to the tap. On failure the threads that run see a stop, and each ends by the queue before it. */
static int start_threads(quern_pool *pool, quern_error *err)
{
    uint32_t threads = pool->config->threads ? pool->config->threads : cores_usable();
    fill_settler(pool);
    fill_heartbeat(pool);
    fill_reaper(pool);
    fill_dispatcher(pool);
    if (!start_one(&pool->settler, &pool->has_settler, ROLE_SETTLER, "quern-settle", run_settler, pool)) goto failed;
    if (!start_one(&pool->heartbeat, &pool->has_heartbeat, ROLE_HEARTBEAT, "quern-heart", run_heartbeat, pool)) goto failed;
    if (crew_set(pool->crew, threads, err)) goto failed;
    if (!start_one(&pool->reaper, &pool->has_reaper, ROLE_REAPER, "quern-reap", run_reaper, pool)) goto failed;
    if (!start_one(&pool->dispatcher, &pool->has_dispatcher, ROLE_DISPATCHER, "quern-dispatch", run_dispatcher, pool))
        goto failed;
    return QUERN_OK;
failed:
    return err_set(err, QUERN_E_MEMORY, "the threads of the pool could not be started: is there a limit on threads?");
}

/* Ends what a failed start has begun: without a dispatcher nobody else closes ready. */
static void abandon(quern_pool *pool)
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
    if (pool->has_reaper) pthread_join(pool->reaper, NULL);
    if (pool->crew) crew_join(pool->crew);
    if (pool->has_settler) pthread_join(pool->settler, NULL);
    if (pool->has_heartbeat)
        pthread_join(pool->heartbeat, NULL);
    else if (pool->notices)
        notices_finish(pool->notices, has_ended, pool);
}

/* What is left when no thread runs. Half-built is allowed. */
static void destroy(quern_pool *pool)
{
    notices_close(pool->notices);
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
    free(pool);
}

static int check_config(const quern_config *config, quern_error *err)
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
    int code = open_names(pool, err);
    if (!code) code = open_wakers(pool, err);
    if (!code) code = open_notices(pool, err);
    if (!code) code = open_rooms(pool, err);
    if (!code) code = connect_redis(pool, err);
    if (!code) code = start_threads(pool, err);
    return code;
}

quern_pool *quern_pool_start(const quern_config *config, quern_error *err)
{
    if (check_config(config, err)) return NULL;
    quern_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, QUERN_E_MEMORY, "no memory for a pool");
        return NULL;
    }
    pthread_mutex_init(&pool->join_lock, NULL);
    atomic_init(&pool->drain_ns, CLOCK_NEVER);
    pool->dispatcher_waker.fd = pool->reaper_waker.fd = pool->heartbeat_waker.fd = pool->ended_waker.fd = -1;
    pool->started_ns = clock_now_ns();
    if (pool_open(pool, config, err)) {
        abandon(pool);
        destroy(pool);
        return NULL;
    }
    struct crew_sums sums;
    crew_read(pool->crew, &sums);
    log_event(pool->log, LOG_INFO, "started", LOG_TEXT("redis", pool->url.shown), LOG_TEXT("stream", pool->source.stream),
              LOG_TEXT("group", pool->source.group), LOG_TEXT("consumer", pool->consumer), LOG_INT("threads", sums.threads));
    return pool;
}

void quern_pool_stop(quern_pool *pool)
{
    if (!pool) return;
    int64_t never = CLOCK_NEVER;
    atomic_compare_exchange_strong(&pool->drain_ns, &never,
                                   clock_deadline_ns(clock_now_ns(), pool->config ? pool->config->drain_ms : 0));
    atomic_store(&pool->is_stopping, true);
    waker_wake(&pool->dispatcher_waker);
    waker_wake(&pool->reaper_waker);
}

static void join_threads(quern_pool *pool)
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

int quern_pool_join(quern_pool *pool, int64_t timeout_ms, quern_error *err)
{
    if (!pool) return err_set(err, QUERN_E_ARGUMENT, "no pool was given");
    if (thread_role() != ROLE_HOST) return err_set(err, QUERN_E_ARGUMENT, "a pool cannot be joined on one of its own threads");
    int64_t deadline_ns = clock_deadline_ns(clock_now_ns(), timeout_ms);
    while (!atomic_load(&pool->has_ended)) {
        struct pollfd at = {.fd = pool->ended_waker.fd, .events = POLLIN}; /* never cleared: it ends once */
        poll(&at, 1, clock_poll_ms(deadline_ns));
        if (atomic_load(&pool->has_ended) || clock_now_ns() < deadline_ns) continue;
        struct crew_sums sums;
        crew_read(pool->crew, &sums);
        return err_set(err, QUERN_E_BUSY, "still running: %u handlers, %u jobs held", sums.running,
                       slots_count(pool->slots) - slots_free_count(pool->slots));
    }
    join_threads(pool);
    return QUERN_OK;
}

int quern_pool_free(quern_pool *pool)
{
    if (!pool) return QUERN_OK;
    if (!atomic_load(&pool->has_ended)) return QUERN_E_BUSY;
    join_threads(pool);
    destroy(pool);
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
    int code = crew_set(pool->crew, threads, err);
    waker_wake(&pool->dispatcher_waker); /* it may ask for more now */
    return code;
}

static enum slot_outcome outcome_of(const quern_job *job, quern_verdict verdict)
{
    if (job->is_not_json) return OUTCOME_MALFORMED;
    return verdict == QUERN_DONE ? OUTCOME_DONE : verdict == QUERN_DEAD ? OUTCOME_DEAD : OUTCOME_RETRY;
}

int quern_pool_finish(quern_pool *pool, uint64_t ticket, quern_verdict verdict, const char *error)
{
    if (!pool || verdict < QUERN_DONE || verdict > QUERN_DEAD) return QUERN_E_ARGUMENT;
    quern_job *job = slots_claim(pool->slots, ticket);
    if (!job) return QUERN_E_GONE;
    if (error) quern_job_error(job, "%s", error);
    job->outcome = outcome_of(job, verdict);
    job->ended_ns = clock_now_ns();
    if (slot_said(job)) done_push(pool->done, job);
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
    stats->fetched = counter_read(&pool->intake_counters.fetched);
    stats->adopted = counter_read(&pool->intake_counters.adopted);
    stats->reads = counter_read(&pool->intake_counters.reads);
    stats->last_fetch_ms = ago_ms(&pool->intake_counters.last_ns);
    stats->done = counter_read(&settle->done);
    stats->retry = counter_read(&settle->retry);
    stats->dead = counter_read(&settle->dead);
    stats->malformed = counter_read(&settle->malformed);
    stats->unhandled = counter_read(&settle->unhandled);
    stats->released = counter_read(&settle->released);
    stats->left = counter_read(&settle->left);
    stats->ambiguous = counter_read(&settle->ambiguous);
    stats->settles = counter_read(&settle->batches);
    stats->last_settle_ms = ago_ms(&settle->last_ns);
    stats->renewed = counter_read(&pool->heartbeat_counters.renewed);
    stats->lost = counter_read(&pool->heartbeat_counters.lost) + counter_read(&settle->lost);
    stats->last_renewal_ms = ago_ms(&pool->heartbeat_counters.last_ns);
    stats->trimmed = counter_read(&pool->reaper_counters.trimmed);
}

char *quern_pool_stats(quern_pool *pool)
{
    struct crew_sums crew;
    if (!pool) return NULL;
    crew_read(pool->crew, &crew);
    struct stats stats = {
        .stream = pool->source.stream,
        .group = pool->source.group,
        .consumer = pool->consumer,
        .is_stopping = atomic_load(&pool->is_stopping),
        .is_up = atomic_load(&pool->outage.links_down) == 0,
        .uptime_ms = (clock_now_ns() - pool->started_ns) / NS_PER_MS,
        .threads = crew.threads,
        .running = crew.running,
        .run_us = crew.run_ns / NS_PER_US,
        .waiting = ready_length(pool->ready),
        .slots = slots_count(pool->slots),
        .held = slots_count(pool->slots) - slots_free_count(pool->slots),
        .reply_bytes = chunk_pool_used_bytes(pool->chunks),
        .outages = atomic_load(&pool->outage.count),
        .notices_dropped = (int64_t)notices_dropped(pool->notices),
    };
    read_counters(pool, &stats);
    return stats_text(&stats);
}
