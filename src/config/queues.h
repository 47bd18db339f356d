/* SPDX-License-Identifier: MIT */

/* config/queues: the key "queues": several queues, each with what holds for it alone.
 * Idea       an element is a stream and a set of keys that the table allows for one queue; laid over all that holds for every queue it
 *            gives a whole configuration, and whoever works for one queue is given that one. Without the key there is one queue: the
 *            keys stream and group.
 * Threads    the owner's; served_open() touches nothing but its arguments. */
#ifndef QUERN_CONFIG_QUEUES_H
#define QUERN_CONFIG_QUEUES_H

#include <jansson.h>
#include <stdbool.h>

#include "config/config.h"
#include "config/problems.h"

/* Is each element right? key: the name the user knows the list by. */
void queues_check(const json_t *json, const char *key, struct problems *problems);

/* To the member and back. false, NULL: no memory. */
bool queues_read(const json_t *json, struct config_list *queues);
json_t *queues_show(const struct config_list *queues);

/* A configuration per queue, none of which has the key itself; owned. */
struct served {
    quern_config **at;
    size_t count;
};

/* All of them, in their order; a stream that was given means that one only. QUERN_E_CONFIG: it is none of them, or one is there twice,
 * or one feeds another. QUERN_E_MEMORY. */
int served_open(const quern_config *config, struct served *served, quern_error *err) QUERN_MUST_USE;
void served_close(struct served *served);

/* For who works on one queue at a time: the one there is, or that the stream which was given means. Gives; NULL: see err, which names
 * them. */
quern_config *served_one(const quern_config *config, quern_error *err) QUERN_MUST_USE;

#endif
