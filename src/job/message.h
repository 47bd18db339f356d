/* SPDX-License-Identifier: MIT */

/* job/message: what an entry says, and whether it can be read.
 * Idea       two shapes: one field per top-level key, or a single field that holds the whole as a JSON object. Views into the
 *            entry's own bytes; nothing is copied in the first shape.
 * Invariant  event and data are there. id, retries and timestamps may be missing (the entry's id stands in for them), but what
 *            is there is right: else the entry is malformed.
 * Threads    whoever holds the job. */
#ifndef QUERN_JOB_MESSAGE_H
#define QUERN_JOB_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/entry.h"

struct message {
    quern_bytes id, event, data; /* first what a worker looks at: two cache lines of it come to its core */
    struct entry_id entry;
    int64_t expire_at_ms;       /* Unix; 0: never */
    uint64_t key;               /* a hash of the field key, whose jobs run one after the other; 0: it has none */
    const struct reply *fields; /* as read: names and values in turn */
    uint32_t fields_count;      /* names and values together */
    uint32_t retries;
    size_t bytes;    /* of all of them */
    char *decoded;   /* malloc'd: what the views point into for the single-field shape, or NULL */
    char *copied;    /* malloc'd: the detached fields, or NULL */
    bool is_private; /* from the group's retry stream */
    bool has_retries;
    uint8_t entry_len; /* of its text */
    char entry_text[ENTRY_ID_SIZE];
    quern_bytes timestamps; /* at NULL: none */
    quern_bytes batch;      /* group:batch, as its publisher wrote it; at NULL: it is of none */
    /* what the private streams add: where the job came from */
    quern_bytes first_entry; /* at NULL: this entry is its first */
    int64_t first_seen_ms;   /* 0: now */
    int64_t born_ms;         /* of a replayed one: when its new life began; 0: it has had one only */
    uint32_t deliveries_before;
    uint32_t unended;       /* of these: since it last came to an outcome */
    uint32_t retries_noted; /* stands for what the job's own field says; has_retries */
};

/* Reads an entry. is_private: from the group's retry stream, where some quern_… fields are ours. fields_max: names, not pairs' bytes.
 * QUERN_OK; QUERN_E_ARGUMENT: malformed, err says why; QUERN_E_MEMORY. On failure the views
 * hold what could be read, or nothing; message_free() is due either way. */
int message_read(struct message *message, const struct entry *entry, bool is_private, uint32_t fields_max,
                 quern_error *err) QUERN_MUST_USE;

/* Copies everything that is viewed into memory of its own, so that the reply may go. false: no memory, nothing changed. */
bool message_detach(struct message *message);
void message_free(struct message *message);

/* Are the names and values from the i-th on ours, not the job's? Only in private streams. */
bool message_is_note(const struct message *message, uint32_t i);

/* The id of the entry it is in, as text; a NUL stands behind it. */
quern_bytes message_entry(const struct message *message);

/* The value of a field as read; at NULL: no such field. */
quern_bytes message_field(const struct message *message, const char *name);

/* The hash of a key; never 0. */
uint64_t message_key(quern_bytes key);

/* The batch of this group that it is of; at NULL: none. Lends a part of the message. */
quern_bytes message_batch(const struct message *message, const char *group);
/* When it came into its stream first, Unix ms, by Redis's clock; of a job that was replayed, when that began. */
int64_t message_first_ms(const struct message *message);

/* When it was published, Unix ms: created_at, or the entry's own time. */
int64_t message_created_ms(const struct message *message);

#endif
