/* SPDX-License-Identifier: MIT */

/* inspect/peek: the jobs of a queue, one by one, by where they are.
 * Idea       one table says of each place how it is read. What is read in pages may change between two of them: a job that moves
 *            meanwhile may be missing, or be there twice. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "config/config.h"
#include "inspect/backlog.h"
#include "inspect/batches.h"
#include "inspect/listing.h"
#include "inspect/shelf.h"
#include "inspect/show.h"

/* Whole jobs travel: few at a time. */
enum { PAGE = 32 };

/* ── what lies in streams ────────────────────────────────────────────────────────────────────────────────────────── */

static json_t *row_of(struct entry_id id, const char *stream)
{
    json_t *row = json_object();
    if (row && show_id(row, "entry", id) && (!stream || show_bytes(row, "stream", bytes_of(stream)))) return row;
    json_decref(row);
    return NULL;
}

/* A page of a stream behind *last, which moves on. */
static int read_page(struct look *look, const char *stream, struct entry_id *last, size_t want, const struct reply **page,
                     quern_error *err)
{
    char from[ENTRY_ID_SIZE + 1] = "(";
    struct entry entry;
    entry_id_text(*last, from + 1);
    conn_begin(look->conn, 6);
    for (const char *const *word = (const char *const[]){"XRANGE", stream, from, "+", "COUNT", NULL}; *word; word++)
        conn_arg_text(look->conn, *word);
    conn_arg_number(look->conn, (int64_t)want);
    int code = look_ask(look, page, err);
    if (code || (*page)->type != REPLY_ARRAY || !(*page)->count) return code;
    if (!entry_read(reply_item(*page, (*page)->count - 1), &entry))
        return err_set(err, QUERN_E_SERVER, "XRANGE answered something that is no entry");
    *last = entry.id;
    return QUERN_OK;
}

/* The jobs of a stream behind an entry, oldest first. */
static int list_behind(struct look *look, const char *stream, struct entry_id last, bool is_private, struct listing *listing,
                       quern_error *err)
{
    const struct reply *page;
    struct entry entry;
    size_t want, count;
    do {
        want = listing_room(listing) < PAGE ? listing_room(listing) : PAGE;
        if (!want) return QUERN_OK;
        int code = read_page(look, stream, &last, want, &page, err);
        if (code) return code;
        count = page->type == REPLY_ARRAY ? page->count : 0;
        for (uint32_t i = 0; i < count; i++)
            if (entry_read(&page->items[i], &entry) &&
                !listing_add_job(listing, row_of(entry.id, stream), &entry, is_private, look->now_ms))
                return listing_no_memory(err);
    } while (count == want);
    return QUERN_OK;
}

/* Unread by the group: nobody knows what that is where there is none. The retry stream is read once the other has no more. */
static int list_waiting(struct look *look, struct listing *listing, quern_error *err)
{
    struct backlog stream, retry;
    int code = backlog_read(look, look->source.stream, &stream, err);
    if (!code && !stream.has_group) code = look_for_stream(look, look->source.stream, err);
    if (!code && !stream.has_group) code = look_no_group(look, err);
    if (!code) code = backlog_read(look, look->source.retry, &retry, err);
    if (!code) code = list_behind(look, look->source.stream, stream.last, false, listing, err);
    if (!code) code = list_behind(look, look->source.retry, retry.last, true, listing, err);
    return code;
}

static int list_alone(struct look *look, struct listing *listing, quern_error *err)
{
    return list_behind(look, look->source.alone, (struct entry_id){0}, true, listing, err);
}

/* ── what waits for a time ───────────────────────────────────────────────────────────────────────────────────────── */

static int list_shelf(struct look *look, enum shelf_kind kind, struct listing *listing, quern_error *err)
{
    struct shelf shelf;
    int code = shelf_open(&shelf, look, kind, err);
    return code ? code : shelf_list(&shelf, look, listing, err);
}

static int list_delayed(struct look *look, struct listing *listing, quern_error *err)
{
    return list_shelf(look, SHELF_DELAYED, listing, err);
}

static int list_scheduled(struct look *look, struct listing *listing, quern_error *err)
{
    return list_shelf(look, SHELF_SCHEDULED, listing, err);
}

/* ── what has ended ──────────────────────────────────────────────────────────────────────────────────────────────── */

