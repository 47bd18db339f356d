/* SPDX-License-Identifier: MIT */
#include "inspect/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "inspect/show.h"
#include "job/packed.h"
#include "wire/group.h"

/* Whole jobs travel: few at a time. */
enum { PAGE = 32 };
#define YEAR_9999_MS INT64_C(253402300799999)

int shelf_open(struct shelf *shelf, struct look *look, enum shelf_kind kind, quern_error *err)
{
    const struct source *source = &look->source;
    *shelf = kind == SHELF_DELAYED ? (struct shelf){source->delayed, source->waiting, kind}
                                   : (struct shelf){source->scheduled, source->scheduled_jobs, kind};
    int code = key_must_be(look->conn, shelf->times, "zset", err);
    return code ? code : key_must_be(look->conn, shelf->jobs, "hash", err);
}

/* ── listing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A member of the zset, copied: its job is asked for next. */
struct due {
    quern_bytes member; /* malloc'd */
    int64_t ms;
};

static int read_times(const struct shelf *shelf, struct look *look, size_t from, size_t want, struct due *page, size_t *count,
                      quern_error *err)
{
    const struct reply *reply;
    conn_begin(look->conn, 5);
    conn_arg_text(look->conn, "ZRANGE");
    conn_arg_text(look->conn, shelf->times);
    conn_arg_number(look->conn, (int64_t)from);
    conn_arg_number(look->conn, (int64_t)(from + want - 1));
    conn_arg_text(look->conn, "WITHSCORES");
    int code = look_ask(look, &reply, err);
    if (code) return code;
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i + 1 < reply->count && *count < want; i += 2) {
        quern_bytes member = reply_bytes(&reply->items[i]);
        char *copy = bytes_copy(member);
        if (!copy) return listing_no_memory(err);
        page[(*count)++] = (struct due){{copy, member.len}, (int64_t)strtod(reply_bytes(&reply->items[i + 1]).at, NULL)};
    }
    return QUERN_OK;
}

/* The entry that a retry came from stands in the name of its place; "s:1-1" or "r:1-1". */
static struct entry entry_of(const struct shelf *shelf, quern_bytes member, const struct reply *fields)
{
    struct entry entry = {.id_text = member, .fields = fields};
    if (shelf->kind == SHELF_DELAYED && member.len > 2) entry.id_text = (quern_bytes){member.at + 2, member.len - 2};
    if (!entry_id_read(entry.id_text, &entry.id)) entry.id = (struct entry_id){0};
    return entry;
}

static json_t *row_of(const struct entry *entry, int64_t ms, int64_t now_ms)
{
    char text[CLOCK_ISO_SIZE];
    json_t *row = json_object();
    bool is_dated = ms >= 0 && ms <= YEAR_9999_MS;
    if (is_dated) clock_iso(ms * 1000, text);
    bool is_whole = row && (entry->id.ms ? show_id(row, "entry", entry->id) : show_null(row, "entry")) &&
                    show_number(row, "due_ms", ms > now_ms ? ms - now_ms : 0) &&
                    (is_dated ? show_bytes(row, "due_at", bytes_of(text)) : show_null(row, "due_at"));
    if (is_whole) return row;
    json_decref(row);
    return NULL;
}

static bool add(const struct shelf *shelf, const struct due *due, const struct reply *text, int64_t now_ms,
                struct listing *listing)
{
    static const struct reply nothing = {.type = REPLY_NIL};
    struct packed packed = {.block = NULL};
    bool is_read = packed_read(&packed, reply_bytes(text));
    struct entry entry = entry_of(shelf, due->member, is_read ? &packed.fields : &nothing);
    bool is_added = listing_add_job(listing, row_of(&entry, due->ms, now_ms), &entry, shelf->kind == SHELF_DELAYED, now_ms);
    packed_free(&packed);
    return is_added;
}

static int add_jobs(const struct shelf *shelf, struct look *look, const struct due *page, size_t count, struct listing *listing,
                    quern_error *err)
{
    const struct reply *reply;
    conn_begin(look->conn, 2 + count);
    conn_arg_text(look->conn, "HMGET");
    conn_arg_text(look->conn, shelf->jobs);
    for (size_t i = 0; i < count; i++) conn_arg(look->conn, page[i].member.at, page[i].member.len);
    int code = look_ask(look, &reply, err);
    for (uint32_t i = 0; !code && i < count; i++)
        if (!add(shelf, &page[i], reply_item(reply, i), look->now_ms, listing)) code = listing_no_memory(err);
    return code;
}

int shelf_list(const struct shelf *shelf, struct look *look, struct listing *listing, quern_error *err)
{
    struct due page[PAGE];
    size_t from = 0, want, count;
    do {
        count = 0;
        want = listing_room(listing) < PAGE ? listing_room(listing) : PAGE;
        if (!want) return QUERN_OK;
        int code = read_times(shelf, look, from, want, page, &count, err);
        if (!code && count) code = add_jobs(shelf, look, page, count, listing, err);
        for (size_t i = 0; i < count; i++) free((char *)(uintptr_t)page[i].member.at);
        if (code) return code;
        from += count;
    } while (count == want);
    return QUERN_OK;
}
