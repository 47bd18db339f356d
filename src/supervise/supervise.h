/* SPDX-License-Identifier: MIT */

/* supervise: the parent of the processes that work.
 * Idea       one thread, which waits: for a signal, a line of a child, the time of a restart. One child runs the pool; when it crashes,
 *            what it held goes back to the group at once (blame/), and it is started again; a second one runs those jobs, one after
 *            the other, that may have been the cause, and only while there are any.
 *
 *                 signals ──▶ parent ──forwards──▶ pool child ──"alone"──▶ parent ──starts──▶ alone child
 *                               ▲                     │ crashes
 *                               └──── blame, restart ─┘
 *
 * Invariant  a child that has told that it leaves has not crashed. With the parent its children end, by SIGTERM.
 * Threads    main. */
#ifndef QUERN_SUPERVISE_SUPERVISE_H
#define QUERN_SUPERVISE_SUPERVISE_H

#include "quern.h"

struct supervise_options {
    char *const *arguments;     /* the verb and what follows it, up to NULL */
    const quern_config *config; /* its server is where the jobs of a dead child are given back */
    void (*say)(const char *format, ...) QUERN_PRINTF(1, 2);
};

/* Returns when the pool child has ended by its own will, or by that of a signal: with its exit status. */
int supervise(const struct supervise_options *options);

#endif
