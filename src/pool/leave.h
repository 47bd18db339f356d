/* SPDX-License-Identifier: MIT */

/* pool/leave: for the program, what a process says of its pool before it ends.
 * Threads    any; nothing waits. */
#ifndef QUERN_POOL_LEAVE_H
#define QUERN_POOL_LEAVE_H

#include "quern.h"

/* The process ends although handlers still run: what ran is nobody's fault. */
void pool_leaves(quern_pool *pool);

#endif
