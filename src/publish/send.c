/* SPDX-License-Identifier: MIT */
#include "publish/send.h"

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "publish/check.h"
#include "publish/enqueue.h"
#include "publish/receipts.h"
#include "wire/entry.h"
#include "wire/script.h"

static void put_bytes(struct conn *conn, quern_bytes bytes)
{
    conn_arg(conn, bytes.at, bytes.len);
}

/* false: what is to be an entry's id is none, so it is not known what happened. */
static bool set_entry(quern_receipt *receipt, const char *at, size_t len)
{
    struct entry_id id;
    if (len >= sizeof receipt->entry || !entry_id_read((quern_bytes){at, len}, &id)) return false;
    memcpy(receipt->entry, at, len);
    receipt->entry[len] = 0;
    receipt->code = QUERN_OK;
    return true;
}

/* ── marked ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

size_t outgoing_windows(const struct outgoing *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) count += batch->windows[i] != NULL;
    return count;
}

/* How long the i-th one's window is open; 0: it has none. */
static int64_t window_ms(const struct outgoing *batch, size_t i)
{
    int64_t own_ms = batch->messages[i].unique_ms;
    return !batch->windows[i] ? 0 : own_ms ? own_ms : batch->config->unique_ms;
}

/* Is all but id and data the same in all of them? Then it is said once: each argument costs Redis as much as a field. */
static bool are_alike(const struct outgoing *batch)
{
    const quern_message *first = batch->messages;
    for (size_t i = 1; i < batch->count; i++) {
        const quern_message *message = &batch->messages[i];
        if (message->is_raw != first->is_raw || window_ms(batch, i) != window_ms(batch, 0)) return false;
        if (message->event != first->event && strcmp(message->event, first->event) != 0) return false;
    }
    return true;
}

static void put_shared(struct conn *conn, const struct outgoing *batch, size_t i)
{
    conn_arg_text(conn, batch->messages[i].event);
    conn_arg_text(conn, batch->messages[i].is_raw ? "bytes" : "");
    if (batch->windows[i])
        conn_arg_number(conn, window_ms(batch, i));
    else
        conn_arg_text(conn, "");
}

/* behind: what has to be there already; 0: whatever is. */
static void put_call(struct conn *conn, const struct outgoing *batch, uint64_t behind)
{
    bool is_shared = are_alike(batch);
    size_t args = is_shared ? 2 : 5;
    script_begin(conn, &script_publish, 2 + outgoing_windows(batch), 8 + args * batch->count);
    conn_arg_text(conn, batch->config->stream);
    conn_arg_text(conn, batch->marker);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->windows[i]) conn_arg_text(conn, batch->windows[i]);
    conn_arg_number(conn, (int64_t)batch->number);
    conn_arg_number(conn, batch->marker_ms);
    conn_arg_text(conn, batch->stamps);
    if (behind)
        conn_arg_number(conn, (int64_t)behind);
    else
        conn_arg_text(conn, "");
    conn_arg_number(conn, (int64_t)args);
    put_shared(conn, batch, 0);
    for (size_t i = 0; i < batch->count; i++) {
        conn_arg_text(conn, batch->receipts[i].id);
        put_bytes(conn, check_data(&batch->messages[i]));
        if (!is_shared) put_shared(conn, batch, i);
    }
}

/* The batch, unless it was sent ahead, and the one behind it: Redis has it to work on while we hear what became of this one. */
static int send_two(struct conn *conn, const struct outgoing *batch, uint64_t *ahead, int64_t deadline_ns, quern_error *err)
{
    bool is_sent = *ahead == batch->number;
    *ahead = 0;
    if (!is_sent) {
        put_call(conn, batch, 0);
        int code = conn_send(conn, deadline_ns, err);
        if (code) return code;
    }
    if (!batch->next || clock_now_ns() >= deadline_ns) return QUERN_OK;
    put_call(conn, batch->next, batch->number);
    *ahead = batch->next->number;
    return conn_send(conn, deadline_ns, err);
}

/* The server does not know the script (any more), or not what the batch was sent behind: once more, by itself. What was sent behind it in
 * turn was refused as well. */
static int send_alone(struct conn *conn, const struct outgoing *batch, uint64_t *ahead, int64_t deadline_ns, int *sent,
                      const struct reply **reply, struct error_meaning *meaning, quern_error *err)
{
    const struct reply *other = NULL;
    *sent = SENT_NOTHING;
    *reply = NULL;
    int code = *ahead ? conn_reply(conn, deadline_ns, &other, err) : QUERN_OK;
    if (code) return code;
    if (other && (other->type != REPLY_ERROR || script_has_begun(other)))
        return err_set(err, QUERN_E_CONNECT,
                       "the server has learned a script anew between two calls: they are asked for again");
    *ahead = 0;
    *sent = SENT_UNANSWERED;
    put_call(conn, batch, 0);
    return script_ask(conn, &script_publish, deadline_ns, reply, meaning, err);
}

static int send_marked(struct conn *conn, const struct outgoing *batch, uint64_t *ahead, int64_t deadline_ns, int *sent,
                       struct error_meaning *meaning, quern_error *err)
{
    const struct reply *reply = NULL;
    *sent = SENT_UNANSWERED;
    int code = send_two(conn, batch, ahead, deadline_ns, err);
    if (!code) code = conn_reply(conn, deadline_ns, &reply, err);
    if (!code && (reply_is_error(reply, "NOSCRIPT") || reply_is_error(reply, "AHEAD")))
        code = send_alone(conn, batch, ahead, deadline_ns, sent, &reply, meaning, err);
    else if (!code)
        code = script_said(&script_publish, reply, meaning, err);
    if (!code) return receipts_take(batch, reply_bytes(reply), script_publish.name, err);
    if (reply && reply->type == REPLY_ERROR) *sent = script_has_begun(reply) ? SENT_HALF : SENT_NOTHING;
    return code;
}

