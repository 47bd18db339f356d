/* SPDX-License-Identifier: MIT */

/* inspect/processes: who works for a group: its consumers in the stream and in the retry stream, which are the same processes.
 * Threads    the caller's. */
#ifndef QUERN_INSPECT_PROCESSES_H
#define QUERN_INSPECT_PROCESSES_H

#include <jansson.h>

#include "inspect/look.h"

/* Puts [{consumer, held, idle_ms}] by name into *list. Gives. Waits for answers. */
int processes_read(struct look *look, json_t **list, quern_error *err) QUERN_MUST_USE;

#endif
