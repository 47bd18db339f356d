/* SPDX-License-Identifier: MIT */

/* pool/signals: the wish to stop, as a descriptor, for quern_run() and quern_consume().
 * Idea       SIGINT, SIGTERM and SIGHUP are taken by a handler, so that it does not matter which thread of the process they meet.
 *            The first one is told; what follows within a moment belongs to it (timeout(1) signals a process and then its whole
 *            group); any later one ends the process, as it would have without us.
 * Invariant  taken only where their disposition is the default; all three of them, or none; at most one taker in a process.
 * Threads    take and give back: the host's, the same. The handler may run on any thread that does not block the signal.
 * Never      calls anything in the handler but what POSIX allows there; takes a signal in a child that a handler has forked. */
#ifndef QUERN_POOL_SIGNALS_H
#define QUERN_POOL_SIGNALS_H

#include "quern.h"

/* *fd is readable from the first signal on. QUERN_E_ARGUMENT: somebody else handles one of them, or ignores SIGTERM; err names it
 * and says what to do instead. QUERN_E_MEMORY: no descriptor. Then nothing has changed. Never waits. */
int signals_take(int *fd, quern_error *err) QUERN_MUST_USE;

/* The default disposition again, and the calling thread's mask; fd is closed. */
void signals_give_back(void);

#endif
