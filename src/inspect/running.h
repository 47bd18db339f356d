/* SPDX-License-Identifier: MIT */

/* inspect/running: a job that runs, as JSON: what the board says of it (job/board).
 * Threads    any; waits for nothing. */
#ifndef QUERN_INSPECT_RUNNING_H
#define QUERN_INSPECT_RUNNING_H

#include <jansson.h>

#include "job/board.h"

/* {id, event, stream, entry, thread, elapsed_ms, cpu_ms, percent, note, retries, is_pending}; stream: NULL: not known; cpu_ns:
 * what its thread has used by now, -1: not known. Gives; NULL: no memory. */
json_t *running_object(const struct board_row *row, const char *stream, int64_t now_ns, int64_t cpu_ns);

#endif
