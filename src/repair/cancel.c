/* SPDX-License-Identifier: MIT */

/* repair/cancel: jobs that wait for a time are taken out before it comes; others are marked, and the pools see to it (upkeep/heed).
 * Idea       a scheduled job lies under its id. A delayed one lies under the entry it came from, so all are looked through: the
 *            names of their places come in pages (ZSCAN, which shows each that stays from the beginning to the end), and the
 *            script looks into them and removes what it finds, in one step.
 * Threads    the caller's. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "inspect/shelf.h"
#include "inspect/show.h"
#include "repair/repair.h"
#include "wire/group.h"

enum { PAGE = 64 };

struct cancel {
    struct look look;
    struct shelf scheduled, delayed;
    quern_bytes id;
    unsigned flags;
    int64_t scheduled_count, delayed_count;
    bool is_marked;
};

/* Names of places, copied. */
struct places {
    quern_bytes *at;
    size_t count;
};

/* Asks about places[from..]; *seen: how many were looked into. */
static int ask(struct cancel *cancel, const struct places *places, size_t from, size_t *seen, quern_error *err)
{
    struct conn *conn = cancel->look.conn;
    const struct reply *reply;
    size_t n = places->count - from < SCRIPT_ENTRIES_MAX ? places->count - from : SCRIPT_ENTRIES_MAX;
    script_begin(conn, &script_cancel, 4 + REPAIR_BATCH_KEYS, 4 + n);
    conn_arg_text(conn, cancel->scheduled.times);
    conn_arg_text(conn, cancel->scheduled.jobs);
    conn_arg_text(conn, cancel->delayed.times);
    conn_arg_text(conn, cancel->delayed.jobs);
    repair_put_batch_keys(&cancel->look);
    conn_arg(conn, cancel->id.at, cancel->id.len);
    conn_arg_number(conn, (cancel->flags & QUERN_DRY_RUN) != 0);
    conn_arg_number(conn, SCRIPT_BYTES);
    conn_arg_text(conn, cancel->look.source.group);
    for (size_t i = from; i < from + n; i++) conn_arg(conn, places->at[i].at, places->at[i].len);
    int code = repair_ask(&cancel->look, &script_cancel, cancel->flags, &reply, err);
    if (code) return code;
    cancel->scheduled_count += reply_number(reply_item(reply, 0), 0);
    cancel->delayed_count += reply_number(reply_item(reply, 1), 0);
    *seen = (size_t)reply_number(reply_item(reply, 2), 0);
    if (n && !*seen) return err_set(err, QUERN_E_SERVER, "cancel: the script answered something else");
    return QUERN_OK;
}

/* Names and times in turn; a page may have more than was asked for. */
static bool take_places(const struct reply *list, struct places *places)
{
    uint32_t count = list->type == REPLY_ARRAY ? list->count / 2 : 0;
    places->at = malloc((count + 1) * sizeof *places->at);
    for (uint32_t i = 0; places->at && i < count; i++) {
        quern_bytes name = reply_bytes(&list->items[2 * i]);
        char *copy = bytes_copy(name);
        if (!copy) return false;
        places->at[places->count++] = (quern_bytes){copy, name.len};
    }
    return places->at != NULL;
}

static void drop_places(struct places *places)
{
    while (places->count) free((char *)(uintptr_t)places->at[--places->count].at);
    free(places->at);
    places->at = NULL;
}

static int read_places(struct cancel *cancel, char cursor[24], struct places *places, quern_error *err)
{
    const struct reply *reply;
    char count[16];
    snprintf(count, sizeof count, "%d", PAGE);
    conn_command(cancel->look.conn, "ZSCAN", cancel->delayed.times, cursor, "COUNT", count, NULL);
    int code = look_ask(&cancel->look, &reply, err);
    if (code) return code;
    quern_bytes next = reply_bytes(reply_item(reply, 0));
    snprintf(cursor, 24, "%.*s", (int)next.len, next.at ? next.at : "");
    return take_places(reply_item(reply, 1), places) ? QUERN_OK
                                                     : err_set(err, QUERN_E_MEMORY, "no memory for the places of jobs");
}

