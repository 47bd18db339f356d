/* SPDX-License-Identifier: MIT */

/* job/source: where jobs come from: a stream, a group, and the keys derived from the two.
 * Invariant  constant while the pool lives. A pool has a list of them, one per queue (config/queues), in the order of the configuration. */
#ifndef QUERN_JOB_SOURCE_H
#define QUERN_JOB_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct source {
    char *stream, *group;
    char *retry;     /* S:G:retry: private to the group, read beside the stream; its entries are deleted once settled */
    char *alone;     /* S:G:alone: likewise, for jobs that may have ended a process: each is run with nothing else beside it */
    char *crashes;   /* S:G:crashes: how often each of these has been blamed, or started alone without an outcome */
    char *settles;   /* S:G:settles: what the last batch of each consumer came to */
    char *completed; /* S:G:completed: the log of finished jobs */
    char *delayed;   /* S:G:delayed: when retries that wait are due */
    char *waiting;   /* S:G:delayed:jobs: these retries, packed */
    char *scheduled,
        *scheduled_jobs; /* S:scheduled, S:scheduled:jobs: likewise for jobs that were published for later, of all groups */
    char *paused;        /* S:G:paused: events that operators have paused, "*": all */
    char *cancelled;     /* S:G:cancelled: jobs that they have cancelled, and when */
    char *batches;       /* S:G:batches: when each batch that is open is closed in any case */
    char *batch_open;    /* S:G:batches:open: their jobs that have not ended */
    char *batch_state;   /* S:G:batches:state: their counts and closing jobs */
    char *reaper;        /* S:G:reaper: whose turn it is to look after all of this */
    char *dead;          /* the dead letters of all groups of the stream */
    const quern_config *config; /* what holds for it; lent; NULL: nobody here works for it */
};

/* Of the two orders. */
enum { PAUSED_MAX = 256, CANCELLED_MAX = 10000 };

/* QUERN_OK or QUERN_E_MEMORY. dead: the stream of dead letters; NULL: S:failed. */
int source_open(struct source *source, const char *stream, const char *group, const char *dead,
                quern_error *err) QUERN_MUST_USE;
void source_close(struct source *source);

/* A source has three streams. An origin says which source and which of its streams: index × LANES + lane. */
enum lane { LANE_STREAM, LANE_RETRY, LANE_ALONE, LANES };

static inline enum lane origin_lane(uint32_t origin)
{
    return (enum lane)(origin % LANES);
}

/* Of the group alone: what is settled there is deleted. */
static inline bool origin_is_private(uint32_t origin)
{
    return origin_lane(origin) != LANE_STREAM;
}

static inline const struct source *origin_source(const struct source *sources, uint32_t origin)
{
    return &sources[origin / LANES];
}

const char *source_key(const struct source *source, enum lane lane);
/* Of the stream that entries of an origin lie in. */
const char *origin_key(const struct source *sources, uint32_t origin);

#endif
