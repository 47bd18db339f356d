/* SPDX-License-Identifier: MIT */

/* repair: what an operator does to a queue from outside: replay, purge, remove, cancel.
 * Idea       a look into the queue (inspect/look) that also acts, by scripts: each looks and acts in one step, bounded, write
 *            first, types before writes. What is asked once more after a lost answer does nothing twice. A dry run asks the same
 *            scripts, which then only count.
 * Threads    the caller's; nothing is shared.
 * Never      touches what is pending. */
#ifndef QUERN_REPAIR_REPAIR_H
#define QUERN_REPAIR_REPAIR_H

#include <jansson.h>

#include "inspect/look.h"
#include "wire/script.h"

/* As look_open(), and sees that flags has only those of may. */
int repair_open(struct look *look, const quern_config *config, unsigned flags, unsigned may, quern_error *err) QUERN_MUST_USE;

/* Sends the call that was laid out and waits for its answer, lent until the next. QUERN_E_UNKNOWN: the answer was lost, and flags
 * say that it was no dry run. */
int repair_ask(struct look *look, const struct script *script, unsigned flags, const struct reply **reply,
               quern_error *err) QUERN_MUST_USE;

/* The keys of the group's batches, for the scripts that take jobs out before they have run. */
enum { REPAIR_BATCH_KEYS = 4 };
void repair_put_batch_keys(const struct look *look);

/* {"stream": …, "group": …, "dry_run": …}, which more is put into. Gives; NULL: no memory. */
json_t *repair_report(const struct look *look, unsigned flags);

#endif
