/* SPDX-License-Identifier: MIT */

/* supervise/child: a process of ours that works, and what it says of itself.
 * Idea       this program again, started with a word before its verb that says what it is, and with a pipe on which it tells, in
 *            lines: "journal PATH", "ready", "alive" (it gets on; where a watchdog asks), "alone" (jobs wait that are to run alone),
 *            "leaving" (its end is no crash). It is in a process group of its own: who signals ours reaches the parent alone.
 * Threads    main, on both sides; child_say("alone") any. */
#ifndef QUERN_SUPERVISE_CHILD_H
#define QUERN_SUPERVISE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "quern.h"

/* Before the verb: "supervised=shared" or "supervised=alone", and the parent's pid behind a comma. */
#define CHILD_WORD "supervised="

enum { CHILD_FD = 3, CHILD_LINE = 4096 };

struct child {
    pid_t pid;                                        /* 0: none */
    int fd;                                           /* the pipe; -1: none */
    bool is_ready, is_alive, is_leaving, wants_alone; /* is_alive: it has said so; whoever passes that on forgets it */
    char *journal;                                    /* malloc'd; NULL: none was told */
    int64_t started_ns;
    char line[CHILD_LINE]; /* what has come of the next one */
    size_t line_len;
};

/* kind: "shared" or "alone"; arguments: the verb and what follows, up to NULL. QUERN_E_SERVER: it could not be started. */
int child_spawn(struct child *child, const char *kind, char *const *arguments, quern_error *err) QUERN_MUST_USE;
/* Takes what is in the pipe. Does not wait. */
void child_hear(struct child *child);
/* It is gone and reaped. */
void child_forget(struct child *child);

/* ── in the child ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Ends with its parent, by SIGTERM; at once, if that is gone already. word: what follows CHILD_WORD; false: it is none of ours. */
bool child_begin(const char *word, bool *is_alone);
/* Where this process is to keep its journal: told before there is one. malloc'd; NULL: no memory. */
char *child_journal(const char *dir);
void child_say(const char *line);

#endif
