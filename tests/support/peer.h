/* SPDX-License-Identifier: MIT */

/* tests/support/peer: the other end of a connection: a thread that plays a server on a unix socket, well or badly.
 * Idea       a test says what the server does with each connection in turn; what it was told is kept for the test to look at.
 * Threads    serve runs on the peer's own thread: it must not assert, and ends when peer_stop() closes its connection. */
#ifndef QUERN_TESTS_SUPPORT_PEER_H
#define QUERN_TESTS_SUPPORT_PEER_H

#include <sys/types.h>

#include "support/unit.h"
#include "wire/url.h"

enum { PEER_HEARD_BYTES = 256 * 1024, PEER_COMMAND_BYTES = 64 * 1024 };

struct peer {
    void (*serve)(struct peer *peer); /* talks to one connection; then it is closed */
    void *user;
    /* set by peer_start() */
    char dir[128], address[192];
    struct url url;
    int listener;
    pthread_mutex_t lock;
    _Atomic int fd; /* of the present connection; changed under the lock */
    _Atomic bool is_stopping;
    _Atomic unsigned accepted;
    pthread_t thread;
    char unread[PEER_COMMAND_BYTES]; /* received and not parsed */
    size_t unread_len;
    char heard[PEER_HEARD_BYTES]; /* commands, one a line, their arguments separated by spaces */
    size_t heard_len;
};

/* Listens and serves. login: "" or "user:password@". Zero *peer but for serve and user before. */
void peer_start(struct peer *peer, const char *login);
/* Ends the thread, closes, removes. What was heard may then be read. */
void peer_stop(struct peer *peer);

/* For serve. The next command, its arguments separated by spaces; NULL: the client has gone. Lent until the next call. */
const char *peer_hear(struct peer *peer);
/* All bytes, exactly. false: the client has gone. */
bool peer_say_bytes(struct peer *peer, const void *bytes, size_t len);
bool peer_say(struct peer *peer, const char *text);
/* Hears one command of a handshake and answers it as a good server of version 7 does; false: it was another, or nothing. */
bool peer_greet_one(struct peer *peer, const char **command);
/* Hears and answers up to and with INFO. false: the client has gone, or said something else. */
bool peer_greet(struct peer *peer);
/* Waits until the client hangs up, hearing what it says. */
void peer_listen(struct peer *peer);

#endif
