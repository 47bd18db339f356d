/* SPDX-License-Identifier: MIT */
#include <poll.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/err.h"
#include "pool/pool.h"
#include "upkeep/heed.h"
#include "wire/cluster.h"
#include "wire/group.h"
#include "wire/script.h"

enum { RECONNECT_MS = 2000, ANSWER_MIN_MS = 1000, ANSWER_MAX_MS = 5000 };
/* How long one attempt may take at least; the second where it is the only one: connect_ms 0 means one attempt, not an impatient one. */
enum { LEAST_WAIT_MS = 1000, ONE_ATTEMPT_MS = 5000 };

/* How long an answer may take: well within a lease, so that a connection that says nothing is given up while its jobs are ours. */
static int64_t answer_ms(const quern_config *config)
{
    int64_t ms = config->lease_ms / 3;
    if (ms > config->drain_ms) ms = config->drain_ms; /* a stop waits for one */
    return ms < ANSWER_MIN_MS ? ANSWER_MIN_MS : ms > ANSWER_MAX_MS ? ANSWER_MAX_MS : ms;
}

/* A thread has met a group that is gone: the dispatcher makes it again, soon. */
static void group_is_gone(void *given)
{
    quern_pool *pool = given;
    atomic_fetch_add(&pool->heals, 1);
    waker_wake(&pool->dispatcher_waker);
}

struct link_options link_options(quern_pool *pool, int role)
{
    return (struct link_options){
        .conn = {.url = &pool->url,
                 .name = pool->conn_names[role],
                 .pool = role == CONN_DISPATCHER ? pool->chunks : NULL,
                 .answer_ms = answer_ms(pool->config)},
        .connect_ms = RECONNECT_MS,
        .first_ms = pool->config->backoff_ms,
        .max_ms = pool->config->backoff_max_ms,
        .down = outage_down,
        .up = outage_up,
        .is_known = outage_is_known,
        .gone = group_is_gone,
        .user = &pool->outage,
        .gone_user = pool,
    };
}

/* In one step, so that no pool that leaves, as the last so far, takes the retry stream in between. */
static int join_group(quern_pool *pool, const struct source *source, struct conn *conn, quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_join, 2, 3);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, pool->consumer);
    conn_arg_text(conn, source->config->start);
    return script_ask(conn, &script_join, conn_answer_deadline(conn), &reply, NULL, err);
}

static int check_keys(quern_pool *pool, const struct source *source, struct conn *conn, quern_error *err)
{
    int code = key_must_be(conn, source->stream, "stream", err);
    if (!code) code = key_must_be(conn, source->retry, "stream", err);
    if (!code) code = key_must_be(conn, source->completed, "stream", err);
    if (!code) code = key_must_be(conn, source->dead, "stream", err);
    if (!code) code = key_must_be(conn, source->settles, "hash", err);
    if (!code) code = key_must_be(conn, source->alone, "stream", err);
    if (!code) code = key_must_be(conn, source->crashes, "hash", err);
    if (!code) code = key_must_be(conn, source->delayed, "zset", err);
    if (!code) code = key_must_be(conn, source->waiting, "hash", err);
    if (!code) code = key_must_be(conn, source->batches, "zset", err);
    if (!code) code = key_must_be(conn, source->batch_open, "zset", err);
    if (!code) code = key_must_be(conn, source->batch_state, "hash", err);
    if (!code) code = key_must_be(conn, source->scheduled, "zset", err);
    if (!code) code = key_must_be(conn, source->scheduled_jobs, "hash", err);
    if (!code) code = key_must_be(conn, source->paused, "set", err);
    if (!code) code = key_must_be(conn, source->cancelled, "zset", err);
    if (!code) code = key_must_be(conn, source->reaper, "string", err);
    return code ? code : join_group(pool, source, conn, err);
}

/* A pool's connections go to one node. */
static int check_slot(const quern_pool *pool, const char *stream, const struct conn *conn, quern_error *err)
{
    const char *first = pool->sources[0].stream;
    if (cluster_same(conn, stream, first)) return QUERN_OK;
    return err_set(
        err, QUERN_E_CONFIG,
        "queues: \"%s\" and \"%s\" lie in different slots of this Redis Cluster; right would be one hash tag for all "
        "queues of a pool, as in {jobs}:a and {jobs}:b, or a pool for each",
        first, stream);
}

static int check_sources(quern_pool *pool, struct conn *conn, quern_error *err)
{
    int code = QUERN_OK;
    for (uint32_t i = 0; i < pool->source_count && !code; i++) {
        code = cluster_check(conn, pool->sources[i].stream, pool->sources[i].dead, err);
        if (!code) code = check_slot(pool, pool->sources[i].stream, conn, err);
        if (!code) code = check_keys(pool, &pool->sources[i], conn, err);
        if (!code) code = heed_now(&pool->reaper_needs, i, conn, err);
    }
    return code;
}

static int connect_once(quern_pool *pool, int64_t deadline_ns, quern_error *err)
{
    for (int i = 0; i < CONNS; i++) {
        struct link_options options = link_options(pool, i);
        if (!pool->conns[i] && !(pool->conns[i] = conn_open(&options.conn, deadline_ns, err)))
            return err ? err->code : QUERN_E_CONNECT;
    }
    return check_sources(pool, pool->conns[CONN_SETTLER], err);
}

static void close_conns(quern_pool *pool)
{
    for (int i = 0; i < CONNS; i++) {
        conn_close(pool->conns[i]);
        pool->conns[i] = NULL;
    }
}

/* Tries until connect_ms is over; what no waiting mends fails at once. The last attempt is when it is over: a pause is never longer than
 * what is left. */
int connect_redis(quern_pool *pool, quern_error *err)
{
    const quern_config *config = pool->config;
    struct backoff backoff = {.first_ms = config->backoff_ms, .max_ms = config->backoff_max_ms, .random = backoff_seed()};
    quern_error why = {0};
    int64_t end_ns = clock_deadline_ns(clock_now_ns(), config->connect_ms);
    int64_t least_ms = config->connect_ms ? LEAST_WAIT_MS : ONE_ATTEMPT_MS;
    for (;;) {
        int64_t least_ns = clock_deadline_ns(clock_now_ns(), least_ms), deadline_ns = end_ns > least_ns ? end_ns : least_ns;
        int code = connect_once(pool, deadline_ns, &why);
        if (!code) return QUERN_OK;
        close_conns(pool);
        int pause_ms = (int)backoff_next_ms(&backoff), left_ms = clock_poll_ms(end_ns);
        bool is_away = code == QUERN_E_CONNECT || code == QUERN_E_TIMEOUT; /* one that says nothing is as good as none */
        bool may_pass = is_away || (code == QUERN_E_SERVER && why.is_retriable);
        if (!may_pass || left_ms <= 0) break;
        poll(NULL, 0, pause_ms < left_ms ? pause_ms : left_ms);
    }
    if (err) *err = why;
    return why.code;
}
