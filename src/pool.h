/* SPDX-License-Identifier: MIT */

/* pool: what inspect/ may read of a pool. */
#ifndef QUERN_POOL_H
#define QUERN_POOL_H

#include "intake/dispatcher.h"
#include "keep/heartbeat.h"
#include "run/crew.h"
#include "settle/settler.h"
#include "tell/notices.h"
#include "tell/outage.h"
#include "upkeep/reaper.h"

/* Everything a snapshot is made of; each counter is written by the thread that owns it. */
struct pool_view {
    const char *consumer;
    const struct source *sources;
    uint32_t source_count;
    struct crew_sums crew;
    uint32_t waiting, held, slots;
    int64_t reply_bytes, uptime_ms;
    bool is_stopping;
    const struct intake_counters *intake;
    const struct settle_counters *settle;
    const struct heartbeat_counters *heartbeat;
    const struct reaper_counters *reaper;
    const struct outage *outage;
    uint64_t notices_dropped;
};

#endif
