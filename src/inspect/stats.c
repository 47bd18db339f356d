/* SPDX-License-Identifier: MIT */
#include "inspect/stats.h"

#include <jansson.h>

#include "base/clock.h"
#include "inspect/running.h"
#include "job/bill.h"
#include "job/codec.h"
#include "job/slot.h"

enum { REAL_DIGITS = 12 }; /* else 0.1 is told as 0.10000000000000001 */

/* One number and its name; the order is that of the text. */
struct number {
    const char *name;
    int64_t value;
};

static bool put_numbers(json_t *object, const struct number *numbers)
{
    for (; numbers->name; numbers++)
        if (json_object_set_new(object, numbers->name, json_integer(numbers->value))) return false;
    return true;
}

static bool put_object(json_t *root, const char *name, const struct number *numbers)
{
    json_t *object = json_object();
    return object && put_numbers(object, numbers) && !json_object_set_new(root, name, object);
}

static bool put_jobs(json_t *root, const struct stats *stats)
{
    return put_object(
        root, "jobs",
        (struct number[]){{"fetched", stats->fetched},     {"adopted", stats->adopted},     {"waiting", stats->waiting},
                          {"running", stats->running},     {"held", stats->held},           {"done", stats->done},
                          {"retry", stats->retry},         {"dead", stats->dead},           {"malformed", stats->malformed},
                          {"too_large", stats->too_large}, {"expired", stats->expired},     {"timeout", stats->timeout},
                          {"poison", stats->poison},       {"cancelled", stats->cancelled}, {"unhandled", stats->unhandled},
                          {"parked", stats->parked},       {"postponed", stats->postponed}, {"released", stats->released},
                          {"left_pending", stats->left},   {"unsettled", stats->unsettled}, {NULL, 0}});
}

static bool put_leases(json_t *root, const struct stats *stats)
{
    return put_object(
        root, "leases",
        (struct number[]){{"renewed", stats->renewed}, {"lost", stats->lost}, {"ambiguous", stats->ambiguous}, {NULL, 0}});
}

static bool put_upkeep(json_t *root, const struct stats *stats)
{
    return put_object(root, "upkeep",
                      (struct number[]){{"reclaimed", stats->reclaimed},
                                        {"due", stats->due},
                                        {"scheduled", stats->scheduled},
                                        {"deleted", stats->deleted},
                                        {"swept", stats->swept},
                                        {"trimmed", stats->trimmed},
                                        {"dead_trimmed", stats->dead_trimmed},
                                        {"second_gear", stats->is_deleting},
                                        {NULL, 0}});
}

static bool put_redis(json_t *root, const struct stats *stats)
{
    return put_object(root, "redis",
                      (struct number[]){{"up", stats->is_up},
                                        {"outages", stats->outages},
                                        {"reads", stats->reads},
                                        {"settles", stats->settles},
                                        {"last_fetch_ms", stats->last_fetch_ms},
                                        {"last_settle_ms", stats->last_settle_ms},
                                        {"last_renewal_ms", stats->last_renewal_ms},
                                        {NULL, 0}});
}

static bool put_queues(json_t *root, const struct stats *stats)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < stats->queue_count; i++) {
        const struct stats_queue *queue = &stats->queues[i];
        if (json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:I}", "stream", queue->stream, "group", queue->group,
                                                  "weight", (json_int_t)queue->weight, "fetched", (json_int_t)queue->fetched,
                                                  "held", (json_int_t)queue->held)))
            return json_decref(list), false;
    }
    return json_object_set_new(root, "queues", list) == 0;
}

static json_t *times(const struct histogram_sums *sums)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "p50", (double)sums->p50_us / 1000, "p90", (double)sums->p90_us / 1000,
                     "p99", (double)sums->p99_us / 1000, "p999", (double)sums->p999_us / 1000, "max",
                     (double)sums->max_us / 1000, "mean", sums->mean_us / 1000);
}

static bool put_event(void *list, const struct bill_sums *sums)
{
    json_t *event =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "event", sums->event, "jobs", (json_int_t)sums->jobs, "done",
                  (json_int_t)sums->done, "retry", (json_int_t)sums->retry, "dead", (json_int_t)sums->dead, "cpu_s",
                  (double)sums->cpu_ns / (double)NS_PER_S, "wait_ms", times(&sums->wait), "run_ms", times(&sums->run));
    return event && !json_array_append_new(list, event);
}

static bool put_events(json_t *root, const struct stats *stats)
{
    json_t *events = json_array();
    if (bill_each(stats->bill, put_event, events)) return !json_object_set_new(root, "events", events);
    json_decref(events);
    return false;
}

static const char *stream_of(const struct stats *stats, const struct board_row *row)
{
    return row->is.queue < stats->queue_count ? stats->queues[row->is.queue].stream : NULL;
}

/* Each by itself: jobs start and end meanwhile. */
static bool put_running(json_t *root, const struct stats *stats)
{
    struct slots *table = stats->table;
    struct board_row row;
    json_t *list = json_array();
    bool is_whole = list && !json_object_set_new(root, "running_jobs", list);
    for (uint32_t i = 0; is_whole && i < slots_count(table); i++)
        if (slot_runs(slots_at(table, i), &row))
            is_whole = !json_array_append_new(
                list, running_object(&row, stream_of(stats, &row), clock_now_ns(), board_cpu_ns(&row.is.thread)));
    return is_whole;
}

char *stats_text(const struct stats *stats)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:b, s:s?}", "stream", stats->stream, "group", stats->group, "consumer", stats->consumer,
                  "healthy", stats->unhealthy_because == NULL, "unhealthy_because", stats->unhealthy_because);
    bool is_whole = root &&
                    put_numbers(root, (struct number[]){{"stopping", stats->is_stopping},
                                                        {"paused", stats->is_paused},
                                                        {"uptime_ms", stats->uptime_ms},
                                                        {"threads", stats->threads},
                                                        {"threads_stuck", stats->threads_stuck},
                                                        {"run_us", stats->run_us},
                                                        {"slots", stats->slots},
                                                        {"reply_bytes", stats->reply_bytes},
                                                        {"notices_dropped", stats->notices_dropped},
                                                        {NULL, 0}}) &&
                    put_jobs(root, stats) && put_leases(root, stats) && put_upkeep(root, stats) && put_redis(root, stats) &&
                    put_queues(root, stats) && put_events(root, stats) && put_running(root, stats);
    char *text = is_whole ? codec_text(root, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(root);
    return text;
}
