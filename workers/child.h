/* SPDX-License-Identifier: MIT */

/* workers/child: runs one command to its end.
 * Idea       posix_spawn (a fork of a threaded process is a trap) into a process group of its own, with default signals and no
 *            descriptor of ours but 0, 1 and 2. One poll() waits for its output and, by pidfd, for its end.
 *            Standard input is a sealed memory file, not a pipe: all of it is there before the command starts, so there is
 *            nothing to feed, no SIGPIPE or deadlock with a command that does not read, and /dev/stdin can be opened again.
 * Invariant  when child_run() returns, the command has been reaped and nothing of its process group runs any more. What has
 *            left the group (setsid) is on its own: it is neither waited for nor killed.
 *            The group is only signalled while its leader is not reaped: its number cannot be somebody else's.
 * Threads    the worker's that runs the job; it waits until the command has ended. */
#ifndef QUERN_WORKERS_CHILD_H
#define QUERN_WORKERS_CHILD_H

#include <quern.h>
#include <stdbool.h>

struct child_command {
    char *const *words, *const *environment; /* NULL-terminated; words[0] is looked up in this process's PATH */
    quern_bytes input;
    int64_t grace_ms; /* from SIGTERM to SIGKILL when the job is cancelled */
};

/* What a command wrote: its first bytes, or its last. at and size are the caller's, the rest begins at 0. */
struct child_output {
    char *at;
    size_t size, len;
    uint64_t dropped; /* what did not fit: read and thrown away */
    bool keeps_last;
};

struct child_end {
    const char *cancelled; /* why it was stopped; NULL: it ended by itself */
    bool was_signalled;
    int status; /* its exit code, or the signal that ended it */
};

/* 0: it has run, see end. Else an errno and nothing runs: E2BIG words too long, ENOENT no such command, EMFILE …;
 * ECHILD: somebody else in this process has reaped it, its status is unknown. */
int child_run(quern_job *job, const struct child_command *command, struct child_output *out, struct child_output *errors,
              struct child_end *end);

#endif
