/* SPDX-License-Identifier: MIT */

/* wire/group: consumer groups. */
#ifndef QUERN_WIRE_GROUP_H
#define QUERN_WIRE_GROUP_H

#include "wire/conn.h"

/* Creates stream and group where they are missing; that they exist is no error. start: "0", "$" or an id. Waits until the deadline. For who
 * publishes: a full server refuses it, as what would be published. A pool joins (pool/connect). */
int group_create(struct conn *conn, const char *stream, const char *group, const char *start, int64_t deadline_ns,
                 quern_error *err) QUERN_MUST_USE;

/* Is the key of this type, or missing? QUERN_E_SERVER: it holds another type, and err names both. Waits. */
int key_must_be(struct conn *conn, const char *key, const char *type, quern_error *err) QUERN_MUST_USE;

#endif
