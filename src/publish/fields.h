/* SPDX-License-Identifier: MIT */

/* publish/fields: what a job's entry holds, in either shape (PROTOCOL: a field for each part, or one with all of it).
 * Threads    any; allocates for the shape of one object. */
#ifndef QUERN_PUBLISH_FIELDS_H
#define QUERN_PUBLISH_FIELDS_H

#include "config/config.h"
#include "quern.h"

enum { FIELDS_MAX = 18 };

struct fields {
    quern_bytes at[FIELDS_MAX]; /* name, value, …; of the message and the receipt, lent */
    uint32_t count;
    char expire_at[24];
    char *object; /* malloc'd, or NULL */
};

/* What a job's entry says beside its message; lent as long as fields are used. */
struct fields_more {
    const char *id, *stamps, *batch; /* batch: as its field says it; NULL: it is of none */
};

/* shape: enum publish_shape. QUERN_OK or QUERN_E_MEMORY. */
int fields_write(struct fields *fields, int shape, const quern_message *message, const struct fields_more *more,
                 quern_error *err) QUERN_MUST_USE;
void fields_free(struct fields *fields);

#endif
