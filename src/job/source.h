/* SPDX-License-Identifier: MIT */

/* job/source: where jobs come from: a stream, a group, and the keys derived from the two.
 * Invariant  constant while the pool lives. A pool has a list of them. */
#ifndef QUERN_JOB_SOURCE_H
#define QUERN_JOB_SOURCE_H

#include <stdbool.h>

#include "quern.h"

struct source {
    char *stream, *group;
    char *retry;     /* S:G:retry: private to the group, read beside the stream; its entries are deleted once settled */
    char *settles;   /* S:G:settles: what the last batch of each consumer came to */
    char *completed; /* S:G:completed: the log of finished jobs */
    char *delayed;   /* S:G:delayed: when retries that wait are due */
    char *waiting;   /* S:G:delayed:jobs: these retries, packed */
    char *reaper;    /* S:G:reaper: whose turn it is to look after all of this */
    char *dead;      /* the dead letters of all groups of the stream */
};

/* QUERN_OK or QUERN_E_MEMORY. */
/* dead: the stream of dead letters; NULL: S:failed. */
int source_open(struct source *source, const char *stream, const char *group, const char *dead,
                quern_error *err) QUERN_MUST_USE;
void source_close(struct source *source);

/* The stream that entries of one origin lie in. */
const char *source_key(const struct source *source, bool is_private);

#endif
