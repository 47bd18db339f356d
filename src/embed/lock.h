/* SPDX-License-Identifier: MIT */

/* embed/lock: who is alive, told by who holds which lock of the state directory.
 * Idea       the kernel drops a lock when its holder dies, whatever it died of: no pid files, no timeouts, no guessing.
 *              users.lock   shared by each user process; the keeper waits for all of it = the last user has gone
 *              server.lock  inherited by the server process: held = a server lives
 *              keeper.lock  the keeper's own; it tells the keeper's pid
 *            The first two belong to an open file and travel with it into a child; the third belongs to a process.
 * Invariant  the files are never deleted: a lock on a deleted file would guard nothing.
 * Threads    a lock_watch belongs to who started it; the rest: any. */
#ifndef QUERN_EMBED_LOCK_H
#define QUERN_EMBED_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#define LOCK_USERS  "users.lock"
#define LOCK_SERVER "server.lock"
#define LOCK_KEEPER "keeper.lock"

/* Opens the lock file name in the directory, making it if it is missing. Gives a descriptor; -1: errno says why. */
int lock_open(int dir_fd, const char *name);

/* Takes a share of the whole lock, if nobody has all of it. Never waits. */
bool lock_share(int fd);

/* Takes all of the lock for this process: it is lost with the process, or when the process closes any descriptor of that
 * file. false: another process has it. Never waits. */
bool lock_claim(int fd);

/* The process that has claimed the lock; 0: one that cannot be seen from here (another machine or namespace); -1: none. */
pid_t lock_claimant(int fd);

/* Does anybody hold the whole lock, by whatever descriptor but this one? Takes nothing. */
bool lock_is_held(int fd);

/* Waits on a thread of its own until it has all of the lock. */
struct lock_watch {
    int lock_fd;
    int done_fd; /* becomes readable once the lock is had */
    bool is_done;
};

/* Takes fd, also when it fails. 0; else an errno: no thread or descriptor to be had. */
int lock_watch_start(struct lock_watch *watch, int fd);

/* Has it been had? Then the watch rests and lock_fd is the caller's again. Never waits. */
bool lock_watch_is_done(struct lock_watch *watch);

#endif
