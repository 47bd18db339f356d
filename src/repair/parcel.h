/* SPDX-License-Identifier: MIT */

/* repair/parcel: the job of a dead letter, as it will be written again.
 * Idea       the job verbatim as far as its letter holds it, data byte for byte, with a fresh budget. Into a private stream go
 *            our notes behind it: where it came from, and that it has no retries; a field of its own that says otherwise stays as
 *            it was. Only expire_at is left out: who replays a job wants it run.
 * Threads    the caller's. Allocates. */
#ifndef QUERN_REPAIR_PARCEL_H
#define QUERN_REPAIR_PARCEL_H

#include <jansson.h>

#include "job/message.h"

/* A dead letter, as it was read. Lends from the reply. */
struct sheet {
    struct entry entry;
    struct message message; /* of the letter itself */
    quern_bytes data;       /* its record's text */
    json_t *record;         /* NULL: it is no JSON object */
};

/* false: it is no entry, or there is no memory; nothing is to be closed. */
bool sheet_open(struct sheet *sheet, const struct reply *reply);
void sheet_close(struct sheet *sheet);

/* A text of the record; at NULL: there is none. */
quern_bytes sheet_text(const struct sheet *sheet, const char *name);

/* Is the member this text? What is no UTF-8 lies in the record in hex. */
bool sheet_says(const struct sheet *sheet, const char *name, quern_bytes text);

/* Names and values in turn, copied. */
struct parcel {
    char entry[ENTRY_ID_SIZE]; /* the letter's */
    char *bytes;
    size_t *lens;
    size_t bytes_len, bytes_room, count, room;
    bool has_failed; /* no memory */
};

/* QUERN_OK; QUERN_E_ARGUMENT: no job can be made of the letter; QUERN_E_MEMORY. parcel_free() is due either way. is_private: it
 * goes to a group's retry stream. now_ms: Unix, by Redis's clock. */
int parcel_pack(struct parcel *parcel, const struct sheet *sheet, bool is_private, int64_t now_ms) QUERN_MUST_USE;
void parcel_free(struct parcel *parcel);

#endif
