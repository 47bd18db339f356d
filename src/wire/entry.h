/* SPDX-License-Identifier: MIT */

/* wire/entry: a stream's entry as Redis gives it: an id and a list of names and values. */
#ifndef QUERN_WIRE_ENTRY_H
#define QUERN_WIRE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/reply.h"

struct entry_id {
    uint64_t ms, seq;
};

enum { ENTRY_ID_SIZE = 44 };

/* "1700000000000-0". false: it is none. */
bool entry_id_read(quern_bytes text, struct entry_id *id);
/* Into text[ENTRY_ID_SIZE]; returns its length. */
size_t entry_id_text(struct entry_id id, char *text);
int entry_id_compare(struct entry_id a, struct entry_id b);

/* One entry within a reply; the fields are nil where the entry is gone from its stream. */
struct entry {
    struct entry_id id;
    quern_bytes id_text;
    const struct reply *fields; /* array: name, value, name, value …, or nil */
};

/* Reads [id, [name, value, …]]. false: it does not have that shape. */
bool entry_read(const struct reply *reply, struct entry *entry);

/* What of an entry must be held so that its bytes stay. */
struct span entry_hold(const struct reply *reply);

#endif
