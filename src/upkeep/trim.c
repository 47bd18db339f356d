/* SPDX-License-Identifier: MIT */
#include "upkeep/trim.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "upkeep/reaper.h"
#include "wire/script.h"

enum { REQUIRED_IS_MISSING = -1 };
static const int64_t second_gear_ns = 3 * NS_PER_S, idle_group_ns = 3600 * NS_PER_S;

bool trim_sees(struct trim *trim, const struct trim_look *look, int64_t now_ns, bool *deletes)
{
    bool is_same = look->group[0] && !strcmp(look->group, trim->held.group) && !strcmp(look->mark, trim->held.mark);
    if (!is_same) trim->since_ns = trim->told_ns = now_ns;
    int64_t behind = look->behind == BEHIND_UNKNOWN ? (is_same ? trim->held.behind : 0) : look->behind;
    trim->held = *look;
    trim->held.behind = behind;
    *deletes = is_same && look->by_pending && behind >= TRIM_AFTER && now_ns - trim->since_ns >= second_gear_ns;
    if (!is_same || now_ns - trim->told_ns < idle_group_ns) return false;
    trim->told_ns = now_ns;
    return true;
}

static void put_list(struct conn *conn, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) conn_arg_text(conn, list->texts[i]);
}

static void take_text(char *text, size_t size, quern_bytes bytes)
{
    snprintf(text, size, "%.*s", (int)bytes.len, bytes.at ? bytes.at : "");
}

static int ask(const struct source *source, struct conn *conn, int64_t *removed, struct trim_look *look, quern_error *err)
{
    const struct reply *reply;
    const struct config_list *required = &source->config->required_groups, *ignored = &source->config->ignored_groups;
    script_begin(conn, &script_trim, 1, 3 + required->count + ignored->count);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, "~");
    conn_arg_number(conn, 1 + (int64_t)required->count);
    conn_arg_text(conn, source->group); /* deleted by somebody, and not made again yet: what it had not read is still to be */
    put_list(conn, required);
    put_list(conn, ignored);
    int code = script_ask(conn, &script_trim, conn_answer_deadline(conn), &reply, NULL, err);
    if (code) return code;
    *removed = reply_number(reply_item(reply, 0), 0);
    take_text(look->group, sizeof look->group, reply_bytes(reply_item(reply, 1)));
    take_text(look->mark, sizeof look->mark, reply_bytes(reply_item(reply, 2)));
    look->by_pending = reply_number(reply_item(reply, 3), 0) == 1;
    look->behind = reply_number(reply_item(reply, 4), 0);
    return QUERN_OK;
}

/* Is there anything behind the mark that somebody waits for? */
static bool holds_something(const struct source *source, struct conn *conn, const char *mark)
{
    const struct reply *reply;
    conn_command(conn, "XRANGE", source->stream, mark, "+", "COUNT", "1", NULL);
    return !conn_ask(conn, &reply, NULL) && reply->type == REPLY_ARRAY && reply->count;
}

static void tell(struct trim *trim, const struct reaper_needs *needs, const struct source *source, struct conn *conn,
                 int64_t removed, const struct trim_look *look)
{
    bool deletes;
    int64_t now_ns = clock_now_ns();
    if (trim_sees(trim, look, now_ns, &deletes) && holds_something(source, conn, look->mark))
        log_event(needs->log, LOG_WARNING, "group_stands_still", LOG_TEXT("stream", source->stream),
                  LOG_TEXT("group", look->group), LOG_INT("for_s", (now_ns - trim->since_ns) / NS_PER_S),
                  LOG_TEXT("at", look->mark),
                  LOG_TEXT("why", "nothing behind that entry can be trimmed; if nobody needs the group any more, name it in "
                                  "ignored_groups"));
    atomic_store_explicit(&needs->deletes[source - needs->sources], deletes, memory_order_relaxed);
    if (removed == REQUIRED_IS_MISSING && !trim->has_warned)
        log_event(needs->log, LOG_WARNING, "trim_waits", LOG_TEXT("stream", source->stream),
                  LOG_TEXT("why", "a group of required_groups is missing, or this pool's own: nothing is trimmed"));
    trim->has_warned = removed == REQUIRED_IS_MISSING;
}

/* What is settled there is deleted at once; but a process may have died in between, or have read without anything becoming
 * pending (at-most-once). */
int trim_private(const struct source *source, struct conn *conn, quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_trim, 1, 2);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, "=");
    conn_arg_number(conn, 0);
    return script_ask(conn, &script_trim, conn_answer_deadline(conn), &reply, NULL, err);
}

int trim_step(struct trim *trim, const struct reaper_needs *needs, const struct source *source, struct conn *conn,
              bool *has_more, quern_error *err)
{
    int64_t removed = 0;
    struct trim_look look;
    int code = ask(source, conn, &removed, &look, err);
    if (code) return code;
    *has_more = removed > 0;
    if (removed > 0) counter_add(&needs->counters->trimmed, removed);
    tell(trim, needs, source, conn, removed, &look);
    return QUERN_OK;
}
