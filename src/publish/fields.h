/* SPDX-License-Identifier: MIT */

/* publish/fields: what a job's entry holds, in either shape (PROTOCOL: a field for each part, or one with all of it).
 * Threads    any; allocates for the shape of one object. */
#ifndef QUERN_PUBLISH_FIELDS_H
#define QUERN_PUBLISH_FIELDS_H

#include "config/config.h"
#include "quern.h"

enum { FIELDS_MAX = 16 };

struct fields {
    quern_bytes at[FIELDS_MAX]; /* name, value, …; of the message and the receipt, lent */
    uint32_t count;
    char expire_at[24];
    char *object; /* malloc'd, or NULL */
};

/* id and stamps are lent as long as fields are used. QUERN_OK or QUERN_E_MEMORY. */
int fields_write(struct fields *fields, const quern_config *config, const quern_message *message, const char *id,
                 const char *stamps, quern_error *err) QUERN_MUST_USE;
void fields_free(struct fields *fields);

#endif
