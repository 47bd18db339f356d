/* SPDX-License-Identifier: MIT */

/* embed/place: the directory in which the private server lives.
 * Idea       whoever can write there can replace the socket or the data, so it is ours alone or it is refused. It is opened
 *            once, without following a link, judged by that descriptor, and files are opened relative to it.
 * Invariant  socket fits a sockaddr_un, so its path has at most PLACE_SOCKET_MAX bytes.
 * Threads    a place may be read by any.
 * Never      changes the mode or owner of what it found. */
#ifndef QUERN_EMBED_PLACE_H
#define QUERN_EMBED_PLACE_H

#include <limits.h>

#include "quern.h"

#define PLACE_SOCKET "redis.sock"
#define PLACE_LOG    "redis.log"

enum { PLACE_SOCKET_MAX = 107 };

struct place {
    int fd;                            /* the directory */
    char dir[PLACE_SOCKET_MAX + 1];    /* its absolute path */
    char socket[PLACE_SOCKET_MAX + 1]; /* dir/redis.sock */
};

/* Opens the directory dir (NULL: the first of $STATE_DIRECTORY, else $XDG_STATE_HOME/quern, else ~/.local/state/quern) and
 * makes it, 0700, with what is missing above it. QUERN_E_CONFIG: its path is too long, it is a link, somebody else's, or
 * others may write to it. QUERN_E_SERVER: it could not be made or opened. Waits only for the disk. */
int place_open(struct place *place, const char *dir, quern_error *err) QUERN_MUST_USE;
/* Where place_open() would look, in path. Makes nothing. QUERN_E_GONE: it is not there. */
int place_find(const char *dir, char path[PATH_MAX], quern_error *err) QUERN_MUST_USE;
void place_close(struct place *place);

#endif
