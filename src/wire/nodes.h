/* SPDX-License-Identifier: MIT */

/* wire/nodes: the nodes of a Cluster that can be asked where a key lies.
 * Idea       a list, the best first: those of the URL, then those that a Cluster has told of. Who answers well goes to its front,
 *            who does not to its end, so that no dead node is asked first again and again.
 * Invariant  the URL's own stay in it, whatever a Cluster says; at most NODES_MAX are kept.
 * Threads    any: it has a lock of its own, a leaf. */
#ifndef QUERN_WIRE_NODES_H
#define QUERN_WIRE_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/url.h"

enum { NODES_MAX = 32 };

struct nodes;

/* Gives; NULL: no memory. */
struct nodes *nodes_open(const struct url_place *own, uint32_t count);
void nodes_close(struct nodes *nodes);

/* A copy of the list; returns how many. */
uint32_t nodes_list(struct nodes *nodes, struct url_place list[NODES_MAX]);
/* One has answered as it should, or has not. */
void nodes_prefer(struct nodes *nodes, const struct url_place *place);
void nodes_defer(struct nodes *nodes, const struct url_place *place);
/* All that the Cluster has now, the most useful first: others are forgotten. */
void nodes_learn(struct nodes *nodes, const struct url_place *list, uint32_t count);

bool url_place_equal(const struct url_place *a, const struct url_place *b);

#endif
