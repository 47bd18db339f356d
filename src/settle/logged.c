/* SPDX-License-Identifier: MIT */

/* What is finished on a fresh lease, with a log to keep: one transaction of a plain XADD per record and, behind them, the acknowledgement.
 * That an XADD of twenty words goes through Lua costs Redis more than the XADD itself. */
#include "base/bytes.h"
#include "base/err.h"
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
    batch_put_ids(batch, conn);
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

/* May this connection begin a transaction, and end it? Else what was meant for one would run command by command, or not at all. Asked
 * once, by an empty one. Who may not end what has begun needs another connection, and never asks again. */
static bool may_use_transactions(struct batch *batch, struct conn *conn, int *code, quern_error *err)
{
    const struct reply *reply;
    int64_t opened_ns = conn_opened_ns(conn);
    *code = QUERN_OK;
    if (batch->lacks_transactions) return false;
    if (batch->tried_on_ns == opened_ns) return true;
    conn_command(conn, "MULTI", NULL);
    conn_command(conn, "EXEC", NULL);
    int64_t deadline_ns = conn_answer_deadline(conn);
    *code = conn_send(conn, deadline_ns, err);
    if (!*code) *code = conn_reply(conn, deadline_ns, &reply, err);
    bool has_begun = !*code && reply->type == REPLY_STATUS;
    if (!*code) *code = conn_reply(conn, deadline_ns, &reply, err);
    bool has_ended = !*code && reply->type == REPLY_ARRAY;
    batch->lacks_transactions = has_begun && !*code && !has_ended;
    if (batch->lacks_transactions) *code = conn_refused(reply, "EXEC", err);
    batch->tried_on_ns = has_begun && has_ended ? opened_ns : 0;
    return has_begun && has_ended;
}

/* What was finished was finished, whoever has the lease by now: its record is written, and where its entry is gone there is nothing left to
 * say to Redis. */
static int take_letters(struct batch *batch, quern_bytes letters, quern_error *err)
{
    if (letters.len != batch->count)
        return err_set(err, QUERN_E_SERVER, "script %s answered for %zu of %u entries", script_logged.name, letters.len,
                       batch->count);
    for (uint32_t i = 0; i < batch->count; i++) {
        bool is_settled = letters.at[i] == ANSWER_SETTLED || slot_is_gone(batch->jobs[i]);
        batch->answers[i] = (char)(is_settled ? ANSWER_SETTLED : ANSWER_LOST);
    }
    return QUERN_OK;
}

/* A command about the jobs, or the records, whose record was written. */
static void put_recorded(const struct batch *batch, struct conn *conn, const struct reply *results, uint32_t recorded,
                         const char *const *words, size_t word_count, bool of_records)
{
    conn_begin(conn, word_count + recorded);
    for (size_t w = 0; w < word_count; w++) conn_arg_text(conn, words[w]);
    for (uint32_t i = 0; i < batch->count; i++) {
        quern_bytes record = reply_bytes(reply_item(results, i)), entry = message_entry(&batch->jobs[i]->message);
        if (!reply_is_text(reply_item(results, i))) continue;
        conn_arg(conn, of_records ? record.at : entry.at, of_records ? record.len : entry.len);
    }
}

/* Some records could not be written: theirs are the jobs that stay, as they are. The others are acknowledged by themselves. */
static int settle_recorded(struct batch *batch, const struct settler_needs *needs, struct conn *conn,
                           const struct reply *results, uint32_t recorded, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, batch->origin);
    const char *key = source_key(source, origin_lane(batch->origin));
    const char *const ack[] = {"XACK", key, source->group}, *const del[] = {"XDEL", key};
    bool is_private = origin_is_private(batch->origin);
    const struct reply *reply;
    for (uint32_t i = 0; i < batch->count; i++)
        batch->answers[i] = (char)(reply_is_text(reply_item(results, i)) ? ANSWER_SETTLED : ANSWER_STUCK);
    put_recorded(batch, conn, results, recorded, ack, COUNT_OF(ack), false);
    if (is_private) put_recorded(batch, conn, results, recorded, del, COUNT_OF(del), false);
    int code = conn_ask(conn, &reply, err);
    if (!code && is_private) code = conn_reply(conn, conn_answer_deadline(conn), &reply, err);
    return code;
}

/* The acknowledgement was refused. All records written: they go again, and the script that checks says why, or does it. */
static int take_refusal(struct batch *batch, const struct settler_needs *needs, struct conn *conn, const struct reply *results,
                        quern_error *err)
{
    const char *const undo[] = {"XDEL", origin_source(needs->sources, batch->origin)->completed};
    const struct reply *reply;
    uint32_t recorded = 0;
    for (uint32_t i = 0; i < batch->count; i++) recorded += reply_is_text(reply_item(results, i));
    if (recorded && recorded < batch->count) return settle_recorded(batch, needs, conn, results, recorded, err);
    if (recorded) put_recorded(batch, conn, results, recorded, undo, COUNT_OF(undo), true);
    int code = recorded ? conn_ask(conn, &reply, err) : QUERN_OK;
    return code ? code : call_ask(batch, needs, conn, err);
}

static int ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    const struct reply *reply = NULL;
    int code;
    bool may = may_use_transactions(batch, conn, &code, err);
    if (code) return code;
    if (may) {
        put_transaction(batch, needs, conn);
        if ((code = take_answer(batch, conn, &reply, err))) return code;
        if (reply_is_error(reply, "NOPERM")) return conn_refused(reply, "EXEC", err); /* of late: it is still open */
    }
    if (!may || reply->type == REPLY_ERROR) { /* as from a full server, which takes the script: nothing was done */
        batch->refused_on_ns = conn_opened_ns(conn);
        return call_ask(batch, needs, conn, err);
    }
    const struct reply *last = reply_item(reply, reply->count - 1);
    return last->type == REPLY_ERROR ? take_refusal(batch, needs, conn, reply, err)
                                     : take_letters(batch, reply_bytes(last), err);
}

int logged_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    batch->number = ++batch->last_number;
    batch->action = ACTION_DONE; /* whatever is not answered now is asked by the script, which knows the number */
    int code = ask(batch, needs, conn, err);
    for (uint32_t i = 0; i < batch->count && code; i++) batch->jobs[i]->is_ambiguous = true; /* it may have been done by then */
    return code;
}
