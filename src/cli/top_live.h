/* SPDX-License-Identifier: MIT */

/* cli/top_live: the view that goes on until somebody quits.
 * Threads    main; Redis is asked on another (cli/top_watch). */
#ifndef QUERN_CLI_TOP_LIVE_H
#define QUERN_CLI_TOP_LIVE_H

#include "cli/top_page.h"
#include "config/queues.h"

/* Takes what served holds: the queues, of which one is shown. page tells the server and the order. Returns the exit status. */
int live_view(const quern_config *config, const struct served *served, int64_t every_ms, struct page page);

#endif
