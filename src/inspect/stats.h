/* SPDX-License-Identifier: MIT */

/* inspect/stats: a pool's numbers as JSON. Threads: any; waits for nothing. */
#ifndef QUERN_INSPECT_STATS_H
#define QUERN_INSPECT_STATS_H

struct pool_view;

/* Gives; NULL: no memory. */
char *stats_text(const struct pool_view *view);

#endif
