/* SPDX-License-Identifier: MIT */

/* upkeep/heed: what operators have ordered is brought into this process (queue/orders).
 * Idea       the look at what is due tells which events are paused, and how the list of cancelled jobs looks; it is read when it looks
 *            otherwise than before. Jobs that run here and are on it are marked: their handlers are told.
 * Threads    reaper. Waits for answers. */
#ifndef QUERN_UPKEEP_HEED_H
#define QUERN_UPKEEP_HEED_H

#include "wire/conn.h"

struct reaper_needs;

/* What is known of one queue's orders. */
struct heeded {
    int64_t cancelled, last_ms; /* how many, and the last of them, as of the last list that was read */
    bool had_paused;
    bool has_looked; /* false: others may have left what they know (the look at the start) */
};

/* The orders as the look at what is due tells them. events: lent until the connection's next answer. */
struct heard {
    const struct reply *events;
    int64_t cancelled, last_ms;
};

/* Asks for both by itself: before there are threads. */
int heed_now(const struct reaper_needs *needs, uint32_t queue, struct conn *conn, quern_error *err) QUERN_MUST_USE;

/* QUERN_E_MEMORY: what was known before still holds. */
int heed(const struct reaper_needs *needs, uint32_t queue, struct heeded *heeded, const struct heard *heard, struct conn *conn,
         quern_error *err) QUERN_MUST_USE;

#endif
