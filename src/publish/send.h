/* SPDX-License-Identifier: MIT */

/* publish/send: one batch of checked messages, one round trip.
 * Idea       marked: the publish script, whose marker makes it safe to ask again after a lost answer. Unmarked: plain XADDs, whose
 *            lost answers are the caller's to judge. What is for later, or to be there once, or bounded, or has more fields goes by
 *            the enqueue script, always marked (publish/enqueue).
 * Threads    the publisher's holder. */
#ifndef QUERN_PUBLISH_SEND_H
#define QUERN_PUBLISH_SEND_H

#include "config/config.h"
#include "wire/conn.h"
#include "wire/errors.h"

/* Keys beside the stream, made once. retry and what follows: of the group. */
struct publish_keys {
    char *marker, *scheduled, *scheduled_jobs, *dead;
    char *retry, *batches, *batch_open, *batch_state;
};

/* What a call says of the batch of jobs that its messages are of (publish/batch). */
struct outgoing_batch {
    const char *id, *field;    /* field: what each of the jobs says */
    int64_t wait_ms;           /* how long it may wait for the next call */
    int64_t sealed_ms;         /* and for its jobs, from this call on, which is the last one; 0: it is not */
    const quern_message *then; /* the closing job, whose data has no end; NULL: an earlier call has made the batch */
};

struct outgoing {
    const quern_config *config;
    const struct publish_keys *keys;
    const char *marker;                 /* its key; NULL: unmarked */
    char *const *windows;               /* per message: its dedup window's key, or NULL */
    const struct outgoing_batch *batch; /* NULL: they are of none */
    bool is_plain;                      /* fields for the stream, now, once or not: no message of it needs the enqueue script */
    int64_t marker_ms;                  /* how long it may be asked for again */
    uint64_t number;                    /* of the batch, unique per publisher */
    const char *stamps;                 /* the timestamps field */
    const quern_message *messages;
    quern_receipt *receipts;     /* ids are filled already */
    size_t count, place;         /* place: of the first among those of its call */
    const struct outgoing *next; /* likewise marked and plain: sent while this one's answer is out; NULL: none */
};

/* How many of its messages have a dedup window. */
size_t outgoing_windows(const struct outgoing *batch);

/* What is known of a batch that was not answered as it should be. */
enum sent {
    SENT_NOTHING,
    SENT_UNANSWERED,
    SENT_HALF,     /* its script has failed in the middle: what it had written is there */
    SENT_OVERTAKEN /* unmarked: each was answered, and one was taken behind one that was refused */
};

enum { MARKER_MS = 600000 }; /* how long a batch may be asked for again at least; twice the budget if that is longer */

/* ahead: the number of the batch that is on its way on this connection already, 0: none; in and out. One that was sent ahead is taken up
 * by the next call, whose batch it must be, and is refused where the batch before it is not there.
 * QUERN_OK: every receipt is filled, those for which there was no room with QUERN_E_FULL. Else: *sent (enum sent) says whether Redis may have run it; *meaning what an error
 * reply means (ERROR_UNKNOWN without one). Unmarked: receipts that were answered are filled even so. */
int send_batch(struct conn *conn, const struct outgoing *batch, uint64_t *ahead, int64_t deadline_ns, int *sent,
               struct error_meaning *meaning, quern_error *err) QUERN_MUST_USE;

#endif
