/* SPDX-License-Identifier: MIT */

/* upkeep/reaper: the thread that does what is due in Redis besides jobs.
 * Idea       a table of chores {due, step}: do what is due, sleep until the next due thing, a wake or a stop. Every pool has one;
 *            the scripts make it safe that several work at once.
 * Threads    reaper_run is the thread
 * At a stop  it wakes the dispatcher out of its blocking read (CLIENT UNBLOCK needs another connection), goes on while jobs are
 *            settled, then trims a last time and ends. */
#ifndef QUERN_UPKEEP_REAPER_H
#define QUERN_UPKEEP_REAPER_H

#include "base/counters.h"
#include "base/waker.h"
#include "config/config.h"
#include "job/source.h"
#include "wire/link.h"

struct log;

struct reaper_counters {
    struct counter trimmed;
};

struct reaper_needs {
    const struct source *sources;
    uint32_t source_count;
    struct link_options link;
    int64_t period_ns;
    bool trims;
    const struct config_list *required_groups, *ignored_groups;
    struct log *log;
    struct reaper_counters *counters;
    struct waker *waker; /* its own: a stop, or enough to trim */
    _Atomic bool *is_stopping, *has_settled;
    _Atomic int64_t *acked;      /* since the last trim */
    _Atomic int64_t *blocked_id; /* the dispatcher's client id while it may be in a blocking read, else 0 */
};

/* needs is lent for as long as it runs; conn is taken. */
struct reaper_start {
    const struct reaper_needs *needs;
    struct conn *conn;
};
void reaper_run(void *start);

#endif
