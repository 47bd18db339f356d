/* SPDX-License-Identifier: MIT */

/* A batch that goes by a script. Each script's arguments stand in its file, src/wire/scripts/….lua; here they are laid out in the
 * same order: a head for the batch, then so many for each job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "job/letter.h"
#include "settle/batch.h"
#include "settle/record.h"
#include "settle/settler.h"
#include "wire/script.h"

enum { BATCH_KEYS = 4, MEMBER_ARGS = 3 };

struct call {
    const struct batch *batch;
    const struct settler_needs *needs;
    const struct source *source;
    struct conn *conn;
    uint32_t member_count;                   /* jobs that are of batches; only where they end */
    struct letter letters[SCRIPT_MOVES_MAX]; /* of a dead batch */
    uint32_t letter_count;
};

/* ── what they share ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_bytes(struct conn *conn, quern_bytes bytes)
{
    conn_arg(conn, bytes.at, bytes.len);
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

static quern_bytes batch_of(const struct call *call, uint32_t i)
{
    return message_batch(&call->batch->jobs[i]->message, call->source->group);
}

static void count_members(struct call *call)
{
    call->member_count = 0;
    for (uint32_t i = 0; i < call->batch->count; i++) call->member_count += batch_of(call, i).at != NULL;
}

static void put_batch_keys(struct conn *conn, const struct source *source)
{
    conn_arg_text(conn, source->batches);
    conn_arg_text(conn, source->batch_open);
    conn_arg_text(conn, source->batch_state);
    conn_arg_text(conn, source->retry);
}

/* Behind all others. */
static void put_members(const struct call *call)
{
    for (uint32_t i = 0; i < call->batch->count && call->member_count; i++) {
        quern_bytes batch = batch_of(call, i);
        if (!batch.at) continue;
        conn_arg_number(call->conn, i + 1);
        put_bytes(call->conn, call->batch->jobs[i]->message.id);
        put_bytes(call->conn, batch);
    }
}

/* The keys that every one of them begins with, then its own, NULL behind the last one, those of batches if some of the jobs end
 * there, the crashes of what ran alone; and the head of the arguments. */
static void begin(struct call *call, const struct script *script, const char *const *keys, size_t args)
{
    const struct source *source = call->source;
    size_t count = 0;
    bool is_alone = origin_lane(call->batch->origin) == LANE_ALONE;
    while (keys[count]) count++;
    size_t more = call->member_count ? BATCH_KEYS : 0;
    script_begin(call->conn, script, 2 + count + more + is_alone, 6 + args + MEMBER_ARGS * (size_t)call->member_count);
    conn_arg_text(call->conn, origin_key(call->needs->sources, call->batch->origin));
    conn_arg_text(call->conn, source->settles);
    for (size_t i = 0; i < count; i++) conn_arg_text(call->conn, keys[i]);
    if (more) put_batch_keys(call->conn, source);
    if (is_alone) conn_arg_text(call->conn, source->crashes);
    conn_arg_text(call->conn, source->group);
    conn_arg_text(call->conn, call->needs->consumer);
    conn_arg_number(call->conn, (int64_t)call->batch->number);
    put_bounds(call->batch, call->conn);
    conn_arg_number(call->conn, slots_count(call->needs->slots));
}

/* Its lease's name: the entry, and the deliveries; 0: its entry was deleted, and its pending row with it; -1: what is pending by this
 * name is not its lease, though it may look the same: ids are given out anew where a server has lost some. */
static void put_lease(struct conn *conn, const struct quern_job *job)
{
    conn_arg_text(conn, job->message.entry_text);
    int64_t deliveries = atomic_load_explicit(&job->deliveries, memory_order_relaxed);
    conn_arg_number(conn, slot_is_lost(job) ? -1 : slot_is_gone(job) ? 0 : deliveries);
}

static void put_fields(const struct message *message, const char *prefix, struct conn *conn)
{
    size_t prefix_len = strlen(prefix);
    for (uint32_t i = 0; i < message->fields_count; i++) {
        quern_bytes text = reply_bytes(&message->fields[i]);
        char *name = i % 2 == 0 && prefix_len ? malloc(prefix_len + text.len) : NULL;
        if (name) {
            memcpy(name, prefix, prefix_len);
            if (text.len) memcpy(name + prefix_len, text.at, text.len);
            text = (quern_bytes){name, prefix_len + text.len};
        }
        put_bytes(conn, text);
        free(name);
    }
}

