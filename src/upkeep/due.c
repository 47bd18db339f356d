/* SPDX-License-Identifier: MIT */
#include "upkeep/due.h"

#include "base/clock.h"
#include "base/log.h"
#include "upkeep/reaper.h"
#include "wire/script.h"

int due_step(const struct reaper_needs *needs, const struct source *source, struct conn *conn, int64_t *next_ms,
             struct due_alone *alone, quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_due, 4, 4);
    conn_arg_text(conn, source->delayed);
    conn_arg_text(conn, source->waiting);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->alone);
    conn_arg_number(conn, SCRIPT_MOVES_MAX);
    conn_arg_number(conn, SCRIPT_BYTES);
    conn_arg_text(conn, source->group);
    conn_arg_number(conn, needs->lease_ns / NS_PER_MS);
    int code = script_ask(conn, &script_due, conn_answer_deadline(conn), &reply, NULL, err);
    if (code) return code;
    int64_t moved = reply_number(reply_item(reply, 0), 0), missing = reply_number(reply_item(reply, 1), 0);
    counter_add(&needs->counters->due, moved);
    counter_add(&needs->counters->deleted, missing);
    if (missing)
        log_event(needs->log, LOG_WARNING, "retries_deleted", LOG_INT("retries", missing), LOG_TEXT("key", source->waiting),
                  LOG_TEXT("why", "they were due, and somebody has deleted them"));
    int64_t stuck = reply_number(reply_item(reply, 3), 0);
    if (stuck)
        log_event(needs->log, LOG_ERROR, "retries_stuck", LOG_INT("retries", stuck), LOG_TEXT("key", source->waiting),
                  LOG_TEXT("why", "Redis could not move them, or they are not what was written: they wait another hour"));
    *next_ms = reply_number(reply_item(reply, 2), -1);
    alone->all = reply_number(reply_item(reply, 4), 0);
    alone->waiting = reply_number(reply_item(reply, 5), 0);
    return QUERN_OK;
}
