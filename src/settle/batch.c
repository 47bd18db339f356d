/* SPDX-License-Identifier: MIT */
#include "settle/batch.h"

#include <stdlib.h>

#include "job/witness.h"
#include "settle/settler.h"
#include "wire/script.h"

/* One XACK takes more than one script call may: it costs a third of a microsecond per id. */
enum { ACK_MAX = 1024 };

bool batch_open(struct batch *batch, uint32_t max)
{
    *batch = (struct batch){.max = max, .jobs = malloc(max * sizeof *batch->jobs), .answers = malloc(max)};
    return batch->jobs && batch->answers;
}

void batch_close(struct batch *batch)
{
    free(batch->jobs);
    free(batch->answers);
    *batch = (struct batch){0};
}

void batch_begin(struct batch *batch, enum action action)
{
    batch->action = action;
    batch->count = 0;
    batch->bytes = 0;
    batch->number = 0;
    batch->sends_fields = false;
}

static uint32_t origin_of(const struct quern_job *job)
{
    return atomic_load_explicit(&job->origin, memory_order_relaxed);
}

/* Only where the entry itself is read or copied does it matter that it is not there. */
static bool sends_fields(enum action action, const struct quern_job *job)
{
    return (action == ACTION_RETRY || action == ACTION_RELEASE) && (job->is_gone || slot_is_gone(job));
}

static bool is_copying(enum action action)
{
    return action == ACTION_RETRY || action == ACTION_RELEASE || action == ACTION_DEAD;
}

static size_t bytes_of(enum action action, const struct quern_job *job)
{
    const struct message *message = &job->message;
    return is_copying(action) ? message->bytes : message->id.len + message->event.len + job->result_len;
}

static uint32_t most_of(enum action action)
{
    return action == ACTION_ACK ? ACK_MAX : is_copying(action) ? SCRIPT_MOVES_MAX : SCRIPT_RECORDS_MAX;
}

bool batch_is_full(const struct batch *batch)
{
    return batch->count == most_of(batch->action);
}

bool batch_takes(const struct batch *batch, const struct quern_job *job)
{
    if (batch->count == 0) return true;
    if (origin_of(job) != batch->origin || sends_fields(batch->action, job) != batch->sends_fields) return false;
    if (batch->action == ACTION_ACK) return true;
    return batch->bytes + bytes_of(batch->action, job) <= SCRIPT_BYTES;
}

void batch_add(struct batch *batch, struct quern_job *job)
{
    if (batch->count == 0) {
        batch->origin = origin_of(job);
        batch->sends_fields = sends_fields(batch->action, job);
    }
    batch->bytes += bytes_of(batch->action, job);
    batch->jobs[batch->count++] = job;
}

/* ── plain acknowledgement ───────────────────────────────────────────────────────────────────────────────────────── */

void batch_put_ids(const struct batch *batch, struct conn *conn)
{
    for (uint32_t i = 0; i < batch->count; i++)
        conn_arg(conn, batch->jobs[i]->message.entry_text, batch->jobs[i]->message.entry_len);
}

/* How many of a plain XACK were not ours any more: not which, so the last ones are taken for it. What has lost its lease meanwhile to
 * nobody, for its entry or its group is gone, is told once more, as such. */
static void answer_plain(struct batch *batch, int64_t acked)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        bool is_settled = (int64_t)i < acked;
        batch->answers[i] = (char)(is_settled ? ANSWER_SETTLED : slot_is_gone(batch->jobs[i]) ? ANSWER_AGAIN : ANSWER_LOST);
    }
}

/* The same, and what was acknowledged goes from the stream. */
static int ask_deleting(struct batch *batch, const struct source *source, struct conn *conn, quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_ack, 1, 1 + batch->count);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, source->group);
    batch_put_ids(batch, conn);
    int code = script_ask(conn, &script_ack, conn_answer_deadline(conn), &reply, NULL, err);
    if (!code) answer_plain(batch, reply_number(reply, 0));
    return code;
}

static int ask_plain(struct batch *batch, const struct source *source, struct conn *conn, quern_error *err)
{
    bool is_private = origin_is_private(batch->origin);
    const char *key = source_key(source, origin_lane(batch->origin));
    const struct reply *reply;
    conn_begin(conn, 3 + batch->count);
    conn_arg_text(conn, "XACK");
    conn_arg_text(conn, key);
    conn_arg_text(conn, source->group);
    batch_put_ids(batch, conn);
    if (is_private) {
        conn_begin(conn, 2 + batch->count);
        conn_arg_text(conn, "XDEL");
        conn_arg_text(conn, key);
        batch_put_ids(batch, conn);
    }
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    int64_t acked = reply_number(reply, 0);
    if (is_private && (code = conn_reply(conn, conn_answer_deadline(conn), &reply, err))) return code;
    if (is_private && reply->type == REPLY_ERROR) return conn_refused(reply, "XDEL", err);
    answer_plain(batch, acked);
    return QUERN_OK;
}

static int ack(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, batch->origin);
    bool deletes =
        !origin_is_private(batch->origin) && atomic_load_explicit(&needs->deletes[batch->origin / LANES], memory_order_relaxed);
    return deletes ? ask_deleting(batch, source, conn, err) : ask_plain(batch, source, conn, err);
}

/* A plain XACK whose answer was lost may have run: its leases are older than the next connection, so the owner-checked script
 * asks for the same jobs then, and must not take "not ours" for "lost". */
static void mark_ambiguous(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) batch->jobs[i]->is_ambiguous = true;
}

static int ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    if (batch->action == ACTION_LOG) return logged_ask(batch, needs, conn, err);
    if (batch->action != ACTION_ACK) return call_ask(batch, needs, conn, err);
    int code = ack(batch, needs, conn, err);
    if (code) mark_ambiguous(batch);
    return code;
}

int batch_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    int action = (int)batch->action;
    if (witness) witness->settles(batch->jobs, batch->count, action, NULL);
    int code = ask(batch, needs, conn, err);
    if (witness && !code) witness->settles(batch->jobs, batch->count, action, batch->answers);
    return code;
}
