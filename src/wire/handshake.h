/* SPDX-License-Identifier: MIT */

/* wire/handshake: what is said first on a connection: who we are, which database is meant, how we are called, what the server is.
 * Never      shows a password: not what was read, nor what the server says where that may repeat it. */
#ifndef QUERN_WIRE_HANDSHAKE_H
#define QUERN_WIRE_HANDSHAKE_H

#include "wire/conn.h"

/* What a server tells of the connection and of itself. */
struct greeting {
    int64_t client_id; /* 0: unknown */
    bool is_cluster;   /* false also where it may not be asked */
};

/* Waits until the deadline. A sentinel is only logged in to, and tells nothing: then *told stays. QUERN_OK, QUERN_E_AUTH, _SERVER (older
 * than 7.0, not Redis), _CONNECT, _TIMEOUT. */
int handshake(struct conn *conn, const struct conn_options *options, enum conn_peer peer, int64_t deadline_ns,
              struct greeting *told, quern_error *err) QUERN_MUST_USE;

#endif
