/* SPDX-License-Identifier: MIT */

/* repair/pause: the events of a group that nobody starts, for all of its processes.
 * Idea       a set in Redis, which every pool of the group reads twice a second (upkeep/heed). Plain commands: each does one thing, and
 *            asked again it does nothing twice.
 * Threads    the caller's. */
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "inspect/show.h"
#include "repair/repair.h"

static const char all_events[] = "*";

/* How many are paused by now. */
static int count_paused(struct look *look, int64_t *count, quern_error *err)
{
    conn_command(look->conn, "SCARD", look->source.paused, NULL);
    return look_ask_number(look, count, err);
}

static int is_member(struct look *look, const char *event, int64_t *is, quern_error *err)
{
    if (event)
        conn_command(look->conn, "SISMEMBER", look->source.paused, event, NULL);
    else
        conn_command(look->conn, "EXISTS", look->source.paused, NULL);
    return look_ask_number(look, is, err);
}

/* All of them are one more than the bound, so that who has come to it can do so. */
static int pause_event(struct look *look, const char *event, int64_t *changed, quern_error *err)
{
    int64_t count, all = 0, is_paused = 0;
    int code = count_paused(look, &count, err);
    if (!code && count == PAUSED_MAX) code = is_member(look, all_events, &all, err);
    bool is_full = !code && count - all >= PAUSED_MAX && strcmp(event, all_events) != 0;
    if (is_full) code = is_member(look, event, &is_paused, err);
    if (code || is_paused) return code;
    if (is_full)
        return err_set(err, QUERN_E_FULL,
                       "%d events are paused already; pause all of them instead, or give them a queue of their own",
                       PAUSED_MAX);
    conn_command(look->conn, "SADD", look->source.paused, event, NULL);
    return look_ask_number(look, changed, err);
}

static int resume_event(struct look *look, const char *event, int64_t *changed, quern_error *err)
{
    if (event)
        conn_command(look->conn, "SREM", look->source.paused, event, NULL);
    else
        conn_command(look->conn, "DEL", look->source.paused, NULL);
    return look_ask_number(look, changed, err);
}

/* What is paused by now. */
static int show_paused(struct look *look, json_t *object, quern_error *err)
{
    const struct reply *reply;
    json_t *list = json_array();
    conn_command(look->conn, "SMEMBERS", look->source.paused, NULL);
    int code = look_ask(look, &reply, err);
    bool is_whole = !code && list;
    for (uint32_t i = 0; is_whole && reply->type == REPLY_ARRAY && i < reply->count; i++) {
        quern_bytes event = reply_bytes(&reply->items[i]);
        is_whole = json_array_append_new(list, json_stringn(event.at, event.len)) == 0;
    }
    if (is_whole)
        return json_object_set_new(object, "paused", list) ? err_set(err, QUERN_E_MEMORY, "no memory for an answer") : QUERN_OK;
    json_decref(list);
    return code ? code : err_set(err, QUERN_E_SERVER, "%s holds what is no event", look->source.paused);
}

static char *report(struct look *look, unsigned flags, bool has_changed, quern_error *err)
{
    json_t *object = repair_report(look, flags);
    int code = object && !json_object_set_new(object, "changed", json_boolean(has_changed))
                   ? show_paused(look, object, err)
                   : err_set(err, QUERN_E_MEMORY, "no memory for an answer");
    if (!code) return show_text(object, err);
    json_decref(object);
    return NULL;
}

static int check_event(const char *event, quern_error *err)
{
    quern_bytes text = bytes_of(event);
    if (!event || (text.len >= 1 && text.len <= 256 && bytes_is_utf8(text))) return QUERN_OK;
    return err_set(err, QUERN_E_ARGUMENT, "event: right would be 1 to 256 bytes of UTF-8, or NULL for all events");
}

/* wants: is it to be paused? */
static char *set(const quern_config *config, const char *event, bool wants, unsigned flags, quern_error *err)
{
    struct look look;
    quern_error own;
    int64_t is_paused = 0, changed = 0;
    if (!err) err = &own;
    if (check_event(event, err) || repair_open(&look, config, flags, QUERN_DRY_RUN, err)) return NULL;
    const char *name = event || !wants ? event : all_events;
    int code = look_for_group(&look, err);
    if (!code && flags & QUERN_DRY_RUN) {
        code = is_member(&look, name, &is_paused, err);
        changed = wants != (is_paused > 0);
    } else if (!code) {
        code = wants ? pause_event(&look, name, &changed, err) : resume_event(&look, name, &changed, err);
    }
    char *text = code ? NULL : report(&look, flags, changed > 0, err);
    look_close(&look);
    return text;
}

char *quern_queue_pause(const quern_config *config, const char *event, unsigned flags, quern_error *err)
{
    return set(config, event, true, flags, err);
}

char *quern_queue_resume(const quern_config *config, const char *event, unsigned flags, quern_error *err)
{
    return set(config, event, false, flags, err);
}
