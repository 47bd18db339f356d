/* SPDX-License-Identifier: MIT */

/* upkeep/trim: removes from the stream what every group has settled, by the trim script; nothing else.
 * Threads    reaper. */
#ifndef QUERN_UPKEEP_TRIM_H
#define QUERN_UPKEEP_TRIM_H

#include <stdbool.h>

#include "quern.h"

enum { TRIM_AFTER = 10000 }; /* acknowledgements after which it is worth it before the period is over */

struct conn;
struct reaper_needs;

struct trim {
    bool has_warned; /* that a required group is missing: once until it is back */
};

/* One bounded call per source. *has_more: it removed something, so there may be more. */
int trim_step(struct trim *trim, const struct reaper_needs *needs, struct conn *conn, bool *has_more,
              quern_error *err) QUERN_MUST_USE;

#endif
