/* SPDX-License-Identifier: MIT */

/* What is finished on a fresh lease, with a log to keep: one transaction of a plain XADD per record and, behind them, the acknowledgement.
 * That an XADD of twenty words goes through Lua costs Redis more than the XADD itself. */
#include "config/config.h"
#include "settle/batch.h"
#include "settle/record.h"
#include "settle/settler.h"
#include "wire/script.h"

/* By its text, not by its name: inside a transaction it would be too late to learn that the server does not know it. */
static void put_acknowledgement(const struct batch *batch, const struct settler_needs *needs, struct conn *conn)
{
    enum { KEYS = 3, HEAD = 6 };
    const struct source *source = origin_source(needs->sources, batch->origin);
    conn_begin(conn, 3 + KEYS + HEAD + batch->count);
    conn_arg_text(conn, "EVAL");
    conn_arg(conn, script_logged.text, script_logged.text_len);
    conn_arg_number(conn, KEYS);
    conn_arg_text(conn, source_key(source, origin_lane(batch->origin)));
    conn_arg_text(conn, source->settles);
    conn_arg_text(conn, source->completed);
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, needs->consumer);
    conn_arg_number(conn, (int64_t)batch->number);
    conn_arg_number(conn, source->config->completed_max);
    quern_bytes last = batch->jobs[batch->count - 1]->message.id;
    conn_arg(conn, last.at, last.len);
    conn_arg_number(conn, origin_is_private(batch->origin));
    for (uint32_t i = 0; i < batch->count; i++) conn_arg_text(conn, batch->jobs[i]->message.entry_text);
}

static void put_transaction(const struct batch *batch, const struct settler_needs *needs, struct conn *conn)
{
    const struct source *source = origin_source(needs->sources, batch->origin);
    conn_command(conn, "MULTI", NULL);
    for (uint32_t i = 0; i < batch->count; i++) record_put_command(batch->jobs[i], source->completed, needs->consumer, conn);
    put_acknowledgement(batch, needs, conn);
    conn_command(conn, "EXEC", NULL);
}

/* The answers to MULTI and to what was queued say nothing that the last one, to EXEC, does not say. */
static int take_answer(const struct batch *batch, struct conn *conn, const struct reply **reply, quern_error *err)
{
    int64_t deadline_ns = conn_answer_deadline(conn);
    int code = conn_send(conn, deadline_ns, err);
    for (uint32_t i = 0; i < batch->count + 3 && !code; i++) code = conn_reply(conn, deadline_ns, reply, err);
    return code;
}

/* The records are written, whatever is acknowledged: of what was not ours any more too, for it was finished all the same. */
static void answer(struct batch *batch, int64_t acked)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        bool is_settled = (int64_t)i < acked || slot_is_gone(batch->jobs[i]);
        batch->answers[i] = (char)(is_settled ? ANSWER_SETTLED : ANSWER_LOST);
    }
}

/* Some records could not be written: theirs are the jobs that stay, as they are. The others are acknowledged by themselves. */
static int settle_recorded(struct batch *batch, const struct settler_needs *needs, struct conn *conn,
                           const struct reply *results, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, batch->origin);
    uint32_t recorded = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        bool is_recorded = reply_is_text(reply_item(results, i));
        batch->answers[i] = (char)(is_recorded ? ANSWER_SETTLED : ANSWER_STUCK);
        recorded += is_recorded;
    }
    if (!recorded) return call_ask(batch, needs, conn, err); /* it says why, or can */
    conn_begin(conn, 3 + recorded);
    conn_arg_text(conn, "XACK");
    conn_arg_text(conn, source_key(source, origin_lane(batch->origin)));
    conn_arg_text(conn, source->group);
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->answers[i] == ANSWER_SETTLED) conn_arg_text(conn, batch->jobs[i]->message.entry_text);
    const struct reply *reply;
    return conn_ask(conn, &reply, err);
}

int logged_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    const struct reply *reply = NULL;
    batch->number = ++batch->last_number;
    put_transaction(batch, needs, conn);
    int code = take_answer(batch, conn, &reply, err);
    batch->action = ACTION_DONE; /* whatever is not answered now is asked by the script, which knows the number */
    if (code) return code;
    if (reply->type == REPLY_ERROR) { /* as from a full server, which takes the script: nothing was done */
        batch->refused_on_ns = conn_opened_ns(conn);
        return call_ask(batch, needs, conn, err);
    }
    const struct reply *last = reply_item(reply, reply->count - 1);
    if (last->type == REPLY_ERROR) return settle_recorded(batch, needs, conn, reply, err);
    answer(batch, reply_number(last, 0));
    return QUERN_OK;
}
