/* SPDX-License-Identifier: MIT */
#include "upkeep/tidy.h"

#include "base/clock.h"
#include "base/log.h"
#include "job/consumers.h"
#include "upkeep/reaper.h"

enum { SILENT_LEASES = 10, LETTERS_AT_ONCE = 10000, NODE_ENTRIES = 1000 };

int tidy_consumers(const struct reaper_needs *needs, const struct source *source, struct conn *conn, quern_error *err)
{
    int64_t swept;
    int code = consumers_sweep(conn, source, needs->consumer, SILENT_LEASES * needs->lease_ns / NS_PER_MS, &swept, err);
    if (code || !swept) return code;
    counter_add(&needs->counters->swept, swept);
    log_event(needs->log, LOG_INFO, "consumers_swept", LOG_INT("consumers", swept), LOG_TEXT("group", source->group));
    return QUERN_OK;
}

/* By whole nodes as long as there are many, which costs little; then to the letter. */
static void put_trim(const struct source *source, struct conn *conn, int64_t length)
{
    bool is_rough = length - source->config->dead_letter_max > NODE_ENTRIES;
    conn_begin(conn, is_rough ? 7 : 5);
    conn_arg_text(conn, "XTRIM");
    conn_arg_text(conn, source->dead);
    conn_arg_text(conn, "MAXLEN");
    conn_arg_text(conn, is_rough ? "~" : "=");
    conn_arg_number(conn, source->config->dead_letter_max);
    if (!is_rough) return;
    conn_arg_text(conn, "LIMIT");
    conn_arg_number(conn, LETTERS_AT_ONCE);
}

int tidy_letters(const struct reaper_needs *needs, const struct source *source, struct conn *conn, bool *has_more,
                 quern_error *err)
{
    const struct reply *reply;
    *has_more = false;
    conn_command(conn, "XLEN", source->dead, NULL);
    int code = conn_ask(conn, &reply, err);
    int64_t length = code ? 0 : reply_number(reply, 0);
    if (code || length <= source->config->dead_letter_max) return code;
    put_trim(source, conn, length);
    if ((code = conn_ask(conn, &reply, err))) return code;
    int64_t removed = reply_number(reply, 0);
    counter_add(&needs->counters->dead_trimmed, removed);
    log_event(needs->log, LOG_WARNING, "dead_letters_deleted", LOG_INT("letters", removed), LOG_TEXT("stream", source->dead),
              LOG_TEXT("why", "there are more than dead_letter_max: the oldest are lost"));
    *has_more = removed > 0 && length - removed > source->config->dead_letter_max;
    return QUERN_OK;
}
