/* SPDX-License-Identifier: MIT */
#include "inspect/stats.h"

#include <jansson.h>

#include "base/clock.h"
#include "pool.h"

static json_int_t n(const struct counter *counter)
{
    return counter_read(counter);
}

/* Milliseconds since a moment of our clock; -1: it never was. */
static json_int_t ago_ms(const struct counter *at_ns)
{
    int64_t then_ns = counter_read(at_ns);
    return then_ns ? (clock_now_ns() - then_ns) / NS_PER_MS : -1;
}

static json_t *jobs(const struct pool_view *view)
{
    const struct settle_counters *settle = view->settle;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "fetched", n(&view->intake->fetched),
                     "adopted", n(&view->intake->adopted), "waiting", (json_int_t)view->waiting, "running",
                     (json_int_t)view->crew.running, "held", (json_int_t)view->held, "done", n(&settle->done), "retry",
                     n(&settle->retry), "dead", n(&settle->dead), "malformed", n(&settle->malformed), "unhandled",
                     n(&settle->unhandled), "released", n(&settle->released), "left_pending", n(&settle->left));
}

static json_t *leases(const struct pool_view *view)
{
    return json_pack("{s:I, s:I, s:I}", "renewed", n(&view->heartbeat->renewed), "lost",
                     n(&view->heartbeat->lost) + n(&view->settle->lost), "ambiguous", n(&view->settle->ambiguous));
}

static json_t *redis(const struct pool_view *view)
{
    return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "up", atomic_load(&view->outage->links_down) == 0, "outages",
                     (json_int_t)atomic_load(&view->outage->count), "reads", n(&view->intake->reads), "settles",
                     n(&view->settle->batches), "trimmed", n(&view->reaper->trimmed), "last_fetch_ms",
                     ago_ms(&view->intake->last_ns), "last_settle_ms", ago_ms(&view->settle->last_ns), "last_renewal_ms",
                     ago_ms(&view->heartbeat->last_ns));
}

char *stats_text(const struct pool_view *view)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I}", "stream", view->source->stream, "group",
                  view->source->group, "consumer", view->consumer, "stopping", view->is_stopping, "uptime_ms",
                  (json_int_t)view->uptime_ms, "threads", (json_int_t)view->crew.threads, "run_us",
                  (json_int_t)(view->crew.run_ns / NS_PER_US), "slots", (json_int_t)view->slots, "jobs", jobs(view), "leases",
                  leases(view), "redis", redis(view), "reply_bytes", (json_int_t)view->reply_bytes, "notices_dropped",
                  (json_int_t)view->notices_dropped);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
