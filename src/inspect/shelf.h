/* SPDX-License-Identifier: MIT */

/* inspect/shelf: jobs that wait for a time: a zset of when they are due, and a hash of the jobs, packed.
 * Idea       a group's retries (S:G:delayed), and what was published for later (S:scheduled, of the stream) are kept in the same
 *            way.
 * Threads    the caller's. */
#ifndef QUERN_INSPECT_SHELF_H
#define QUERN_INSPECT_SHELF_H

#include "inspect/listing.h"
#include "inspect/look.h"

enum shelf_kind { SHELF_DELAYED, SHELF_SCHEDULED };

struct shelf {
    const char *times, *jobs; /* the keys, lent by the look */
    enum shelf_kind kind;
};

/* Names the keys, and sees that neither is of another type. Nothing is to be closed. Waits. */
int shelf_open(struct shelf *shelf, struct look *look, enum shelf_kind kind, quern_error *err) QUERN_MUST_USE;

/* Adds what it holds, first due first, as long as there is room: {entry, due_ms, due_at, id, event, …}. Waits for answers. */
int shelf_list(const struct shelf *shelf, struct look *look, struct listing *listing, quern_error *err) QUERN_MUST_USE;

#endif
