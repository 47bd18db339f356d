/* SPDX-License-Identifier: MIT */

/* embed/embed: a private Redis for those who named none.
 * Idea       a keeper process (this program again, in a session of its own) starts a redis-server on a Unix socket in a state
 *            directory and owns it: it starts it again when it dies, and ends it when its last user has gone. Users, keeper
 *            and server know of each other by locks alone (embed/lock.h), so any of them may die at any moment:
 *              a user      the kernel drops its share of users.lock: it counts as gone
 *              the server  the keeper gets server.lock, so it is dead indeed, and starts the next on the same AOF
 *              the keeper  a user's watcher sees it and starts another, which takes over the living server; if no user is
 *                          left, the next start does
 * Invariant  at most one server lives on a directory. While it has users, it has a keeper, but for moments.
 * Threads    an embed belongs to its opener; it has one thread of its own, the watcher, which may start a keeper.
 * Never      is used by the library; listens on TCP; forks this process. */
#ifndef QUERN_EMBED_EMBED_H
#define QUERN_EMBED_EMBED_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct embed_options {
    const char *dir;    /* NULL: $STATE_DIRECTORY, else $XDG_STATE_HOME/quern, else ~/.local/state/quern */
    int64_t start_ms;   /* how long embed_open() may wait, where goes_on does not say it */
    const char *self;   /* the program that can act as keeper; NULL: /proc/self/exe. Lent until embed_close() */
    const char *search; /* where to look for a server program, with colons; NULL: PATH and /usr/bin. Lent likewise */
    /* NULL, or asked again and again, at least once a second, while embed_open() waits: does it go on? lack says what for. */
    bool (*goes_on)(void *user, const char *lack);
    void *user;
};

struct embed;

/* Becomes a user of the directory's server, starting it if none runs, and waits until it serves, at most start_ms or as
 * long as goes_on says. All that time it is a user, so that nobody ends a server that takes long to load. Gives;
 * NULL: err says why, and this process is no user. QUERN_E_CONFIG: the directory, or no server program; QUERN_E_SERVER: it
 * ended at once; QUERN_E_TIMEOUT: it is loading its data still, or ending; QUERN_E_GONE: goes_on has said no. */
struct embed *embed_open(const struct embed_options *options, quern_error *err) QUERN_MUST_USE;

/* "unix:///…/redis.sock". Lent until embed_close(). The server may go away and come back there: reconnect. */
const char *embed_url(const struct embed *embed);

/* Is a user no longer. Does not wait for the server's end. NULL is allowed. */
void embed_close(struct embed *embed);

#endif
