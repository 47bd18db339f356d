/* SPDX-License-Identifier: MIT */

/* pool: assembles the house. The map:
 *
 *   job/slot        the table of what we hold                     base/arena    where its bytes lie
 *   intake/         dispatcher: Redis → ready                     queue/ready   lock-free, many to many
 *   run/            worker × N: ready → handler → done            queue/done    wait-free, many to one
 *   settle/         settler: done → Redis                         settle/verdict  what is asked for each
 *   keep/           heartbeat: renews what the table holds        upkeep/       reaper: trims, unblocks the dispatcher
 *   tell/           notices: the host's callbacks
 *
 * Shared state, all of it (who writes → who reads; atomics unless said):
 *   slots           see job/slot.h                                ready, done   see queue/
 *   is_stopping     stop → dispatcher, reaper                     drain_ns      stop → handlers, settler
 *   has_settled     end_settler → heartbeat                       wants_slots   dispatcher ⇄ settler
 *   acked           settler → reaper                              blocked_id    dispatcher → reaper
 *   counters        each its own thread → inspect                 registry      host → workers (RCU)
 *
 * Starts from the drain to the tap: notices, settler, heartbeat, workers, reaper, dispatcher. Stops from the tap to the drain:
 * a stop tells dispatcher and reaper; the dispatcher closes ready, the last worker closes done, the settler ends when every slot
 * is free, then the heartbeat, then notices. Each knows only the queue behind it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/uuid.h"
#include "config/config.h"
#include "config/policy.h"
#include "inspect/stats.h"
#include "pool.h"
#include "run/cores.h"
#include "upkeep/trim.h"
#include "wire/group.h"

enum { KEEP_CHUNKS = 32, SPARE_SLOTS = 64, CONNS = 4, RETRY_CONNECT_MS = 2000, REAPER_SHARE = 64 };

struct quern_pool {
    quern_config *config;
    struct url url;
    char *consumer;
    char names[CONNS][96];
    struct source source;
    uint32_t wanted_threads;
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
    struct dispatcher_start dispatcher_start;
    struct settler_start settler_start;
    struct heartbeat_start heartbeat_start;
    struct reaper_start reaper_start;
    struct conn *conns[CONNS];
    pthread_t dispatcher, settler, heartbeat, reaper;
    bool has_dispatcher, has_settler, has_heartbeat, has_reaper;
    pthread_mutex_t lock; /* guards joining */
    bool is_joined;
};

enum { CONN_DISPATCHER, CONN_SETTLER, CONN_HEARTBEAT, CONN_REAPER };
static const char *const roles[CONNS] = {"dispatcher", "settler", "heartbeat", "reaper"};
