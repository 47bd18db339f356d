/* SPDX-License-Identifier: MIT */

/* upkeep/trim: removes from the stream what every group has settled, by the trim script; nothing else.
 * Idea       two gears. The first: all that lies before the oldest entry that some group has not settled. Where one old job of the
 *            stream's only group holds back many settled ones for seconds, the second: the settler deletes what it acknowledges.
 * Threads    reaper. */
#ifndef QUERN_UPKEEP_TRIM_H
#define QUERN_UPKEEP_TRIM_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

enum {
    TRIM_AFTER = 10000, /* acknowledgements after which it is worth it before the period is over */
    TRIM_GROUP_SIZE = 257,
    TRIM_MARK_SIZE = 48,
    BEHIND_UNKNOWN = -1 /* for now: then it is as it was */
};

struct conn;
struct source;
struct reaper_needs;

/* What one look at the stream has told. */
struct trim_look {
    char group[TRIM_GROUP_SIZE]; /* the one that holds back the rest; "": none */
    char mark[TRIM_MARK_SIZE];   /* from this entry on */
    bool by_pending;             /* a pending job of it, not that it has not read on */
    int64_t behind;              /* settled entries that are held back; 0 where there are other groups; or BEHIND_UNKNOWN */
};

/* What holds the stream back, and since when. Begins zeroed. */
struct trim {
    bool has_warned; /* that a required group is missing: once until it is back */
    struct trim_look held;
    int64_t since_ns, told_ns;
};

/* The look into the history. *deletes: is it time for the second gear? True: the same group has not moved for an hour; to be told.
 * A pure function of its arguments. */
bool trim_sees(struct trim *trim, const struct trim_look *look, int64_t now_ns, bool *deletes);

/* The group's retry stream: what it has delivered, and nobody holds. */
int trim_private(const struct source *source, struct conn *conn, quern_error *err) QUERN_MUST_USE;

/* One bounded call. *has_more: it removed something, so there may be more. */
int trim_step(struct trim *trim, const struct reaper_needs *needs, const struct source *source, struct conn *conn,
              bool *has_more, quern_error *err) QUERN_MUST_USE;

#endif
