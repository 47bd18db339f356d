/* SPDX-License-Identifier: MIT */

/* pool: what inspect/ may see of one. */
#ifndef QUERN_POOL_H
#define QUERN_POOL_H

#include "intake/dispatcher.h"
#include "keep/heartbeat.h"
#include "run/crew.h"
#include "settle/settler.h"
#include "tell/notices.h"
#include "tell/outage.h"
#include "upkeep/reaper.h"

/* What a snapshot is made of; each counter is written by the thread that owns it. */
struct pool_view {
    const char *consumer;
    const struct source *source;
    struct crew_sums crew;
    uint32_t waiting, held, slots; /* jobs that wait for a thread; slots in use; slots in all */
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
