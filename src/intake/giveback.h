/* SPDX-License-Identifier: MIT */

/* intake/giveback: what was fetched and not started goes back to the group, at no cost to the jobs.
 * Idea       it leaves ready as if a worker had taken it, and ends as released; the settler does the rest.
 * Threads    dispatcher, who alone pushes to ready. */
#ifndef QUERN_INTAKE_GIVEBACK_H
#define QUERN_INTAKE_GIVEBACK_H

#include "intake/dispatcher.h"

enum { GIVEBACK_LOOK_MS = 250 }; /* how often it is worth a look whether jobs have waited too long */

/* All that waits; a worker may still take one of them, which is as well. */
void giveback_all(const struct dispatcher_needs *needs);

/* Those that have waited much longer than they should, because long jobs have taken every thread: another machine may have time. What
 * waited for the end of a pause has not waited for a thread: *paused_ns is when the pool was last seen to be paused. */
void giveback_stale(const struct dispatcher_needs *needs, int64_t *paused_ns);

#endif
