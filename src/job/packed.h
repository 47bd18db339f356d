/* SPDX-License-Identifier: MIT */

/* job/packed: a job as the scripts pack it: a flat array of names and values in MessagePack.
 * Idea       only what a list of texts needs is understood; anything else is no job.
 * Threads    any; nothing is shared. Allocates. */
#ifndef QUERN_JOB_PACKED_H
#define QUERN_JOB_PACKED_H

#include <stdbool.h>

#include "wire/reply.h"

struct packed {
    struct reply fields; /* as those of an entry: names and values in turn, a NUL behind each */
    void *block;         /* malloc'd: what fields points into */
};

/* false: text is no such array, or there is no memory; nothing is to be freed. */
bool packed_read(struct packed *packed, quern_bytes text);
void packed_free(struct packed *packed);

#endif
