/* SPDX-License-Identifier: MIT */

/* supervise/orphans: what a dead child leaves running.
 * Idea       commands that it had started come to its parent, who has asked for them (PR_SET_CHILD_SUBREAPER). Their jobs run again
 *            elsewhere, so they are killed, with their process groups. Those in a session of their own are nobody's commands: the
 *            keeper of the private server is one.
 * Threads    main. */
#ifndef QUERN_SUPERVISE_ORPHANS_H
#define QUERN_SUPERVISE_ORPHANS_H

#include <sys/types.h>

void orphans_adopt(void);
/* but: up to 0. Returns how many process groups were killed. */
int orphans_kill(const pid_t *but);

#endif
