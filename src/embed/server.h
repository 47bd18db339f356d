/* SPDX-License-Identifier: MIT */

/* embed/server: the redis-server process.
 * Idea       whatever Redis or Valkey the machine has, even where only its tools are installed: redis-check-rdb is the same
 *            binary and serves when it is called redis-server. Everything it shall be is said in its arguments; no file.
 * Invariant  it runs with the whole of server.lock, in a session of its own, with no descriptor of ours but that one.
 * Threads    the keeper's. */
#ifndef QUERN_EMBED_SERVER_H
#define QUERN_EMBED_SERVER_H

#include <limits.h>
#include <sys/types.h>

#include "embed/place.h"
#include "quern.h"

struct server_program {
    char path[PATH_MAX];
    const char *name; /* what it must be called as */
};

/* Looks for a server program in the directories of search, a list with colons (NULL: $PATH, /usr/local/bin, /usr/bin).
 * QUERN_E_CONFIG: none; err names the package that has one. */
int server_find(struct server_program *program, const char *search, quern_error *err) QUERN_MUST_USE;

/* Starts it on place. lock_fd must hold the whole server.lock; the server inherits it, and the caller closes its own then.
 * log_fd takes what the server says. QUERN_E_SERVER: it could not be started. Does not wait until it serves. */
int server_start(const struct server_program *program, const struct place *place, int lock_fd, int log_fd, pid_t *pid,
                 quern_error *err) QUERN_MUST_USE;

/* Opens the log for appending; one that has become large is emptied first. -1: errno says why. */
int server_log_open(const struct place *place);

/* What the log says last, for an error text; empty if nothing. */
enum { SERVER_LINE_SIZE = 200 };
void server_log_last(int log_fd, char line[SERVER_LINE_SIZE]);

#endif
