/* SPDX-License-Identifier: MIT */
#include "upkeep/heed.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "job/slot.h"
#include "queue/orders.h"
#include "upkeep/reaper.h"

enum { PAGE = 1000 };

/* A list of texts as orders_set_paused() takes it; NULL: no memory. */
static char **texts_of(const struct reply *list)
{
    uint32_t count = list->type == REPLY_ARRAY ? list->count : 0;
    char **texts = calloc(count + 1, sizeof *texts);
    for (uint32_t i = 0; texts && i < count; i++) {
        if ((texts[i] = bytes_copy(reply_bytes(&list->items[i])))) continue;
        while (i > 0) free(texts[--i]);
        free(texts);
        return NULL;
    }
    return texts;
}

enum { CALLS = 50, CALL_AGAIN_MS = 2 };

/* One read. It may not have reached Redis yet: asked until it was met there, or is answered, but not for ever. Without the right to
 * CLIENT UNBLOCK it ends by its own BLOCK. */
static int call_back(const _Atomic int64_t *blocked_id, struct conn *conn, quern_error *err)
{
    char id[24];
    const struct reply *reply;
    int64_t blocked = atomic_load(blocked_id);
    snprintf(id, sizeof id, "%lld", (long long)blocked);
    for (int i = 0; blocked > 0 && i < CALLS && atomic_load(blocked_id) == blocked; i++) {
        conn_command(conn, "CLIENT", "UNBLOCK", id, NULL);
        int code = conn_ask(conn, &reply, err);
        if (code) return code == QUERN_E_AUTH ? QUERN_OK : code;
        if (reply_number(reply, 0)) return QUERN_OK;
        poll(NULL, 0, CALL_AGAIN_MS);
    }
    return QUERN_OK;
}

/* Whoever waits in Redis for some of the queues waits for the wrong ones now. */
static int call_dispatcher(const struct reaper_needs *needs, struct conn *conn, quern_error *err)
{
    int code = QUERN_OK;
    waker_wake(needs->dispatcher);
    for (uint32_t i = 0; i < needs->source_count && !code; i++) code = call_back(&needs->blocked_ids[i], conn, err);
    return code;
}

/* events is not there any more when it returns. */
static int heed_paused(const struct reaper_needs *needs, uint32_t queue, struct heeded *heeded, const struct reply *events,
                       struct conn *conn, quern_error *err)
{
    bool has_paused = events->type == REPLY_ARRAY && events->count;
    if (!has_paused && !heeded->had_paused && heeded->has_looked) return QUERN_OK;
    char **texts = texts_of(events);
    if (!texts) return err_set(err, QUERN_E_MEMORY, "no memory for the events that are paused");
    const char *first = texts[0], *stream = needs->sources[queue].stream; /* theirs until the next look */
    bool was_held = orders_hold(needs->orders, queue), had_paused = heeded->had_paused;
    heeded->had_paused = has_paused;
    orders_set_paused(needs->orders, queue, texts);
    int code = was_held != orders_hold(needs->orders, queue) ? call_dispatcher(needs, conn, err) : QUERN_OK;
    if (has_paused && !had_paused)
        log_event(needs->log, LOG_INFO, "events_paused", LOG_TEXT("stream", stream), LOG_TEXT("first", first));
    if (!has_paused && had_paused) log_event(needs->log, LOG_INFO, "events_resumed", LOG_TEXT("stream", stream));
    return code;
}

/* ── cancelled jobs ──────────────────────────────────────────────────────────────────────────────────────────────── */

static int read_page(const struct source *source, struct conn *conn, uint32_t from, struct cancelled *list, uint32_t *count,
                     quern_error *err)
{
    const struct reply *reply;
    char first[16], last[16];
    snprintf(first, sizeof first, "%u", from);
    snprintf(last, sizeof last, "%u", from + PAGE - 1);
    conn_command(conn, "ZRANGE", source->cancelled, first, last, "WITHSCORES", NULL);
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    for (*count = 0; reply->type == REPLY_ARRAY && 2 * *count + 1 < reply->count && *count < PAGE; ++*count)
        list[*count] = (struct cancelled){bytes_hash(reply_bytes(&reply->items[2 * *count])),
                                          reply_number(&reply->items[2 * *count + 1], 0)};
    return QUERN_OK;
}

/* The bound is the operator's command's; what came meanwhile is there at the next look. */
static int read_all(const struct source *source, struct conn *conn, uint32_t most, struct cancelled *list, uint32_t *count,
                    quern_error *err)
{
    uint32_t got = PAGE;
    int code = QUERN_OK;
    for (*count = 0; !code && got == PAGE && *count < most; *count += got)
        code = read_page(source, conn, *count, list + *count, &got, err);
    return code;
}

/* Those that are held here. */
static void mark(const struct reaper_needs *needs, uint32_t queue)
{
    struct lease lease;
    uint32_t marked = 0;
    for (uint32_t i = 0; i < slots_count(needs->slots); i++) {
        struct quern_job *job = slots_at(needs->slots, i);
        if (!slot_look(job, &lease) || lease.origin / LANES != queue) continue;
        int64_t born_ms = atomic_load_explicit(&job->born_ms, memory_order_relaxed);
        if (orders_is_cancelled(needs->orders, queue, lease.identity, born_ms))
            marked += slot_mark(job, lease.generation, SLOT_CANCELLED);
    }
    if (marked)
        log_event(needs->log, LOG_INFO, "cancelled", LOG_INT("jobs", marked),
                  LOG_TEXT("then", "those that run are told; what they come to is recorded, and none is tried again"));
}

static int heed_cancelled(const struct reaper_needs *needs, uint32_t queue, struct heeded *heeded, const struct heard *heard,
                          struct conn *conn, quern_error *err)
{
    if (heeded->has_looked && heard->cancelled == heeded->cancelled && heard->last_ms == heeded->last_ms) return QUERN_OK;
    uint32_t most = (uint32_t)(heard->cancelled < CANCELLED_MAX ? heard->cancelled : CANCELLED_MAX) + PAGE, count = 0;
    struct cancelled *list = malloc((most + PAGE) * sizeof *list);
    if (!list) return err_set(err, QUERN_E_MEMORY, "no memory for the jobs that are cancelled");
    int code = heard->cancelled ? read_all(&needs->sources[queue], conn, most, list, &count, err) : QUERN_OK;
    if (code) {
        free(list);
        return code;
    }
    heeded->cancelled = heard->cancelled;
    heeded->last_ms = heard->last_ms;
    orders_set_cancelled(needs->orders, queue, list, count);
    mark(needs, queue);
    return QUERN_OK;
}

int heed(const struct reaper_needs *needs, uint32_t queue, struct heeded *heeded, const struct heard *heard, struct conn *conn,
         quern_error *err)
{
    int code = heed_paused(needs, queue, heeded, heard->events, conn, err);
    if (!code) code = heed_cancelled(needs, queue, heeded, heard, conn, err);
    if (!code) heeded->has_looked = true;
    return code;
}

int heed_now(const struct reaper_needs *needs, uint32_t queue, struct conn *conn, quern_error *err)
{
    const struct source *source = &needs->sources[queue];
    const struct reply *reply;
    struct heeded nothing = {0};
    conn_command(conn, "ZCARD", source->cancelled, NULL);
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    struct heard heard = {.cancelled = reply_number(reply, 0)};
    conn_command(conn, "SMEMBERS", source->paused, NULL);
    if ((code = conn_ask(conn, &heard.events, err))) return code;
    return heed(needs, queue, &nothing, &heard, conn, err);
}
