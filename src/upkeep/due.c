/* SPDX-License-Identifier: MIT */
#include "upkeep/due.h"

#include "base/clock.h"
#include "base/log.h"
#include "upkeep/reaper.h"
#include "wire/script.h"

/* Where in the answer the numbers of the two kinds begin, and what else is in it. */
enum {
    RETRIES = 0,
    SCHEDULED = 3,
    NEXT_MS = 6,
    ALONE_ALL = 7,
    ALONE_WAITING = 8,
    IS_BATCH_DUE = 9,
    PAUSED = 10,
    CANCELLED = 11,
    LAST_MS = 12
};
enum { CLOSED_MAX = 16, SWEPT_MAX = 1000 }; /* batches of one call, and jobs of theirs that were open */

static const int64_t cancelled_for_ms = 7 * INT64_C(86400000);

static int64_t number(const struct reply *reply, uint32_t place)
{
    return reply_number(reply_item(reply, place), 0);
}

/* What was due and could not go. */
static void say(const struct reaper_needs *needs, const char *key, int64_t missing, int64_t stuck)
{
    counter_add(&needs->counters->deleted, missing);
    if (missing)
        log_event(needs->log, LOG_WARNING, "waiting_deleted", LOG_INT("jobs", missing), LOG_TEXT("key", key),
                  LOG_TEXT("why", "they were due, and somebody has deleted them"));
    if (stuck)
        log_event(needs->log, LOG_ERROR, "waiting_stuck", LOG_INT("jobs", stuck), LOG_TEXT("key", key),
                  LOG_TEXT("why", "Redis could not move them, or they are not what was written: they wait another hour"));
}

int due_batches(const struct reaper_needs *needs, const struct source *source, struct conn *conn, bool *is_more,
                quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_batch, 4, 3);
    conn_arg_text(conn, source->batches);
    conn_arg_text(conn, source->batch_open);
    conn_arg_text(conn, source->batch_state);
    conn_arg_text(conn, source->retry);
    conn_arg_number(conn, CLOSED_MAX);
    conn_arg_number(conn, SCRIPT_BYTES);
    conn_arg_number(conn, SWEPT_MAX);
    int code = script_ask(conn, &script_batch, conn_answer_deadline(conn), &reply, NULL, err);
    if (code) return code;
    int64_t closed = number(reply, 0), stuck = number(reply, 1);
    *is_more = number(reply, 2) != 0;
    if (closed)
        log_event(needs->log, LOG_WARNING, "batches_overdue", LOG_INT("batches", closed), LOG_TEXT("key", source->batches),
                  LOG_TEXT("why", "their time was over (batch_ms) before they were complete: their closing jobs say so"));
    if (stuck)
        log_event(needs->log, LOG_ERROR, "batches_stuck", LOG_INT("batches", stuck), LOG_TEXT("key", source->batch_state),
                  LOG_TEXT("why", "their closing jobs could not be published: they wait another hour"));
    return QUERN_OK;
}

int due_step(const struct reaper_needs *needs, const struct source *source, struct conn *conn, int64_t *next_ms,
             struct due_alone *alone, struct heard *heard, bool *is_batch_due, quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_due, 10, 6);
    conn_arg_text(conn, source->delayed);
    conn_arg_text(conn, source->waiting);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->alone);
    conn_arg_text(conn, source->scheduled);
    conn_arg_text(conn, source->scheduled_jobs);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, source->paused);
    conn_arg_text(conn, source->cancelled);
    conn_arg_text(conn, source->batches);
    conn_arg_number(conn, SCRIPT_MOVES_MAX);
    conn_arg_number(conn, SCRIPT_BYTES);
    conn_arg_text(conn, source->group);
    conn_arg_number(conn, needs->lease_ns / NS_PER_MS);
    conn_arg_number(conn, PAUSED_MAX + 1); /* and "*" */
    conn_arg_number(conn, cancelled_for_ms);
    int code = script_ask(conn, &script_due, conn_answer_deadline(conn), &reply, NULL, err);
    if (code) return code;
    counter_add(&needs->counters->due, number(reply, RETRIES));
    counter_add(&needs->counters->scheduled, number(reply, SCHEDULED));
    say(needs, source->waiting, number(reply, RETRIES + 1), number(reply, RETRIES + 2));
    say(needs, source->scheduled_jobs, number(reply, SCHEDULED + 1), number(reply, SCHEDULED + 2));
    *next_ms = reply_number(reply_item(reply, NEXT_MS), -1);
    alone->all = number(reply, ALONE_ALL);
    alone->waiting = number(reply, ALONE_WAITING);
    *is_batch_due = number(reply, IS_BATCH_DUE) != 0;
    *heard = (struct heard){reply_item(reply, PAUSED), number(reply, CANCELLED), number(reply, LAST_MS)};
    return QUERN_OK;
}
