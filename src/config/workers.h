/* SPDX-License-Identifier: MIT */

/* config/workers: the value of the key "workers", and the policy of one event.
 * Idea       a list of {"event", "module", "options", per-event keys}; the per-event keys become one JSON object, the policy,
 *            which is also what a handler is given in code.
 * Threads    the owner's. */
#ifndef QUERN_CONFIG_WORKERS_H
#define QUERN_CONFIG_WORKERS_H

#include <jansson.h>
#include <stdbool.h>

#include "config/config.h"
#include "config/problems.h"

/* Is it a list of workers? All that is not becomes a problem, named from key on: "workers[2].module". */
void workers_check(const json_t *json, const char *key, struct problems *problems);

/* What passed the check into *workers, all of it or nothing. false: no memory. */
bool workers_read(const json_t *json, struct config_workers *workers);

/* And back. Gives; NULL: no memory. */
json_t *workers_show(const struct config_workers *workers);

void workers_clear(struct config_workers *workers);

/* Is it a name for an event: 1 to 256 bytes of UTF-8 without control characters? ("*" is one.) */
bool workers_is_event(const char *event);

/* Is it an object of per-event keys? where stands before a key's name in the problems. */
void workers_check_policy(const json_t *json, const char *where, struct problems *problems);

#endif
