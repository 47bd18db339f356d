/* SPDX-License-Identifier: MIT */
#include "wire/pending.h"

#include <stdio.h>

#include "base/err.h"

int pending_read(struct conn *conn, const struct pending_page *page, struct pending_row *rows, size_t max, size_t *count,
                 quern_error *err)
{
    char from[ENTRY_ID_SIZE + 1] = "(";
    const struct reply *reply;
    entry_id_text(page->after, from + 1);
    conn_begin(conn, page->consumer ? 7 : 6);
    conn_arg_text(conn, "XPENDING");
    conn_arg_text(conn, page->stream);
    conn_arg_text(conn, page->group);
    conn_arg_text(conn, from);
    conn_arg_text(conn, "+");
    conn_arg_number(conn, (int64_t)max);
    if (page->consumer) conn_arg_text(conn, page->consumer);
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    size_t n = 0;
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count && n < max; i++) {
        const struct reply *row = reply_item(reply, i);
        if (!entry_id_read(reply_bytes(reply_item(row, 0)), &rows[n].id))
            return err_set(err, QUERN_E_SERVER, "XPENDING answered something that is no list of entries");
        rows[n].consumer = reply_bytes(reply_item(row, 1));
        rows[n].idle_ms = reply_number(reply_item(row, 2), 0);
        rows[n++].deliveries = (uint32_t)reply_number(reply_item(row, 3), 1);
    }
    *count = n;
    return QUERN_OK;
}
