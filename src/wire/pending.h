/* SPDX-License-Identifier: MIT */

/* wire/pending: a page of what one consumer holds, as Redis sees it. A plain read: it changes nothing. */
#ifndef QUERN_WIRE_PENDING_H
#define QUERN_WIRE_PENDING_H

#include "wire/conn.h"
#include "wire/entry.h"

struct pending_row {
    struct entry_id id;
    uint32_t deliveries;
};

struct pending_page {
    const char *stream, *group, *consumer;
    struct entry_id after; /* rows behind this id; {0, 0}: from the beginning */
};

/* Fills rows[max] in the order of ids. *count < max: that was the last page. Waits for the answer. */
int pending_read(struct conn *conn, const struct pending_page *page, struct pending_row *rows, size_t max, size_t *count,
                 quern_error *err) QUERN_MUST_USE;

#endif
