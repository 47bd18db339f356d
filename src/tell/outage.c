/* SPDX-License-Identifier: MIT */
#include "tell/outage.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "tell/notices.h"

void outage_down(void *given, const quern_error *why)
{
    struct outage *outage = given;
    if (atomic_fetch_add(&outage->links_down, 1) > 0) return;
    atomic_fetch_add(&outage->count, 1);
    atomic_store(&outage->since_ns, clock_now_ns());
    log_event(outage->log, LOG_WARNING, "redis_lost", LOG_TEXT("why", why->text),
              LOG_TEXT("then", "trying again until it answers"));
    notices_post(outage->notices, &(quern_notice){.what = QUERN_NOTICE_OUTAGE, .text = why->text, .cpu_us = -1});
}

bool outage_is_known(void *given, int64_t opened_ns)
{
    struct outage *outage = given;
    int64_t back_ns = atomic_load(&outage->back_ns);
    /* Made while the server was still loading, and told so only now that others have found it ready: the same outage. */
    bool is_late = opened_ns < back_ns && clock_now_ns() - back_ns < NS_PER_S;
    return is_late || opened_ns < atomic_load(&outage->since_ns);
}

void outage_up(void *given)
{
    struct outage *outage = given;
    if (atomic_load(&outage->links_down) == 1) atomic_store(&outage->back_ns, clock_now_ns()); /* before anybody sees it */
    if (atomic_fetch_sub(&outage->links_down, 1) > 1) return;
    int64_t away_ms = (clock_now_ns() - atomic_load(&outage->since_ns)) / NS_PER_MS;
    log_event(outage->log, LOG_INFO, "redis_back", LOG_INT("away_ms", away_ms));
    notices_post(outage->notices, &(quern_notice){.what = QUERN_NOTICE_BACK, .cpu_us = -1});
}
