/* SPDX-License-Identifier: MIT */

/* wire/route: which server a connection goes to.
 * Idea       one that is named goes there. Sentinels are asked in turn who the primary is, each time, and who they name must say so
 *            itself. Of a Cluster any node will do to begin with: it says where the slot of the queue's keys is. So whoever connects
 *            anew goes to the right place again, and nobody else has to know where that is.
 *
 *                sentinel://a,b/name   a: where is name? ──▶ reach it: are you a primary? ──▶ there
 *                                         └─ no answer, or not a primary: ask b
 *                redis://a,b           a: the queue's stream? ──MOVED──▶ reach it, ask again ──▶ there; what nodes there are is kept
 *                                         └─ no answer, CLUSTERDOWN: ask b, then the others that were heard of
 *
 * Threads    any; what is known of nodes is shared under its own lock.
 * Never      waits beyond the deadline, of which each of those asked gets a share. */
#ifndef QUERN_WIRE_ROUTE_H
#define QUERN_WIRE_ROUTE_H

#include "wire/conn.h"

/* Connects to the right one, and introduces itself there. */
int route_connect(struct conn *conn, const struct conn_options *options, int64_t deadline_ns, quern_error *err) QUERN_MUST_USE;

/* "MOVED 3999 10.0.0.1:6381": where to. Without a host it is the one that has said it, which place holds. false: not so. */
bool route_moved(quern_bytes text, struct url_place *place);

#endif
