/* SPDX-License-Identifier: MIT */

/* inspect/queue: a queue's numbers.
 * Idea       what waits is unread, in the stream or in the group's retry stream; what runs is pending there, or alone. How fast they are
 *            settled is seen by looking twice: what was handed out, less what is pending, at both times. */
#include <poll.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "inspect/backlog.h"
#include "inspect/processes.h"
#include "inspect/show.h"
#include "wire/pending.h"

enum { SAMPLE_MAX_MS = 3600000 };

/* What is seen, before it is shown. */
struct sight {
    struct backlog stream, retry, alone; /* of the last one only what is pending counts */
    bool has_rate, has_published;
    double done_per_s, published_per_s;
    int64_t delayed, scheduled, batches, alone_length, dead, completed, length;
    bool has_due, has_held;
    int64_t next_due_ms, oldest_held_ms;
    json_t *processes, *paused;
};

static int read_backlogs(struct look *look, struct sight *sight, quern_error *err)
{
    int code = backlog_read(look, look->source.stream, &sight->stream, err);
    return code ? code : backlog_read(look, look->source.retry, &sight->retry, err);
}

static void wait_ms(int64_t ms)
{
    int64_t end_ns = clock_deadline_ns(clock_now_ns(), ms);
    while (clock_now_ns() < end_ns) poll(NULL, 0, clock_poll_ms(end_ns));
}

/* Looks twice. A group that was made anew in between, or of which Redis has lost count, has no rate. */
static int read_rate(struct look *look, int64_t sample_ms, struct sight *sight, quern_error *err)
{
    int64_t began_ns = clock_now_ns();
    int code = read_backlogs(look, sight, err);
    if (code || sample_ms <= 0) return code;
    struct backlog stream = sight->stream, retry = sight->retry;
    wait_ms(sample_ms);
    if ((code = read_backlogs(look, sight, err))) return code;
    double elapsed_ns = (double)(clock_now_ns() - began_ns);
    int64_t settled = sight->stream.settled - stream.settled + sight->retry.settled - retry.settled;
    sight->has_rate = sight->stream.has_group && stream.is_settled_known && retry.is_settled_known &&
                      sight->stream.is_settled_known && sight->retry.is_settled_known && settled >= 0;
    sight->done_per_s = (double)settled * (double)NS_PER_S / elapsed_ns;
    int64_t published = sight->stream.added - stream.added;
    sight->has_published = stream.added >= 0 && sight->stream.added >= 0 && published >= 0;
    sight->published_per_s = (double)published * (double)NS_PER_S / elapsed_ns;
    return look_at_clock(look, err);
}

/* Without its group nobody knows where the stream would be read from; the retry stream is the group's own. */
static int read_waiting(struct look *look, struct sight *sight, quern_error *err)
{
    int code = sight->stream.has_group ? backlog_count(look, look->source.stream, &sight->stream, err) : QUERN_OK;
    return code ? code : backlog_count(look, look->source.retry, &sight->retry, err);
}

static int read_oldest_held(struct look *look, const char *stream, const struct backlog *backlog, struct sight *sight,
                            quern_error *err)
{
    struct pending_row row;
    size_t count = 0;
    if (!backlog->pending) return QUERN_OK;
    struct pending_page page = {.stream = stream, .group = look->source.group};
    int code = pending_read(look->conn, &page, &row, 1, &count, err);
    if (code || !count) return code;
    int64_t age_ms = show_age_ms(look->now_ms, row.id);
    if (!sight->has_held || age_ms > sight->oldest_held_ms) sight->oldest_held_ms = age_ms;
    sight->has_held = true;
    return QUERN_OK;
}

static int read_delayed(struct look *look, struct sight *sight, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "ZCARD", look->source.delayed, NULL);
    int code = look_ask_number(look, &sight->delayed, err);
    if (code) return code;
    conn_command(look->conn, "ZRANGE", look->source.delayed, "0", "0", "WITHSCORES", NULL);
    if ((code = look_ask(look, &reply, err))) return code;
    int64_t due_ms = reply_number(reply_item(reply, 1), -1);
    sight->has_due = due_ms >= 0;
    sight->next_due_ms = due_ms > look->now_ms ? due_ms - look->now_ms : 0;
    return QUERN_OK;
}

static int read_scheduled(struct look *look, struct sight *sight, quern_error *err)
{
    conn_command(look->conn, "ZCARD", look->source.scheduled, NULL);
    return look_ask_number(look, &sight->scheduled, err);
}

static int read_batches(struct look *look, struct sight *sight, quern_error *err)
{
    conn_command(look->conn, "ZCARD", look->source.batches, NULL);
    return look_ask_number(look, &sight->batches, err);
}

static int read_length(struct look *look, const char *stream, int64_t *length, quern_error *err)
{
    conn_command(look->conn, "XLEN", stream, NULL);
    return look_ask_number(look, length, err);
}

