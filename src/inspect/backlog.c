/* SPDX-License-Identifier: MIT */
#include "inspect/backlog.h"

#include "base/bytes.h"
#include "base/err.h"

/* Whole entries travel to be counted: few at a time, and not more than this. */
enum { PAGE = 16, COUNT_MAX = 1000, COUNT_BYTES_MAX = 4 * 1024 * 1024 };

static void take_group(const struct reply *group, struct backlog *backlog)
{
    int64_t entries_read = reply_number(reply_field(group, "entries-read"), -1);
    bool has_last = entry_id_read(reply_bytes(reply_field(group, "last-delivered-id")), &backlog->last);
    /* Redis says nil of a group that has not read yet, too. */
    if (entries_read < 0 && has_last && backlog->last.ms == 0 && backlog->last.seq == 0) entries_read = 0;
    backlog->has_group = true;
    backlog->pending = reply_number(reply_field(group, "pending"), 0);
    backlog->lag = reply_number(reply_field(group, "lag"), -1);
    backlog->is_settled_known = entries_read >= 0;
    backlog->settled = entries_read - backlog->pending;
    backlog->added = entries_read >= 0 && backlog->lag >= 0 ? entries_read + backlog->lag : -1;
}

int backlog_read(struct look *look, const char *stream, struct backlog *backlog, quern_error *err)
{
    const struct reply *groups;
    *backlog = (struct backlog){.is_settled_known = true, .added = -1};
    conn_command(look->conn, "XINFO", "GROUPS", stream, NULL);
    int code = look_ask(look, &groups, err);
    if (code) return code;
    for (uint32_t i = 0; groups->type == REPLY_ARRAY && i < groups->count; i++)
        if (bytes_is(reply_bytes(reply_field(&groups->items[i], "name")), look->source.group))
            take_group(&groups->items[i], backlog);
    return QUERN_OK;
}

static size_t bytes_in(const struct entry *entry)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < entry->fields->count; i++) bytes += reply_bytes(reply_item(entry->fields, i)).len;
    return bytes;
}

/* The next entries behind *last, which moves on. */
static int read_page(struct look *look, const char *stream, int64_t max, struct backlog *backlog, struct entry_id *last,
                     size_t *bytes, quern_error *err)
{
    char from[ENTRY_ID_SIZE + 1] = "(";
    const struct reply *page;
    struct entry entry;
    entry_id_text(*last, from + 1);
    conn_begin(look->conn, 6);
    for (const char *const *word = (const char *const[]){"XRANGE", stream, from, "+", "COUNT", NULL}; *word; word++)
        conn_arg_text(look->conn, *word);
    conn_arg_number(look->conn, max);
    int code = look_ask(look, &page, err);
    if (code) return code;
    backlog->is_exact = page->type != REPLY_ARRAY || page->count < max;
    for (uint32_t i = 0; page->type == REPLY_ARRAY && i < page->count; i++) {
        if (!entry_read(&page->items[i], &entry))
            return err_set(err, QUERN_E_SERVER, "XRANGE answered something that is no entry");
        if (!backlog->has_oldest) backlog->oldest = entry.id;
        backlog->has_oldest = true;
        backlog->unread++;
        *last = entry.id;
        *bytes += bytes_in(&entry);
    }
    return QUERN_OK;
}

int backlog_count(struct look *look, const char *stream, struct backlog *backlog, quern_error *err)
{
    struct entry_id last = backlog->last;
    size_t bytes = 0;
    bool is_told = backlog->has_group && backlog->lag >= 0;
    int code = read_page(look, stream, is_told ? 1 : PAGE, backlog, &last, &bytes, err);
    while (!code && !is_told && !backlog->is_exact && backlog->unread < COUNT_MAX && bytes < COUNT_BYTES_MAX)
        code = read_page(look, stream, PAGE, backlog, &last, &bytes, err);
    if (is_told) backlog->unread = backlog->lag;
    if (is_told) backlog->is_exact = true;
    return code;
}
