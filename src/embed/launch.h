/* SPDX-License-Identifier: MIT */

/* embed/launch: starting a process that has nothing of ours but what it is given.
 * Idea       a session of its own (no terminal, so no Ctrl-C), signals as a process finds them at birth, and no descriptors
 *            but those named: a stray one would keep somebody's pipe open for as long as the server lives.
 * Threads    any. Waits until the program has been executed.
 * Never      forks: that would copy a threaded process. */
#ifndef QUERN_EMBED_LAUNCH_H
#define QUERN_EMBED_LAUNCH_H

#include <stddef.h>
#include <sys/types.h>

enum { LAUNCH_FDS_MAX = 4 };

/* Starts path with argv. fds[i] becomes its descriptor i (-1: /dev/null). 0; else an errno, and nothing was started. */
int launch(pid_t *pid, const char *path, const char *const argv[], const int fds[], size_t fd_count);

#endif
