/* SPDX-License-Identifier: MIT */

/* pool: what the rest of the house may ask of one beyond <quern.h>. */
#ifndef QUERN_POOL_H
#define QUERN_POOL_H

#include "quern.h"

/* A descriptor that is readable once the pool has ended, and from then on. Lent until the pool is freed. */
int pool_ended_fd(const quern_pool *pool);

#endif
