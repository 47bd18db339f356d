/* SPDX-License-Identifier: MIT */

/* wire/pending: a page of what consumers hold, as Redis sees it. A plain read: it changes nothing. Without IDLE, which would have
 * Redis walk the whole list. */
#ifndef QUERN_WIRE_PENDING_H
#define QUERN_WIRE_PENDING_H

#include "wire/conn.h"
#include "wire/entry.h"

struct pending_row {
    struct entry_id id;
    uint32_t deliveries;
    quern_bytes consumer; /* lent until the connection's next reply */
    int64_t idle_ms;
};

struct pending_page {
    const char *stream, *group;
    const char *consumer;  /* NULL: all of them */
    struct entry_id after; /* rows behind this id; {0, 0}: from the beginning */
};

/* Fills rows[max] in the order of ids. *count < max: that was the last page. Waits for the answer. */
int pending_read(struct conn *conn, const struct pending_page *page, struct pending_row *rows, size_t max, size_t *count,
                 quern_error *err) QUERN_MUST_USE;

#endif
