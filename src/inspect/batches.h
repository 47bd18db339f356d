/* SPDX-License-Identifier: MIT */

/* inspect/batches: a group's batches that are open.
 * Threads    the caller's. */
#ifndef QUERN_INSPECT_BATCHES_H
#define QUERN_INSPECT_BATCHES_H

#include "inspect/listing.h"
#include "inspect/look.h"

/* Adds each, first closed first, as long as there is room: {id, wanted, published, done, dead, open, sealed, deadline_ms,
 * deadline_at}. Waits for answers. */
int batches_list(struct look *look, struct listing *listing, quern_error *err) QUERN_MUST_USE;

#endif