/* ── unmarked ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_xadd(struct conn *conn, const struct outgoing *batch, size_t i)
{
    const quern_message *message = &batch->messages[i];
    conn_begin(conn, message->is_raw ? 15 : 13);
    conn_arg_text(conn, "XADD");
    conn_arg_text(conn, batch->config->stream);
    conn_arg_text(conn, "*");
    conn_arg_text(conn, "id");
    conn_arg_text(conn, batch->receipts[i].id);
    conn_arg_text(conn, "event");
    conn_arg_text(conn, message->event);
    conn_arg_text(conn, "data");
    put_bytes(conn, check_data(message));
    conn_arg_text(conn, "retries");
    conn_arg_text(conn, "0");
    conn_arg_text(conn, "timestamps");
    conn_arg_text(conn, batch->stamps);
    if (!message->is_raw) return;
    conn_arg_text(conn, "data_type");
    conn_arg_text(conn, "bytes");
}

/* What is on its way: from the first that is not answered yet on. */
struct flight {
    size_t next, jobs, bytes; /* next: the first that may be unanswered */
    bool is_overtaken;        /* one was taken behind one that was not */
    int failed; /* what the last answer that was none said; UNKNOWN stays: a later refusal tells nothing of that one */
};

static int take_entry(const struct outgoing *batch, struct flight *flight, const struct reply *reply,
                      struct error_meaning *meaning, quern_error *err)
{
    quern_receipt *receipt = &batch->receipts[flight->next];
    quern_bytes text = reply_bytes(reply);
    flight->jobs--;
    flight->bytes -= check_data(&batch->messages[flight->next++]).len;
    if (reply_is_text(reply) && set_entry(receipt, text.at, text.len)) return QUERN_OK;
    if (reply->type != REPLY_ERROR)
        return receipt->code = err_set(err, QUERN_E_UNKNOWN, "XADD was answered by something that is no entry's id");
    *meaning = error_meaning(text);
    return receipt->code = conn_refused(reply, "XADD", err);
}

/* Hears what became of the oldest until no more than so many are out. */
static int hear_until(struct conn *conn, const struct outgoing *batch, struct flight *flight, size_t jobs, int64_t deadline_ns,
                      struct error_meaning *meaning, quern_error *err)
{
    const struct reply *reply;
    while (flight->jobs > jobs) {
        while (batch->receipts[flight->next].code == QUERN_OK) flight->next++; /* an earlier try has confirmed it */
        int code = conn_reply(conn, deadline_ns, &reply, err);
        if (code) return code;
        quern_error why;
        int failed = take_entry(batch, flight, reply, meaning, &why);
        flight->is_overtaken |= !failed && flight->failed;
        if (!failed || flight->failed == QUERN_E_UNKNOWN) continue;
        flight->failed = failed;
        *err = why;
    }
    return QUERN_OK;
}

/* A window of them is out at any time, as many as a batch has: Redis is at work on these while the next ones are laid out. What is not
 * sent, for one before it has failed, is no more unknown than it was. */
static int send_unmarked(struct conn *conn, const struct outgoing *batch, int64_t deadline_ns, int *sent,
                         struct error_meaning *meaning, quern_error *err)
{
    enum { PARTS = 4, WINDOW_BYTES = 1024 * 1024 };
    size_t window = (size_t)batch->config->batch_size, at_once = (window + PARTS - 1) / PARTS, laid_out = 0;
    struct flight flight = {0};
    int code = QUERN_OK;
    *sent = SENT_UNANSWERED;
    for (size_t i = 0; i < batch->count && !code && !flight.failed; i++) {
        if (batch->receipts[i].code == QUERN_OK) continue;
        batch->receipts[i].code = QUERN_E_UNKNOWN;
        put_xadd(conn, batch, i);
        flight.jobs++;
        flight.bytes += check_data(&batch->messages[i]).len;
        bool is_full = flight.bytes >= WINDOW_BYTES;
        if (++laid_out < at_once && !is_full) continue;
        laid_out = 0;
        code = conn_send(conn, deadline_ns, err);
        if (!code) code = hear_until(conn, batch, &flight, is_full ? 0 : window - at_once, deadline_ns, meaning, err);
    }
    if (!code) code = conn_send(conn, deadline_ns, err);
    if (!code) code = hear_until(conn, batch, &flight, 0, deadline_ns, meaning, err);
    if (!code && flight.failed != QUERN_E_UNKNOWN) /* every one was answered: nothing is unknown */
        *sent = flight.is_overtaken ? SENT_OVERTAKEN : SENT_NOTHING;
    return code ? code : flight.failed;
}

int send_batch(struct conn *conn, const struct outgoing *batch, uint64_t *ahead, int64_t deadline_ns, int *sent,
               struct error_meaning *meaning, quern_error *err)
{
    *meaning = (struct error_meaning){ERROR_UNKNOWN, QUERN_E_SERVER};
    if (!batch->is_plain) return enqueue(conn, batch, deadline_ns, sent, meaning, err);
    return batch->marker ? send_marked(conn, batch, ahead, deadline_ns, sent, meaning, err)
                         : send_unmarked(conn, batch, deadline_ns, sent, meaning, err);
}