/* ── done ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct script *put_done(struct call *call)
{
    const struct batch *batch = call->batch;
    count_members(call);
    begin(call, &script_done, (const char *[]){call->source->completed, NULL}, 3 + 9 * (size_t)batch->count);
    bool is_private = origin_is_private(batch->origin),
         deletes = atomic_load_explicit(&call->needs->deletes[batch->origin / LANES], memory_order_relaxed);
    conn_arg_number(call->conn, batch->action == ACTION_DONE ? call->source->config->completed_max : 0);
    conn_arg_number(call->conn, is_private ? 1 : deletes ? 2 : 0);
    conn_arg_number(call->conn, call->member_count);
    for (uint32_t i = 0; i < batch->count; i++) {
        put_lease(call->conn, batch->jobs[i]);
        record_put_values(batch->jobs[i], call->conn);
    }
    put_members(call);
    return &script_done;
}

/* ── retry, release ──────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct script *put_retry(struct call *call)
{
    const struct batch *batch = call->batch;
    const struct source *source = call->source;
    bool has_failed = batch->action == ACTION_RETRY;
    char now[CLOCK_ISO_SIZE];
    size_t args = 2 + 6 * (size_t)batch->count;
    for (uint32_t i = 0; i < batch->count && batch->sends_fields; i++) args += batch->jobs[i]->message.fields_count;
    begin(call, &script_retry, (const char *[]){source->retry, source->delayed, source->waiting, NULL}, args);
    conn_arg_number(call->conn, origin_is_private(batch->origin));
    clock_iso(clock_unix_us(), now);
    conn_arg_text(call->conn, now);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct quern_job *job = batch->jobs[i];
        put_lease(call->conn, job);
        if (has_failed)
            conn_arg_number(call->conn, (int64_t)job->message.retries + 1);
        else
            conn_arg_text(call->conn, "");
        conn_arg_number(call->conn, has_failed || job->outcome == OUTCOME_POSTPONED ? job->delay_ms : 0);
        conn_arg_number(call->conn, clock_unix_ms() - (clock_now_ns() - job->admitted_ns) / NS_PER_MS);
        conn_arg_number(call->conn, batch->sends_fields ? job->message.fields_count : 0);
        if (batch->sends_fields) put_fields(&job->message, "", call->conn);
    }
    return &script_retry;
}

/* ── dead ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { LETTER_FIELDS = 10 };

static int write_letters(struct call *call, quern_error *err)
{
    int code = QUERN_OK;
    for (uint32_t i = 0; i < call->batch->count && !code; i++) {
        const struct quern_job *job = call->batch->jobs[i];
        struct verdict_reason reason = verdict_reason(job->outcome);
        struct letter_facts facts = {reason.name,         reason.error,          call->source->stream,
                                     call->source->group, call->needs->consumer, clock_unix_us()};
        code = letter_write(job, &facts, &call->letters[i], err);
        call->letter_count += !code;
    }
    return code;
}

static uint32_t letter_fields(const struct call *call, uint32_t i)
{
    return LETTER_FIELDS + (call->letters[i].has_fields ? call->batch->jobs[i]->message.fields_count : 0);
}

static void put_letter(struct conn *conn, const struct letter *letter)
{
    conn_arg_text(conn, "id");
    conn_arg_text(conn, letter->id);
    conn_arg_text(conn, "event");
    put_bytes(conn, letter->event);
    conn_arg_text(conn, "retries");
    conn_arg_text(conn, letter->retries);
    conn_arg_text(conn, "timestamps");
    conn_arg_text(conn, letter->timestamps);
    conn_arg_text(conn, "data");
    conn_arg_text(conn, letter->data);
}

static const struct script *put_dead(struct call *call)
{
    const struct batch *batch = call->batch;
    size_t args = 2 + 3 * (size_t)batch->count;
    count_members(call);
    for (uint32_t i = 0; i < batch->count; i++) args += letter_fields(call, i);
    begin(call, &script_dead, (const char *[]){call->source->dead, NULL}, args);
    conn_arg_number(call->conn, origin_is_private(batch->origin));
    conn_arg_number(call->conn, call->member_count);
    for (uint32_t i = 0; i < batch->count; i++) {
        put_lease(call->conn, batch->jobs[i]);
        conn_arg_number(call->conn, letter_fields(call, i));
        put_letter(call->conn, &call->letters[i]);
        if (call->letters[i].has_fields) put_fields(&batch->jobs[i]->message, "original:", call->conn);
    }
    put_members(call);
    return &script_dead;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool moves(enum action action)
{
    return action == ACTION_RETRY || action == ACTION_RELEASE;
}

static void answer(struct batch *batch, quern_bytes letters)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        char letter = letters.at[i];
        struct quern_job *job = batch->jobs[i];
        /* Its entry was deleted, and a renewal has heard of it while we asked: the pending row went with it. */
        bool is_news = letter == ANSWER_LOST && !batch->sends_fields && moves(batch->action) && slot_is_gone(job);
        if (letter == ANSWER_LOST && job->is_ambiguous) letter = ANSWER_AMBIGUOUS;
        if (is_news) letter = ANSWER_AGAIN;
        if (letter == ANSWER_AGAIN) job->is_gone = true;
        batch->answers[i] = letter;
    }
}

static int ask(struct call *call, struct batch *batch, quern_error *err)
{
    const struct reply *reply;
    const struct script *script = batch->action == ACTION_DEAD                                       ? put_dead(call)
                                  : batch->action == ACTION_RETRY || batch->action == ACTION_RELEASE ? put_retry(call)
                                                                                                     : put_done(call);
    int code = script_ask(call->conn, script, conn_answer_deadline(call->conn), &reply, NULL, err);
    if (code) return code;
    quern_bytes letters = reply_bytes(reply);
    if (letters.len != batch->count)
        return err_set(err, QUERN_E_SERVER, "script %s answered for %zu of %u entries", script->name, letters.len,
                       batch->count);
    answer(batch, letters);
    return QUERN_OK;
}

int call_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err)
{
    struct call call = {.batch = batch, .needs = needs, .source = origin_source(needs->sources, batch->origin), .conn = conn};
    if (!batch->number) batch->number = ++batch->last_number;
    int code = batch->action == ACTION_DEAD ? write_letters(&call, err) : QUERN_OK;
    if (!code) code = ask(&call, batch, err);
    for (uint32_t i = 0; i < call.letter_count; i++) letter_free(&call.letters[i]);
    return code;
}
