/* SPDX-License-Identifier: MIT */

/* cli/top_live: the view that goes on until somebody quits.
 * Threads    main; Redis is asked on another (cli/top_watch). */
#ifndef QUERN_CLI_TOP_LIVE_H
#define QUERN_CLI_TOP_LIVE_H

#include "cli/top_page.h"

/* Returns the exit status. page: sight and width are set here; page->state too. */
int live_view(const quern_config *config, int64_t every_ms, struct page page);

#endif
