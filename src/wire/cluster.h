/* SPDX-License-Identifier: MIT */

/* wire/cluster: do all keys of a queue lie in one slot of a Cluster?
 * Idea       a script may touch keys of one slot only, and all of ours begin with the stream's name: so that name must have a hash
 *            tag, {…}, which alone decides about the slot. A server that is no Cluster takes any name.
 * Threads    any; never waits: the connection knows since it was made. */
#ifndef QUERN_WIRE_CLUSTER_H
#define QUERN_WIRE_CLUSTER_H

#include "wire/conn.h"

/* QUERN_E_CONFIG: not so; err shows how the name would be right. dead: the dead letters' stream, if it has a name of its own, or
 * NULL. */
int cluster_check(const struct conn *conn, const char *stream, const char *dead, quern_error *err) QUERN_MUST_USE;

/* Do the keys of two queues, each of which has passed cluster_check(), lie in one slot? A server that is no Cluster has only one. */
bool cluster_same(const struct conn *conn, const char *stream, const char *other);

/* What decides about the slot of a key: the tag between its first '{' and the next '}'. at NULL: it has none. */
quern_bytes cluster_tag(const char *key);

#endif
