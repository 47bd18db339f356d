/* SPDX-License-Identifier: MIT */

/* supervise/orphans: what a dead child leaves running.
 * Idea       commands that it had started come to its parent, who has asked for them (PR_SET_CHILD_SUBREAPER). Their jobs run again
 *            elsewhere, so they are killed, with their process groups. Those in a session of their own are nobody's commands: the
 *            keeper of the private server is one. Nor are those that were our children before we had any: whoever has become us by
 *            exec had started them (the shell of a script, of a container).
 * Threads    main. */
#ifndef QUERN_SUPERVISE_ORPHANS_H
#define QUERN_SUPERVISE_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct orphans {
    struct inherited *inherited;
    size_t count;
};

/* Before the first child is started. False: no memory. */
bool orphans_adopt(struct orphans *orphans);
/* but: up to 0. Returns how many process groups were killed. */
int orphans_kill(const struct orphans *orphans, const pid_t *but);
void orphans_free(struct orphans *orphans);

#endif
