/* SPDX-License-Identifier: MIT */
#include "publish/enqueue.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "job/codec.h"
#include "publish/fields.h"
#include "publish/receipts.h"
#include "wire/script.h"

enum { PARTS = 4, KEYS = 9, HEAD_ARGS = 11, BATCH_ARGS = 3, MESSAGE_ARGS = 7 };

/* ── the letter of a job that is dropped ─────────────────────────────────────────────────────────────────────────── */

/* Its data in parts, as the script wants it. The job goes along as the letter's own fields, "original:…" (job/letter). */
struct letter_parts {
    char *whole; /* malloc'd; the parts lie in it */
    const char *parts[PARTS];
};

static char *quoted(const char *text)
{
    json_t *value = json_string(text);
    char *json = value ? codec_text(value, JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    return json;
}

static bool letter_parts(struct letter_parts *letter, const quern_config *config)
{
    static const char format[] = "{\"original_id\":%c,\"original_event\":%c,\"original_data\":null,\"source_stream_id\":\"%c"
                                 "\",\"retries\":0,\"error\":\"more than max_pending jobs waited: the oldest made room\","
                                 "\"reason\":\"dropped\",\"stream\":%s,\"group\":%s,\"consumer\":null,\"deliveries\":0,"
                                 "\"first_seen\":null,\"duration_ms\":0,\"signal\":null,\"backtrace\":null}";
    char *stream = quoted(config->stream), *group = quoted(config->group);
    int n = stream && group ? asprintf(&letter->whole, format, 1, 1, 1, stream, group) : -1;
    free(stream);
    free(group);
    if (n < 0) return false;
    char *at = letter->whole;
    for (int i = 0; i < PARTS; i++) {
        letter->parts[i] = at;
        at += strcspn(at, "\1");
        if (*at) *at++ = 0;
    }
    return true;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_head(struct conn *conn, const struct outgoing *batch, const struct letter_parts *letter, size_t args)
{
    const quern_config *config = batch->config;
    script_begin(conn, &script_enqueue, KEYS + outgoing_windows(batch), HEAD_ARGS + args);
    conn_arg_text(conn, config->stream);
    conn_arg_text(conn, batch->marker);
    conn_arg_text(conn, batch->keys->scheduled);
    conn_arg_text(conn, batch->keys->scheduled_jobs);
    conn_arg_text(conn, batch->keys->dead);
    conn_arg_text(conn, batch->keys->batches);
    conn_arg_text(conn, batch->keys->batch_open);
    conn_arg_text(conn, batch->keys->batch_state);
    conn_arg_text(conn, batch->keys->retry);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->windows[i]) conn_arg_text(conn, batch->windows[i]);
    conn_arg_number(conn, (int64_t)batch->number);
    conn_arg_number(conn, batch->marker_ms);
    conn_arg_text(conn, batch->stamps);
    conn_arg_text(conn, config->group);
    conn_arg_number(conn, config->max_pending);
    conn_arg_number(conn, config->on_max_pending == PENDING_DROP_OLDEST);
    for (int i = 0; i < PARTS; i++) conn_arg_text(conn, letter->parts[i]);
    conn_arg_text(conn, batch->batch ? batch->batch->id : "");
}

static void put_fields(struct conn *conn, const struct fields *fields)
{
    conn_arg_number(conn, fields->count);
    for (uint32_t f = 0; f < fields->count; f++) conn_arg(conn, fields->at[f].at, fields->at[f].len);
}

static void put_batch(struct conn *conn, const struct outgoing_batch *batch, const struct fields *then)
{
    conn_arg_number(conn, batch->wait_ms);
    conn_arg_number(conn, batch->sealed_ms);
    put_fields(conn, then);
}

/* A microsecond for each that stands before it: jobs of one time go in the order in which they were published. */
static void put_time(struct conn *conn, int64_t ms, size_t place)
{
    char text[40];
    snprintf(text, sizeof text, "%lld.%03zu", (long long)ms + (long long)(place / 1000), place % 1000);
    conn_arg_text(conn, ms ? text : "0");
}

static void put_message(struct conn *conn, const struct outgoing *batch, size_t i, const struct fields *fields, int64_t window)
{
    const quern_message *message = &batch->messages[i];
    char letter_id[UUID_SIZE];
    uuid_text(letter_id);
    conn_arg_text(conn, batch->receipts[i].id);
    put_time(conn, message->at_ms, batch->place + i);
    put_time(conn, message->delay_ms, i); /* by Redis's clock, which goes on from batch to batch */
    conn_arg_text(conn, letter_id);
    conn_arg_number(conn, window);
    conn_arg_number(conn, message->unique_ms ? message->unique_ms : batch->config->unique_ms);
    put_fields(conn, fields);
}

/* The closing job is read by the group alone, so any shape will do; its id is the batch's. */
static int write_then(const struct outgoing *batch, struct fields *then, quern_error *err)
{
    *then = (struct fields){0};
    if (!batch->batch || !batch->batch->then) return QUERN_OK;
    struct fields_more more = {batch->batch->id, batch->stamps, NULL};
    return fields_write(then, SHAPE_FIELDS, batch->batch->then, &more, err);
}

static int put_all(struct conn *conn, const struct outgoing *batch, struct fields *fields, quern_error *err)
{
    struct letter_parts letter;
    struct fields then;
    size_t args = MESSAGE_ARGS * batch->count;
    int64_t window = KEYS;
    const char *field = batch->batch ? batch->batch->field : NULL;
    for (size_t i = 0; i < batch->count; i++) {
        int code = fields_write(&fields[i], batch->config->publish_shape, &batch->messages[i],
                                &(struct fields_more){batch->receipts[i].id, batch->stamps, field}, err);
        if (code) return code;
        args += fields[i].count;
    }
    int code = write_then(batch, &then, err);
    if (code) return code;
    if (!letter_parts(&letter, batch->config)) return err_set(err, QUERN_E_MEMORY, "no memory to publish");
    put_head(conn, batch, &letter, args + (batch->batch ? BATCH_ARGS + then.count : 0));
    if (batch->batch) put_batch(conn, batch->batch, &then);
    for (size_t i = 0; i < batch->count; i++) put_message(conn, batch, i, &fields[i], batch->windows[i] ? ++window : 0);
    free(letter.whole);
    return QUERN_OK;
}

int enqueue(struct conn *conn, const struct outgoing *batch, int64_t deadline_ns, int *sent, struct error_meaning *meaning,
            quern_error *err)
{
    const struct reply *reply = NULL;
    struct fields *fields = calloc(batch->count + 1, sizeof *fields);
    int code = fields ? put_all(conn, batch, fields, err) : err_set(err, QUERN_E_MEMORY, "no memory to publish");
    if (!code) {
        *sent = SENT_UNANSWERED;
        code = script_ask(conn, &script_enqueue, deadline_ns, &reply, meaning, err);
        if (!code && bytes_is(reply_bytes(reply), "-"))
            code = err_set(err, QUERN_E_GONE, "the batch %s is over: it waited too long for this, or was sealed",
                           batch->batch->id);
        else if (!code)
            code = receipts_take(batch, reply_bytes(reply), script_enqueue.name, err);
        if (code == QUERN_E_GONE) *sent = SENT_NOTHING;
        if (reply && reply->type == REPLY_ERROR) *sent = script_has_begun(reply) ? SENT_HALF : SENT_NOTHING;
    }
    for (size_t i = 0; fields && i < batch->count; i++) fields_free(&fields[i]);
    free(fields);
    return code;
}
