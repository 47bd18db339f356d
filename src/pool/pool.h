/* SPDX-License-Identifier: MIT */

/* pool/pool: assembles the house. The map:
 *
 *   job/slot      the table of what we hold                    base/arena     where its bytes lie
 *   intake/       dispatcher: Redis → ready                    queue/ready    lock-free, many to many
 *   run/          worker × N: ready → handler → done           queue/done     wait-free, many to one
 *   settle/       settler: done → Redis                        settle/verdict what is asked for each
 *   keep/         heartbeat: renews what the table holds       upkeep/        reaper: trims, unblocks the dispatcher
 *   tell/         notices: the host's callbacks                blame/journal  which jobs run, for when nobody is left to ask
 *
 * Shared state, all of it (who writes → who reads; atomics unless said):
 *   slots         see job/slot.h                               ready, done    see queue/ (ready: also whether it is paused)
 *   is_stopping   stop → dispatcher, reaper                    drain_ns       stop → handlers, settler
 *   has_settled   settler's end → heartbeat, reaper                  wants_slots    dispatcher ⇄ settler
 *   acked, due_ns settler → reaper                             blocked_ids    dispatcher → reaper
 *   deletes       reaper → settler
 *   heals         any thread's link → dispatcher                  owed_until_ns  dispatcher → settler
 *   counters      each its own thread → inspect                registry       reload → workers (RCU)
 *   drain_ms      reload → stop                                gate           reaper, workers, settler: one job runs alone
 *   bill          settler, workers (CPU) → inspect
 *   board         workers, finishers → inspect, another process (job/board)
 *   journal       workers, finishers → another process         alone_waits    reaper → dispatcher
 *
 * Starts from the drain to the tap: notices, settler, heartbeat, workers, reaper, dispatcher. Stops from the tap to the drain:
 * a stop tells dispatcher and reaper; the dispatcher closes ready, the last worker closes done, the settler ends when every slot
 * is free, then the heartbeat, then notices. Each knows only the queue behind it. */
#ifndef QUERN_POOL_POOL_H
#define QUERN_POOL_POOL_H

#include <pthread.h>

#include "blame/journal.h"
#include "config/config.h"
#include "config/queues.h"
#include "intake/dispatcher.h"
#include "intake/order.h"
#include "job/bill.h"
#include "keep/heartbeat.h"
#include "queue/gate.h"
#include "queue/keys.h"
#include "queue/orders.h"
#include "run/caps.h"
#include "run/crew.h"
#include "run/pull.h"
#include "settle/settler.h"
#include "tell/notices.h"
#include "tell/outage.h"
#include "upkeep/reaper.h"

enum { CONN_DISPATCHER, CONN_SETTLER, CONN_HEARTBEAT, CONN_REAPER, CONNS };

struct quern_pool {
    quern_config *config; /* of the start: it never changes; what a reload changes lives elsewhere (pool/reload) */
    struct url url;
    char *consumer;
    char *conn_names[CONNS];
    struct served served;   /* a configuration per queue */
    struct source *sources; /* likewise; source_count of them */
    uint32_t source_count;
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
    struct gate gate;
    struct pull pull;
    struct caps *caps;
    struct keys *keys;
    struct orders *orders;
    struct bill *bill;
    struct journal *journal;   /* NULL: none is kept */
    struct board_place *board; /* where there is no journal for it to lie in; else NULL */
    struct waker dispatcher_waker, reaper_waker, heartbeat_waker, ended_waker;

    _Atomic bool alone_waits; /* as far as is known */
    _Atomic bool is_stopping, has_settled, wants_slots, has_ended;
    _Atomic bool *deletes;    /* per source */
    _Atomic int finishing;    /* calls inside quern_pool_finish() and quern_pull() */
    _Atomic int64_t drain_ms; /* how long a stop waits for the jobs that run */
    _Atomic int64_t drain_ns, acked, due_ns, owed_until_ns;
    _Atomic int64_t blocked_ids[QUEUES_MAX]; /* per group */
    _Atomic uint32_t heals;
    struct intake_counters intake_counters;
    struct counter *fetched; /* per source */
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
    _Atomic uint32_t begun; /* enum begun: of the thread that is being started */
    pthread_mutex_t join_lock;
    bool is_joined;              /* under join_lock */
    pthread_mutex_t reload_lock; /* one reload at a time; the crew's lock is taken under it, nothing else */
};

/* Can a pool be run by it? */
int pool_check(const quern_config *config, quern_error *err) QUERN_MUST_USE;

/* pool/rooms: names, queues, tables. rooms_close() takes what is half-built, and frees the pool; no thread may run. */
int rooms_open(quern_pool *pool, quern_error *err) QUERN_MUST_USE;
/* Calls use() with what the registry is made of: the handlers of config, their lines of the bill, and their policies and caps, which
 * hold once it has succeeded. */
int rooms_registry(struct caps *caps, struct bill *bill, const quern_config *config,
                   bool (*use)(void *user, const struct registry_setup *setup), void *user, quern_error *err) QUERN_MUST_USE;
/* The workers, once there is a journal, or is none. */
int rooms_crew(quern_pool *pool, quern_error *err) QUERN_MUST_USE;
void rooms_close(quern_pool *pool);

/* pool/connect: the four connections, and that the keys are what they should be. Waits at most connect_ms; on failure none is
 * left open. */
int connect_redis(quern_pool *pool, quern_error *err) QUERN_MUST_USE;
struct link_options link_options(quern_pool *pool, int role);

/* pool/past: what processes like this one have left behind when they died goes back; then a journal of our own is begun. What fails is
 * said in the log, and the pool goes on without. */
void past_settle(quern_pool *pool);

/* pool/threads: from the drain to the tap. threads_abandon() ends what a failed start has begun, and waits for it;
 * threads_join() only once the pool has ended. */
void threads_fill(quern_pool *pool); /* what the reaper may touch; before connect_redis() */
int threads_start(quern_pool *pool, quern_error *err) QUERN_MUST_USE;
void threads_abandon(quern_pool *pool);
void threads_join(quern_pool *pool);

/* A descriptor that is readable once the pool has ended, and from then on. Lent until the pool is freed. */
int pool_ended_fd(const quern_pool *pool);

#endif