/* The log's numbers may have decimals. */
static bool show_decimal(json_t *row, const char *name, quern_bytes text)
{
    char *end = NULL;
    double number = text.len ? strtod(text.at, &end) : 0;
    bool is_number = text.len && end == text.at + text.len && number >= 0 && number < 1e15;
    return !json_object_set_new(row, name, is_number ? json_real(number) : json_null());
}

static json_t *record_of(const struct entry *entry)
{
    static const char *const texts[] = {"id", "event", "result", "consumer", "finished_at"};
    static const char *const numbers[] = {"wait_ms", "run_ms"};
    json_t *row = row_of(entry->id, NULL);
    int64_t retries = reply_number(reply_field(entry->fields, "retries"), -1);
    bool is_whole = row && show_number_or_null(row, "retries", retries, retries >= 0);
    for (size_t i = 0; is_whole && i < COUNT_OF(texts); i++)
        is_whole = show_bytes(row, texts[i], reply_bytes(reply_field(entry->fields, texts[i])));
    for (size_t i = 0; is_whole && i < COUNT_OF(numbers); i++)
        is_whole = show_decimal(row, numbers[i], reply_bytes(reply_field(entry->fields, numbers[i])));
    if (is_whole) return row;
    json_decref(row);
    return NULL;
}

/* Newest first. */
static int list_completed(struct look *look, struct listing *listing, quern_error *err)
{
    char before[ENTRY_ID_SIZE + 1] = "+";
    const struct reply *page;
    struct entry entry;
    size_t want, count;
    do {
        want = listing_room(listing) < PAGE ? listing_room(listing) : PAGE;
        if (!want) return QUERN_OK;
        conn_begin(look->conn, 6);
        for (const char *const *word = (const char *const[]){"XREVRANGE", look->source.completed, before, "-", "COUNT", NULL};
             *word; word++)
            conn_arg_text(look->conn, *word);
        conn_arg_number(look->conn, (int64_t)want);
        int code = look_ask(look, &page, err);
        if (code) return code;
        count = page->type == REPLY_ARRAY ? page->count : 0;
        for (uint32_t i = 0; i < count; i++) {
            if (!entry_read(&page->items[i], &entry))
                return err_set(err, QUERN_E_SERVER, "XREVRANGE answered something that is no entry");
            if (!listing_add(listing, record_of(&entry))) return listing_no_memory(err);
        }
        before[0] = '(';
        if (count) entry_id_text(entry.id, before + 1);
    } while (count == want);
    return QUERN_OK;
}

/* ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct place {
    const char *name;
    /* one of the two */
    int (*list)(struct look *look, struct listing *listing, quern_error *err);
    char *(*whole)(const quern_config *config, size_t max, quern_error *err);
    bool is_group; /* of the group: an empty list of a group that is not there would say nothing */
} places[] = {
    {"waiting", .list = list_waiting, .is_group = true},     {"running", .whole = quern_queue_pending},
    {"delayed", .list = list_delayed, .is_group = true},     {"scheduled", .list = list_scheduled},
    {"alone", .list = list_alone, .is_group = true},         {"dead", .whole = quern_queue_dead},
    {"completed", .list = list_completed, .is_group = true}, {"batches", .list = batches_list, .is_group = true},
};

static char *peek_at(const quern_config *config, const struct place *place, size_t max, quern_error *err)
{
    struct look look;
    struct listing listing;
    if (look_open(&look, config, err)) return NULL;
    int code = listing_open(&listing, max, err);
    if (!code) code = place->list(&look, &listing, err);
    if (!code && !listing.count) code = look_for_stream(&look, look.source.retry, err);
    if (!code && !listing.count && place->is_group) code = look_for_group(&look, err);
    char *text = listing_close(&listing, code, err);
    look_close(&look);
    return text;
}

char *quern_queue_peek(const quern_config *config, const char *what, size_t max, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    for (size_t i = 0; what && i < COUNT_OF(places); i++) {
        if (strcmp(places[i].name, what) != 0) continue;
        return places[i].list ? peek_at(config, &places[i], max, err) : places[i].whole(config, max, err);
    }
    err_set(
        err, QUERN_E_ARGUMENT,
        "'%s' is no place to look at; right would be waiting, running, delayed, scheduled, alone, dead, completed or batches",
        what ? what : "(nothing)");
    return NULL;
}
