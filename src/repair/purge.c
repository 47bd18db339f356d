/* SPDX-License-Identifier: MIT */

/* repair/purge: one place of a queue is emptied.
 * Idea       one table says of each place which key holds it. What waits is no key: the group passes over it, and other groups
 *            are left as they are.
 * Threads    the caller's. */
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "inspect/backlog.h"
#include "inspect/shelf.h"
#include "inspect/show.h"
#include "repair/repair.h"

enum { TRIM_MAX = 10000, SKIP_BYTES = 256 * 1024 };

struct purge {
    struct look look;
    unsigned flags;
    int64_t count;
    bool is_exact; /* else at least as many */
};

static bool is_dry(const struct purge *purge)
{
    return (purge->flags & QUERN_DRY_RUN) != 0;
}

/* ── whole keys ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static int empty_once(struct purge *purge, const char *key, const char *jobs, int64_t *went, int64_t *left, quern_error *err)
{
    const struct reply *reply;
    script_begin(purge->look.conn, &script_purge, jobs ? 2 + REPAIR_BATCH_KEYS : 1, 5);
    conn_arg_text(purge->look.conn, key);
    if (jobs) conn_arg_text(purge->look.conn, jobs);
    if (jobs) repair_put_batch_keys(&purge->look);
    conn_arg_number(purge->look.conn, is_dry(purge));
    conn_arg_number(purge->look.conn, TRIM_MAX);
    conn_arg_number(purge->look.conn, SCRIPT_MOVES_MAX);
    conn_arg_number(purge->look.conn, SCRIPT_BYTES);
    conn_arg_text(purge->look.conn, purge->look.source.group);
    int code = repair_ask(&purge->look, &script_purge, purge->flags, &reply, err);
    *went = code ? 0 : reply_number(reply_item(reply, 0), 0);
    *left = code ? 0 : reply_number(reply_item(reply, 1), 0);
    return code;
}

/* What comes meanwhile is not waited for: it ends when as many went as there were. */
static int empty(struct purge *purge, const char *key, const char *jobs, quern_error *err)
{
    int64_t went, left, first = -1;
    do {
        int code = empty_once(purge, key, jobs, &went, &left, err);
        if (code) return code;
        purge->count += went;
        if (first < 0) first = went + left;
    } while (went && left && purge->count < first);
    return QUERN_OK;
}

static int purge_dead(struct purge *purge, quern_error *err)
{
    return empty(purge, purge->look.source.dead, NULL, err);
}

static int purge_completed(struct purge *purge, quern_error *err)
{
    int code = empty(purge, purge->look.source.completed, NULL, err);
    return code || purge->count ? code : look_for_group(&purge->look, err);
}

static int purge_shelf(struct purge *purge, enum shelf_kind kind, quern_error *err)
{
    struct shelf shelf;
    int code = shelf_open(&shelf, &purge->look, kind, err);
    return code ? code : empty(purge, shelf.times, shelf.jobs, err);
}

static int purge_delayed(struct purge *purge, quern_error *err)
{
    int code = purge_shelf(purge, SHELF_DELAYED, err);
    return code || purge->count ? code : look_for_group(&purge->look, err);
}

static int purge_scheduled(struct purge *purge, quern_error *err)
{
    return purge_shelf(purge, SHELF_SCHEDULED, err);
}

/* ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* How far the retry stream has been gone through: as the script told. */
struct way {
    char from[ENTRY_ID_SIZE], last[ENTRY_ID_SIZE];
};

static void keep_id(char id[ENTRY_ID_SIZE], const struct reply *reply)
{
    snprintf(id, ENTRY_ID_SIZE, "%.*s", (int)reply_bytes(reply).len, reply->type == REPLY_TEXT ? reply_bytes(reply).at : "");
}

static int skip_once(struct purge *purge, struct way *way, int64_t *skipped, quern_error *err)
{
    const struct source *source = &purge->look.source;
    struct conn *conn = purge->look.conn;
    const struct reply *reply;
    script_begin(conn, &script_skip, 2, 6);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->group);
    conn_arg_number(conn, is_dry(purge));
    conn_arg_text(conn, way->from);
    conn_arg_text(conn, way->last);
    conn_arg_number(conn, SCRIPT_MOVES_MAX);
    conn_arg_number(conn, SKIP_BYTES);
    int code = repair_ask(&purge->look, &script_skip, purge->flags, &reply, err);
    if (code) return code;
    *skipped = reply_number(reply_item(reply, 0), 0);
    purge->count += reply_number(reply_item(reply, 1), 0);
    keep_id(way->from, reply_item(reply, 2));
    keep_id(way->last, reply_item(reply, 3));
    return QUERN_OK;
}

/* Where Redis has lost count, what waits is counted one by one before it is passed over, up to a bound. */
static int purge_waiting(struct purge *purge, quern_error *err)
{
    struct way way = {"", ""};
    struct backlog backlog;
    int64_t skipped, more;
    int code = backlog_read(&purge->look, purge->look.source.stream, &backlog, err);
    if (!code && backlog.has_group) code = backlog_count(&purge->look, purge->look.source.stream, &backlog, err);
    if (!code) code = skip_once(purge, &way, &skipped, err);
    if (!code && skipped == -2) code = look_no_group(&purge->look, err);
    while (!code && *way.last) code = skip_once(purge, &way, &more, err);
    if (code) return code;
    purge->is_exact = skipped >= 0 || backlog.is_exact;
    purge->count += skipped >= 0 ? skipped : backlog.unread;
    return QUERN_OK;
}

/* ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct place {
    const char *name;
    int (*purge)(struct purge *purge, quern_error *err);
} places[] = {
    {"waiting", purge_waiting}, {"delayed", purge_delayed},     {"scheduled", purge_scheduled},
    {"dead", purge_dead},       {"completed", purge_completed},
};

static const struct place *place_of(const char *what, quern_error *err)
{
    for (size_t i = 0; what && i < COUNT_OF(places); i++)
        if (strcmp(places[i].name, what) == 0) return &places[i];
    bool runs = what && (strcmp(what, "running") == 0 || strcmp(what, "alone") == 0);
    err_set(err, QUERN_E_ARGUMENT, "'%s' %s; right would be waiting, delayed, scheduled, dead or completed",
            what ? what : "(nothing)", runs ? "is not purged: such jobs may run" : "is no place that can be purged");
    return NULL;
}

static char *report(const struct purge *purge, const char *what, quern_error *err)
{
    json_t *object = repair_report(&purge->look, purge->flags);
    bool is_whole = object && show_bytes(object, "what", bytes_of(what)) &&
                    show_number_or_null(object, "purged", purge->count, purge->is_exact) &&
                    show_number(object, "purged_at_least", purge->count);
    if (is_whole) return show_text(object, err);
    json_decref(object);
    return show_text(NULL, err);
}

char *quern_queue_purge(const quern_config *config, const char *what, unsigned flags, quern_error *err)
{
    struct purge purge = {.flags = flags, .is_exact = true};
    quern_error own;
    if (!err) err = &own;
    const struct place *place = place_of(what, err);
    if (!place || repair_open(&purge.look, config, flags, QUERN_DRY_RUN, err)) return NULL;
    int code = place->purge(&purge, err);
    if (!code && !purge.count) code = look_for_stream(&purge.look, purge.look.source.dead, err);
    char *text = code ? NULL : report(&purge, what, err);
    look_close(&purge.look);
    return text;
}
