/* SPDX-License-Identifier: MIT */
#include "settle/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
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
    batch->number = 0;
    batch->sends_fields = false;
}

static uint32_t origin_of(const struct quern_job *job)
{
    return atomic_load_explicit(&job->origin, memory_order_relaxed);
}

static bool is_gone(const struct quern_job *job)
{
    return job->is_gone || slot_has(job, SLOT_GONE);
}

/* Half of the lease's name; 0: its entry was deleted, and its pending row with it. */
static uint32_t deliveries_of(const struct quern_job *job)
{
    return slot_has(job, SLOT_GONE) ? 0 : atomic_load_explicit(&job->deliveries, memory_order_relaxed);
}

bool batch_takes(const struct batch *batch, const struct quern_job *job)
{
    if (batch->count == 0) return true;
    uint32_t most = batch->action == ACTION_ACK ? ACK_MAX : batch->sends_fields ? 1 : SCRIPT_ENTRIES_MAX;
    return batch->count < most && origin_of(job) == batch->origin && !is_gone(job);
}

void batch_add(struct batch *batch, struct quern_job *job)
{
    if (batch->count == 0) {
        batch->origin = origin_of(job);
        batch->sends_fields = is_gone(job);
    }
    batch->jobs[batch->count++] = job;
}

/* ── plain acknowledgement ───────────────────────────────────────────────────────────────────────────────────────── */

static void put_ids(const struct batch *batch, struct conn *conn)
{
    for (uint32_t i = 0; i < batch->count; i++) conn_arg_text(conn, batch->jobs[i]->message.entry_text);
}

/* How many of a plain XACK were not ours any more: not which, so the last ones are taken for it. */
static void answer_plain(struct batch *batch, int64_t acked)
{
    for (uint32_t i = 0; i < batch->count; i++) batch->answers[i] = (char)((int64_t)i < acked ? ANSWER_SETTLED : ANSWER_LOST);
}

static int ask_plain(struct batch *batch, const struct source *source, struct conn *conn, quern_error *err)
{
    bool is_private = batch->origin & 1;
    const char *key = source_key(source, is_private);
    const struct reply *reply;
    conn_begin(conn, 3 + batch->count);
    conn_arg_text(conn, "XACK");
    conn_arg_text(conn, key);
    conn_arg_text(conn, source->group);
    put_ids(batch, conn);
    if (is_private) {
        conn_begin(conn, 2 + batch->count);
        conn_arg_text(conn, "XDEL");
        conn_arg_text(conn, key);
        put_ids(batch, conn);
    }
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    int64_t acked = reply_number(reply, 0);
    if (is_private && (code = conn_reply(conn, conn_answer_deadline(conn), &reply, err))) return code;
    if (is_private && reply->type == REPLY_ERROR) return conn_refused(reply, "XDEL", err);
    answer_plain(batch, acked);
    return QUERN_OK;
}

/* ── scripts ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static size_t args_per_job(const struct batch *batch, const struct quern_job *job)
{
    return batch->action == ACTION_DONE ? 9 : 3 + (batch->sends_fields ? job->message.fields_count : 0);
}

static void put_bounds(const struct batch *batch, struct conn *conn)
{
    struct entry_id low = batch->jobs[0]->message.entry, high = low;
    char text[ENTRY_ID_SIZE];
    for (uint32_t i = 1; i < batch->count; i++) {
        struct entry_id id = batch->jobs[i]->message.entry;
        if (entry_id_compare(id, low) < 0) low = id;
        if (entry_id_compare(id, high) > 0) high = id;
    }
    conn_arg(conn, text, entry_id_text(low, text));
    conn_arg(conn, text, entry_id_text(high, text));
}

static void put_bytes(struct conn *conn, quern_bytes bytes)
{
    conn_arg(conn, bytes.at, bytes.len);
}

/* Milliseconds with three decimals: a job may take microseconds. */
static void put_ms(struct conn *conn, int64_t ns)
{
    char text[32];
    if (ns < 0) ns = 0; /* a job starts when the last one ended, which may be before it was admitted */
    int n = snprintf(text, sizeof text, "%lld.%03lld", (long long)(ns / NS_PER_MS), (long long)(ns % NS_PER_MS / NS_PER_US));
    conn_arg(conn, text, (size_t)n);
}

