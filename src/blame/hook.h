/* SPDX-License-Identifier: MIT */

/* blame/hook: who ended the process?
 * Idea       where the host asks for it, fatal signals and exit() come by here on their way: if the thread runs a job, its record is
 *            marked, with where it was. Then things take the course they would have taken.
 * Invariant  what the signal handlers do may be done in one: no memory is taken, nothing waits. They run on a stack of their own, for
 *            the thread's may be what has run out.
 * Threads    install: any, once · thread_begin, thread_end, enter, leave: a worker. */
#ifndef QUERN_BLAME_HOOK_H
#define QUERN_BLAME_HOOK_H

#include <stdint.h>

struct journal;

/* For the whole process, and for good: fatal signals that nobody else handles, and exit(). */
void hook_install(void);

/* Lets fatal signals through on this thread, and gives them a stack; NULL: no memory, or there is one already. */
void *hook_thread_begin(void);
void hook_thread_end(void *stack);

/* Between the two, this thread runs the job of that record. */
void hook_enter(struct journal *journal, uint32_t index);
void hook_leave(void);

#endif
