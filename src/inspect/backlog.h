/* SPDX-License-Identifier: MIT */

/* inspect/backlog: what one group has before it in one stream.
 * Idea       Redis counts for us (XINFO GROUPS), as long as it can: where entries were deleted it may not know how many are unread.
 *            Then they are counted one by one, up to a bound.
 * Threads    the caller's. */
#ifndef QUERN_INSPECT_BACKLOG_H
#define QUERN_INSPECT_BACKLOG_H

#include "inspect/look.h"
#include "wire/entry.h"

struct backlog {
    bool has_group;
    int64_t pending;
    /* how many of what was handed out are settled; meaningful only between two looks */
    int64_t settled;
    bool is_settled_known;
    int64_t added;        /* entries that have ever come into the stream; -1: Redis cannot tell; likewise */
    int64_t lag;          /* -1: Redis cannot tell */
    struct entry_id last; /* what was handed out last */
    /* backlog_count */
    int64_t unread;
    bool is_exact; /* else there are at least as many */
    bool has_oldest;
    struct entry_id oldest; /* of the unread ones */
};

/* What XINFO GROUPS says of stream. No such stream or group: all is 0. Waits for the answer. */
int backlog_read(struct look *look, const char *stream, struct backlog *backlog, quern_error *err) QUERN_MUST_USE;

/* Behind backlog_read(): how many entries are unread, and which is the oldest. Waits for answers. */
int backlog_count(struct look *look, const char *stream, struct backlog *backlog, quern_error *err) QUERN_MUST_USE;

#endif
