/* SPDX-License-Identifier: MIT */

/* embed/ask: the two words that are said to the private server.
 * Idea       PING, to know whether it serves; SHUTDOWN, to end it with its AOF flushed. Each on a connection of its own.
 * Threads    any. Both wait, at most until the deadline. */
#ifndef QUERN_EMBED_ASK_H
#define QUERN_EMBED_ASK_H

#include <stdbool.h>
#include <stdint.h>

enum ask_answer {
    ASK_NOBODY,  /* nobody listens there */
    ASK_SILENCE, /* somebody listens, and says nothing in time */
    ASK_LOADING, /* it is still reading its data */
    ASK_SERVING  /* anything else: also an error such as MISCONF comes from a server that is up */
};

enum ask_answer ask_ping(const char *socket_path, int64_t deadline_ns);

/* true: the server was told. It has ended when its lock is free, not before. */
bool ask_shutdown(const char *socket_path, int64_t deadline_ns);

#endif
