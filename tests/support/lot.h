/* SPDX-License-Identifier: MIT */

/* tests/support/lot: a batch of jobs as a test publishes it, and what is told of it.
 * Idea       jobs are published to the mills' group; what closing jobs say is written into a book.
 * Threads    the test's own; handlers write into the book. Each function fails the test where it cannot do what it says. */
#ifndef QUERN_TESTS_SUPPORT_LOT_H
#define QUERN_TESTS_SUPPORT_LOT_H

#include <pthread.h>

#include "support/desk.h"

enum { LOT_MOST = 2000, LOT_CLOSINGS = 256, LOT_DATA_BYTES = 400 };

/* What closing jobs have said. */
struct lot_book {
    pthread_mutex_t lock;
    int count;
    char data[LOT_CLOSINGS][LOT_DATA_BYTES], ids[LOT_CLOSINGS][40];
    _Atomic int ran; /* jobs, the closing ones not counted */
};
extern struct lot_book lot_book;
int lot_closings(void);

/* A scene, and an empty book. */
int lot_scene(void **state);
/* Handlers: of the closing jobs, and of jobs that do as lot_members() says, whose user is the mill. */
quern_verdict lot_close(quern_job *job, void *thread, void *user);
quern_verdict lot_work(quern_job *job, void *thread, void *user);
/* Starts a mill with both. */
struct mill *lot_working(struct mill *mill);

/* ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Its batches are the mills' group's. */
#define lot_desk(scene, ...) desk_open((scene), "group", "g", __VA_ARGS__)

extern const quern_message lot_closing;
extern quern_message lot_messages[LOT_MOST];
extern quern_receipt lot_receipts[LOT_MOST];

/* n jobs of these kinds in turn, "001" two of kind 0, then one of kind 1: 0 is done, 1 dead, 2 tried once more, 3 fails always,
 * 4 waits for the mill's gate. */
const quern_message *lot_members(const char *kinds, size_t n);
quern_publisher *lot_publisher(struct desk *desk);
void lot_publish(struct desk *desk, const char *kinds, size_t n, char id[40]);
/* n jobs that are done. Returns the code. */
int lot_try(struct desk *desk, size_t n, const quern_message *then, char id[40]);
quern_batch *lot_open(struct desk *desk, char id[40]);
void lot_add(struct desk *desk, quern_batch *batch, const char *kinds, size_t n);
void lot_seal(struct desk *desk, quern_batch *batch);

/* ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Of one batch, once. */
void lot_is_told(const char *id, int published, int done, int dead, int open);
/* Of no batch there is anything left. */
bool lot_is_gone(struct redis *redis);
long long lot_count(struct redis *redis, const char *id, const char *what);
/* The batch's time is over, as if it were later. */
void lot_time_passes(struct redis *redis, const char *id);

#endif
