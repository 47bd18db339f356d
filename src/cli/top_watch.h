/* SPDX-License-Identifier: MIT */

/* cli/top_watch: asks Redis for the queue's numbers, again and again, on a thread of its own.
 * Idea       an answer may take as long as its deadlines, and the keys and the machine are looked after meanwhile.
 *            Of several queues it asks for one at a time.
 * Threads    main; the watch's own is left behind where it still waits when nobody wants its answer any more. */
#ifndef QUERN_CLI_TOP_WATCH_H
#define QUERN_CLI_TOP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "config/queues.h"

struct watch;

/* Takes what served holds, also if it fails. Looks every_ms apart, the first time at once, at the first queue. Gives; NULL: see
 * err. */
struct watch *watch_start(const struct served *served, int64_t every_ms, quern_error *err);

/* From now on the next queue, the first behind the last. Answers about another are not given any more. */
void watch_next(struct watch *watch);
/* The one that is asked for; lent until the watch is left. */
const quern_config *watch_queue(const struct watch *watch);

/* Readable while an answer waits. */
int watch_fd(const struct watch *watch);

/* The newest answer of quern_queue_stats(), if there is one since the last call; *text NULL: err says why. Gives *text. Never
 * waits. */
bool watch_take(struct watch *watch, char **text, quern_error *err);

/* Frees it, now or when its thread comes back. NULL is allowed. */
void watch_leave(struct watch *watch);

#endif
