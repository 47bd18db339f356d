/* SPDX-License-Identifier: MIT */

/* publish/send: one batch of checked messages, one round trip.
 * Idea       marked: the publish script, whose marker makes it safe to ask again after a lost answer. Unmarked: plain XADDs, whose
 *            lost answers are the caller's to judge.
 * Threads    the publisher's holder. */
#ifndef QUERN_PUBLISH_SEND_H
#define QUERN_PUBLISH_SEND_H

#include "wire/conn.h"
#include "wire/errors.h"

struct outgoing {
    const char *stream, *marker; /* marker: its key; NULL: unmarked */
    int64_t marker_ms;           /* how long it may be asked for again */
    uint64_t number;             /* of the batch, unique per publisher */
    const char *stamps;          /* the timestamps field */
    const quern_message *messages;
    quern_receipt *receipts; /* ids are filled already */
    size_t count;
};

enum { MARKER_MS = 600000 }; /* how long a batch may be asked for again at least; twice the budget if that is longer */

/* QUERN_OK: every receipt's entry and code are filled. Else: *was_sent says whether Redis may have run it; *meaning what an error
 * reply means (ERROR_UNKNOWN without one). Unmarked: receipts that were answered are filled even so. */
int send_batch(struct conn *conn, const struct outgoing *batch, int64_t deadline_ns, int *was_sent,
               struct error_meaning *meaning, quern_error *err) QUERN_MUST_USE;

#endif
