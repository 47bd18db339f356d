/* SPDX-License-Identifier: MIT */
#include "inspect/processes.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "inspect/show.h"

struct process {
    quern_bytes name; /* malloc'd */
    int64_t held, idle_ms;
};

struct processes {
    struct process *at;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    quern_bytes one = ((const struct process *)a)->name, other = ((const struct process *)b)->name;
    int order = memcmp(one.at, other.at, one.len < other.len ? one.len : other.len);
    return order ? order : (one.len > other.len) - (one.len < other.len);
}

static int take_consumers(struct look *look, const char *stream, struct processes *all, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "XINFO", "CONSUMERS", stream, look->source.group, NULL);
    int code = look_ask(look, &reply, err);
    if (code || reply->type != REPLY_ARRAY || !reply->count) return code;
    struct process *more = realloc(all->at, (all->count + reply->count) * sizeof *more);
    if (!more) return err_set(err, QUERN_E_MEMORY, "no memory for %u consumers", (unsigned)reply->count);
    all->at = more;
    for (uint32_t i = 0; i < reply->count; i++) {
        quern_bytes name = reply_bytes(reply_field(&reply->items[i], "name"));
        char *copy = bytes_copy(name);
        if (!copy) return err_set(err, QUERN_E_MEMORY, "no memory for the names of consumers");
        all->at[all->count++] = (struct process){.name = {copy, name.len},
                                                 .held = reply_number(reply_field(&reply->items[i], "pending"), 0),
                                                 .idle_ms = reply_number(reply_field(&reply->items[i], "idle"), 0)};
    }
    return QUERN_OK;
}

/* One row for all streams' consumers of a name: it holds what all of them hold, and was seen when any was. */
static void merge(struct processes *all)
{
    size_t kept = 0;
    if (all->count) qsort(all->at, all->count, sizeof *all->at, compare);
    for (size_t i = 0; i < all->count; i++) {
        struct process *last = kept ? &all->at[kept - 1] : NULL;
        if (!last || compare(last, &all->at[i]) != 0) {
            all->at[kept++] = all->at[i];
            continue;
        }
        last->held += all->at[i].held;
        if (all->at[i].idle_ms < last->idle_ms) last->idle_ms = all->at[i].idle_ms;
        free((char *)(uintptr_t)all->at[i].name.at);
    }
    all->count = kept;
}

static json_t *list_of(const struct processes *all)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < all->count; i++) {
        json_t *row = json_object();
        bool is_whole = row && show_bytes(row, "consumer", all->at[i].name) && show_number(row, "held", all->at[i].held) &&
                        show_number(row, "idle_ms", all->at[i].idle_ms);
        if (!json_array_append_new(list, row) && is_whole) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

int processes_read(struct look *look, json_t **list, quern_error *err)
{
    struct processes all = {0};
    int code = take_consumers(look, look->source.stream, &all, err);
    if (!code) code = take_consumers(look, look->source.retry, &all, err);
    if (!code) code = take_consumers(look, look->source.alone, &all, err);
    merge(&all);
    json_t *rows = code ? NULL : list_of(&all);
    for (size_t i = 0; i < all.count; i++) free((char *)(uintptr_t)all.at[i].name.at);
    free(all.at);
    if (code) return code;
    if (!rows) return err_set(err, QUERN_E_MEMORY, "no memory for a list of consumers");
    *list = rows;
    return QUERN_OK;
}
