/* SPDX-License-Identifier: MIT */
#include "upkeep/trim.h"

#include "base/log.h"
#include "upkeep/reaper.h"
#include "wire/script.h"

static void put_list(struct conn *conn, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) conn_arg_text(conn, list->texts[i]);
}

static int ask(const struct reaper_needs *needs, const struct source *source, struct conn *conn, int64_t *answer,
               quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_trim, 1, 1 + needs->required_groups->count + needs->ignored_groups->count);
    conn_arg_text(conn, source->stream);
    conn_arg_number(conn, (int64_t)needs->required_groups->count);
    put_list(conn, needs->required_groups);
    put_list(conn, needs->ignored_groups);
    int code = script_ask(conn, &script_trim, conn_answer_deadline(conn), &reply, NULL, err);
    if (!code) *answer = reply_number(reply, 0);
    return code;
}

int trim_step(struct trim *trim, const struct reaper_needs *needs, struct conn *conn, bool *has_more, quern_error *err)
{
    atomic_store(needs->acked, 0);
    for (uint32_t i = 0; i < needs->source_count; i++) {
        int64_t removed;
        int code = ask(needs, &needs->sources[i], conn, &removed, err);
        if (code) return code;
        if (removed > 0) counter_add(&needs->counters->trimmed, removed);
        if (removed > 0) *has_more = true;
        if (removed == -1 && !trim->has_warned)
            log_event(needs->log, LOG_WARNING, "trim_waits", LOG_TEXT("stream", needs->sources[i].stream),
                      LOG_TEXT("why", "a group of required_groups is missing: nothing is trimmed"));
        trim->has_warned = removed == -1;
    }
    return QUERN_OK;
}