static int look_through(struct cancel *cancel, quern_error *err)
{
    struct places places = {0};
    char cursor[24] = "0";
    int code;
    do {
        code = read_places(cancel, cursor, &places, err);
        for (size_t at = 0, seen = 0; !code && at < places.count; at += seen) code = ask(cancel, &places, at, &seen, err);
        drop_places(&places);
    } while (!code && strcmp(cursor, "0") != 0);
    return code;
}

static int write_mark(struct cancel *cancel, quern_error *err)
{
    int64_t number;
    char now_ms[24];
    const char *key = cancel->look.source.cancelled;
    conn_command(cancel->look.conn, "ZCARD", key, NULL);
    int code = look_ask_number(&cancel->look, &number, err);
    if (!code && number >= CANCELLED_MAX)
        code = err_set(
            err, QUERN_E_FULL,
            "%d jobs are marked as cancelled already; wait until %s is shorter (each goes after seven days), or delete it",
            CANCELLED_MAX, key);
    if (!code) code = look_at_clock(&cancel->look, err);
    if (code) return code;
    snprintf(now_ms, sizeof now_ms, "%lld", (long long)cancel->look.now_ms);
    conn_begin(cancel->look.conn, 4);
    conn_arg_text(cancel->look.conn, "ZADD");
    conn_arg_text(cancel->look.conn, key);
    conn_arg_text(cancel->look.conn, now_ms);
    conn_arg(cancel->look.conn, cancel->id.at, cancel->id.len);
    return look_ask_number(&cancel->look, &number, err);
}

/* It waits in the stream, or runs, or nobody has it any more: for all that came until now. */
static int mark(struct cancel *cancel, quern_error *err)
{
    int code = look_for_group(&cancel->look, err);
    if (!code) code = key_must_be(cancel->look.conn, cancel->look.source.cancelled, "zset", err);
    if (!code && !(cancel->flags & QUERN_DRY_RUN)) code = write_mark(cancel, err);
    cancel->is_marked = !code;
    return code;
}

static int cancel_all(struct cancel *cancel, quern_error *err)
{
    const struct places none = {0};
    size_t seen;
    int code = ask(cancel, &none, 0, &seen, err); /* what is scheduled */
    if (!code) code = look_through(cancel, err);
    if (code || cancel->scheduled_count + cancel->delayed_count) return code;
    return mark(cancel, err);
}

static char *report(const struct cancel *cancel, quern_error *err)
{
    json_t *object = repair_report(&cancel->look, cancel->flags);
    bool is_whole = object && show_bytes(object, "id", cancel->id) &&
                    show_number(object, "cancelled", cancel->scheduled_count + cancel->delayed_count) &&
                    show_number(object, "scheduled", cancel->scheduled_count) &&
                    show_number(object, "delayed", cancel->delayed_count) &&
                    !json_object_set_new(object, "marked", json_boolean(cancel->is_marked));
    if (is_whole) return show_text(object, err);
    json_decref(object);
    return show_text(NULL, err);
}

static int open_shelves(struct cancel *cancel, quern_error *err)
{
    int code = shelf_open(&cancel->scheduled, &cancel->look, SHELF_SCHEDULED, err);
    return code ? code : shelf_open(&cancel->delayed, &cancel->look, SHELF_DELAYED, err);
}

char *quern_queue_cancel(const quern_config *config, const char *id, unsigned flags, quern_error *err)
{
    struct cancel cancel = {.id = bytes_of(id), .flags = flags};
    quern_error own;
    if (!err) err = &own;
    if (!cancel.id.len) {
        err_set(err, QUERN_E_ARGUMENT, "no id was given; right would be that of a job, as its receipt has it");
        return NULL;
    }
    if (repair_open(&cancel.look, config, flags, QUERN_DRY_RUN, err)) return NULL;
    int code = open_shelves(&cancel, err);
    if (!code) code = cancel_all(&cancel, err);
    char *text = code ? NULL : report(&cancel, err);
    look_close(&cancel.look);
    return text;
}