static int read_paused(struct look *look, struct sight *sight, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "SMEMBERS", look->source.paused, NULL);
    int code = look_ask(look, &reply, err);
    if (code) return code;
    sight->paused = json_array();
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) {
        quern_bytes event = reply_bytes(&reply->items[i]);
        json_array_append_new(sight->paused, json_stringn(event.at, event.len)); /* what is no text pauses nothing */
    }
    return sight->paused ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for an answer");
}

static int read_all(struct look *look, int64_t sample_ms, struct sight *sight, quern_error *err)
{
    const struct source *source = &look->source;
    int code = look_for_stream(look, source->retry, err);
    if (!code) code = read_rate(look, sample_ms, sight, err);
    if (!code) code = backlog_read(look, source->alone, &sight->alone, err);
    if (!code) code = read_waiting(look, sight, err);
    if (!code) code = read_oldest_held(look, source->stream, &sight->stream, sight, err);
    if (!code) code = read_oldest_held(look, source->retry, &sight->retry, sight, err);
    if (!code) code = read_oldest_held(look, source->alone, &sight->alone, sight, err);
    if (!code) code = read_delayed(look, sight, err);
    if (!code) code = read_scheduled(look, sight, err);
    if (!code) code = read_batches(look, sight, err);
    if (!code) code = read_length(look, source->alone, &sight->alone_length, err);
    if (!code) code = read_length(look, source->dead, &sight->dead, err);
    if (!code) code = read_length(look, source->completed, &sight->completed, err);
    if (!code) code = read_length(look, source->stream, &sight->length, err);
    if (!code) code = processes_read(look, &sight->processes, err);
    if (!code) code = read_paused(look, sight, err);
    return code;
}

static bool show_waiting(json_t *object, const struct sight *sight)
{
    int64_t waiting = sight->stream.unread + sight->retry.unread;
    bool is_exact = sight->stream.has_group && sight->stream.is_exact && sight->retry.is_exact;
    return show_number_or_null(object, "waiting", waiting, is_exact) && show_number(object, "waiting_at_least", waiting);
}

static bool show_running(json_t *object, const struct sight *sight)
{
    int64_t alone = sight->alone.pending;
    return show_number(object, "running", sight->stream.pending + sight->retry.pending + alone) &&
           show_number(object, "alone", sight->alone_length > alone ? sight->alone_length - alone : 0);
}

static bool show_oldest(json_t *object, int64_t now_ms, const struct sight *sight)
{
    int64_t stream_ms = sight->stream.has_oldest ? show_age_ms(now_ms, sight->stream.oldest) : -1;
    int64_t retry_ms = sight->retry.has_oldest ? show_age_ms(now_ms, sight->retry.oldest) : -1;
    int64_t oldest_ms = stream_ms > retry_ms ? stream_ms : retry_ms;
    return show_number_or_null(object, "oldest_waiting_ms", oldest_ms, oldest_ms >= 0) &&
           show_number_or_null(object, "oldest_held_ms", sight->oldest_held_ms, sight->has_held);
}

static bool show_rate(json_t *object, const char *name, double per_s, bool is_known)
{
    return !json_object_set_new(object, name, is_known ? json_real(per_s) : json_null());
}

static json_t *object_of(const struct look *look, const struct sight *sight)
{
    json_t *object = json_pack("{s:s, s:s, s:b}", "stream", look->source.stream, "group", look->source.group, "has_group",
                               sight->stream.has_group);
    bool is_whole = object && show_waiting(object, sight) && show_running(object, sight) &&
                    show_number(object, "delayed", sight->delayed) &&
                    show_number_or_null(object, "next_due_ms", sight->next_due_ms, sight->has_due) &&
                    show_number(object, "scheduled", sight->scheduled) && show_number(object, "dead", sight->dead) &&
                    show_number(object, "completed", sight->completed) && show_number(object, "length", sight->length) &&
                    show_number(object, "batches", sight->batches) &&
                    show_rate(object, "published_per_s", sight->published_per_s, sight->has_published) &&
                    show_rate(object, "done_per_s", sight->done_per_s, sight->has_rate) &&
                    show_oldest(object, look->now_ms, sight) && !json_object_set(object, "processes", sight->processes) &&
                    !json_object_set(object, "paused", sight->paused);
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

char *quern_queue_stats(const quern_config *config, int64_t sample_ms, quern_error *err)
{
    struct look look;
    struct sight sight = {0};
    quern_error own;
    if (!err) err = &own;
    if (sample_ms < 0 || sample_ms > SAMPLE_MAX_MS) {
        err_set(err, QUERN_E_ARGUMENT, "sample_ms: from 0 to %d", SAMPLE_MAX_MS);
        return NULL;
    }
    if (look_open(&look, config, err)) return NULL;
    int code = read_all(&look, sample_ms, &sight, err);
    char *text = code ? NULL : show_text(object_of(&look, &sight), err);
    json_decref(sight.processes);
    json_decref(sight.paused);
    look_close(&look);
    return text;
}