static void put_done(const struct quern_job *job, struct conn *conn)
{
    char when[CLOCK_ISO_SIZE];
    put_bytes(conn, job->message.id);
    put_bytes(conn, job->message.event);
    conn_arg(conn, job->result, job->result_len);
    conn_arg_number(conn, job->message.retries);
    put_ms(conn, job->started_ns - job->admitted_ns);
    put_ms(conn, job->ended_ns - job->started_ns);
    clock_iso(clock_unix_us() - (clock_now_ns() - job->ended_ns) / NS_PER_US, when);
    conn_arg_text(conn, when);
}

static void put_fields(const struct quern_job *job, bool sends_fields, struct conn *conn)
{
    uint32_t count = sends_fields ? job->message.fields_count : 0;
    conn_arg_number(conn, count);
    for (uint32_t i = 0; i < count; i++) put_bytes(conn, reply_bytes(&job->message.fields[i]));
}

static void put_script(const struct batch *batch, const struct settler_needs *needs, const struct source *source,
                       struct conn *conn)
{
    bool is_done = batch->action == ACTION_DONE;
    size_t args = is_done ? 8 : 7;
    for (uint32_t i = 0; i < batch->count; i++) args += args_per_job(batch, batch->jobs[i]);
    script_begin(conn, is_done ? &script_done : &script_release, 3, args);
    conn_arg_text(conn, source_key(source, batch->origin & 1));
    conn_arg_text(conn, source->settles);
    conn_arg_text(conn, is_done ? source->completed : source->retry);
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, needs->consumer);
    conn_arg_number(conn, (int64_t)batch->number);
    put_bounds(batch, conn);
    conn_arg_number(conn, slots_count(needs->slots));
    if (is_done) conn_arg_number(conn, needs->completed_max);
    conn_arg_number(conn, batch->origin & 1);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct quern_job *job = batch->jobs[i];
        conn_arg_text(conn, job->message.entry_text);
        conn_arg_number(conn, deliveries_of(job));
        if (is_done)
            put_done(job, conn);
        else
            put_fields(job, batch->sends_fields, conn);
    }
}

static void answer_script(struct batch *batch, quern_bytes letters)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        char letter = letters.at[i];
        struct quern_job *job = batch->jobs[i];
        if (letter == ANSWER_LOST && job->is_ambiguous) letter = ANSWER_AMBIGUOUS;
        if (letter == ANSWER_AGAIN) job->is_gone = true;
        batch->answers[i] = letter;
    }
}

static int ask_script(struct batch *batch, const struct settler_needs *needs, const struct source *source, struct conn *conn,
                      quern_error *err)
{
    const struct script *script = batch->action == ACTION_DONE ? &script_done : &script_release;
    const struct reply *reply;
    if (!batch->number) batch->number = ++batch->last_number;
    put_script(batch, needs, source, conn);
    int code = script_ask(conn, script, conn_answer_deadline(conn), &reply, NULL, err);
    if (code) return code;
    quern_bytes letters = reply_bytes(reply);
    if (letters.len != batch->count)
        return err_set(err, QUERN_E_SERVER, "script %s answered for %zu of %u entries", script->name, letters.len,
                       batch->count);
    answer_script(batch, letters);
    return QUERN_OK;
}

/* A plain XACK whose answer was lost may have run: its leases are older than the next connection, so the owner-checked script
 * asks for the same jobs then, and must not take "not ours" for "lost". */
static void mark_ambiguous(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) batch->jobs[i]->is_ambiguous = true;
}

int batch_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    const struct source *source = &needs->sources[batch->origin / 2];
    int code = batch->action == ACTION_ACK ? ask_plain(batch, source, conn, err) : ask_script(batch, needs, source, conn, err);
    if (code && batch->action == ACTION_ACK) mark_ambiguous(batch);
    return code;
}
