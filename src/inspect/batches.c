/* SPDX-License-Identifier: MIT */
#include "inspect/batches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "inspect/show.h"
#include "wire/group.h"

enum { PAGE = 64, NAME_MAX_BYTES = 64, NUMBERS = 5 };
#define YEAR_9999_MS INT64_C(253402300799999)

/* In the order of their columns; the last one is 0 or 1. */
static const char *const numbers[NUMBERS] = {"wanted", "published", "done", "dead", "sealed"};

struct due {
    char id[NAME_MAX_BYTES];
    int64_t ms;
};

static int read_times(struct look *look, size_t from, size_t want, struct due *page, size_t *count, quern_error *err)
{
    const struct reply *reply;
    conn_begin(look->conn, 5);
    conn_arg_text(look->conn, "ZRANGE");
    conn_arg_text(look->conn, look->source.batches);
    conn_arg_number(look->conn, (int64_t)from);
    conn_arg_number(look->conn, (int64_t)(from + want - 1));
    conn_arg_text(look->conn, "WITHSCORES");
    int code = look_ask(look, &reply, err);
    for (uint32_t i = 0; !code && reply->type == REPLY_ARRAY && i + 1 < reply->count && *count < want; i += 2) {
        quern_bytes id = reply_bytes(&reply->items[i]);
        struct due *due = &page[(*count)++];
        snprintf(due->id, sizeof due->id, "%.*s", (int)id.len, id.at ? id.at : "");
        due->ms = (int64_t)strtod(reply_bytes(&reply->items[i + 1]).at, NULL);
    }
    return code;
}

static json_t *row_of(const struct due *due, const struct reply *counts, uint32_t from, int64_t now_ms)
{
    int64_t found[NUMBERS];
    char text[CLOCK_ISO_SIZE];
    json_t *row = json_object();
    bool is_whole = row && show_bytes(row, "id", bytes_of(due->id));
    bool is_dated = due->ms >= 0 && due->ms <= YEAR_9999_MS;
    if (is_dated) clock_iso(due->ms * 1000, text);
    for (uint32_t i = 0; i < NUMBERS; i++) found[i] = reply_number(reply_item(counts, from + i), -1);
    for (uint32_t i = 0; is_whole && i + 1 < NUMBERS; i++)
        is_whole = show_number_or_null(row, numbers[i], found[i], found[i] >= 0);
    is_whole = is_whole && show_number_or_null(row, "open", found[1] - found[2] - found[3], found[1] >= 0) &&
               !json_object_set_new(row, "sealed", json_boolean(found[NUMBERS - 1] == 1)) &&
               show_number(row, "deadline_ms", due->ms > now_ms ? due->ms - now_ms : 0) &&
               (is_dated ? show_bytes(row, "deadline_at", bytes_of(text)) : show_null(row, "deadline_at"));
    if (is_whole) return row;
    json_decref(row);
    return NULL;
}

static int add_page(struct look *look, const struct due *page, size_t count, struct listing *listing, quern_error *err)
{
    const struct reply *reply;
    char field[NAME_MAX_BYTES + 16];
    conn_begin(look->conn, 2 + NUMBERS * count);
    conn_arg_text(look->conn, "HMGET");
    conn_arg_text(look->conn, look->source.batch_state);
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < NUMBERS; n++) {
            snprintf(field, sizeof field, "%.63s:%s", page[i].id, numbers[n]);
            conn_arg_text(look->conn, field);
        }
    int code = look_ask(look, &reply, err);
    for (uint32_t i = 0; !code && i < count; i++)
        if (!listing_add(listing, row_of(&page[i], reply, i * NUMBERS, look->now_ms))) code = listing_no_memory(err);
    return code;
}

int batches_list(struct look *look, struct listing *listing, quern_error *err)
{
    struct due page[PAGE];
    size_t from = 0, want, count;
    int code = key_must_be(look->conn, look->source.batch_state, "hash", err);
    if (code) return code;
    do {
        count = 0;
        want = listing_room(listing) < PAGE ? listing_room(listing) : PAGE;
        if (!want) return QUERN_OK;
        code = read_times(look, from, want, page, &count, err);
        if (!code && count) code = add_page(look, page, count, listing, err);
        if (code) return code;
        from += count;
    } while (count == want);
    return QUERN_OK;
}
