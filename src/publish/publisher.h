/* SPDX-License-Identifier: MIT */

/* publish/publisher: what a publisher is, for the files of this room. */
#ifndef QUERN_PUBLISH_PUBLISHER_H
#define QUERN_PUBLISH_PUBLISHER_H

#include <pthread.h>
#include <stdatomic.h>

#include "config/config.h"
#include "publish/line.h"
#include "publish/send.h"

struct async;

struct quern_publisher {
    quern_config *config;
    struct url url;
    struct publish_keys keys;
    _Atomic int inside;          /* calls that have begun and not returned */
    struct async *_Atomic async; /* publish/async; NULL: nothing was published so yet */
    pthread_mutex_t async_lock;  /* while it is made */
    struct line line;            /* guards the rest; whose turn it is talks to Redis */
    struct conn *conn;
    uint64_t number; /* the last one that a batch was given */
    uint64_t ahead;  /* of the batch that is on its way on conn, while the one before it is waited for; 0: none */
    uint64_t adrift; /* of one whose connection was given up before it was its turn: it may be there */
    bool has_group, has_marked;
    bool may_come_late; /* something was unanswered on a connection that was given up: Redis may read it yet */
};

/* Publishes messages that were checked, as quern_publish() does. windows: the key of each message's dedup window, or NULL; lent.
 * receipts may be NULL. Waits. */
int publisher_publish(quern_publisher *publisher, const quern_message *messages, char *const *windows, size_t n,
                      quern_receipt *receipts, quern_error *err) QUERN_MUST_USE;

/* What quern_publish() does with a publisher and messages that are there: checks, and publishes. batch: what they are of,
 * sealed with the last of them if sealed_ms is set, or alone where n is 0; its then is kept; NULL: none. */
int publisher_take(quern_publisher *publisher, const quern_message *messages, size_t n, struct outgoing_batch *batch,
                   quern_receipt *receipts, quern_error *err) QUERN_MUST_USE;

/* How long what was sent may be asked for again. */
int64_t publisher_marker_ms(const quern_config *config);

#endif
