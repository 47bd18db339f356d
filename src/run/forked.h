/* SPDX-License-Identifier: MIT */

/* run/forked: has a handler forked, and come back in the child?
 * Idea       a page that the kernel wipes in a child tells it without a system call. What comes back there is a copy of one thread in
 *            a process without the others: nothing it does would ever be seen, and it would wait for ever.
 * Threads    any. */
#ifndef QUERN_RUN_FORKED_H
#define QUERN_RUN_FORKED_H

#include <stdbool.h>

/* Before the first question; again: nothing happens. */
void forked_watch(void);
bool is_forked(void);
/* In the child: the end, without a word to what it has from its parent. */
_Noreturn void forked_end(void);

#endif
