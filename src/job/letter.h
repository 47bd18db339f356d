/* SPDX-License-Identifier: MIT */

/* job/letter: the dead letter of a job: what it was, and why it is dead.
 * Idea       the record of the Python library streamix-queue, with more inside its data. The job's data is given as it was: JSON
 *            as JSON, byte for byte, other text as a text (then original_data_is_json is false), anything else in hex under
 *            another name; fields beyond the schema as original_more. Of an entry that could not be read, the record gives every
 *            field instead.
 * Invariant  nothing of a job is left out of its letter: what is too large for a JSON text goes along as fields of the letter
 *            itself, under "original:" and their names.
 * Threads    whoever holds the job. Allocates. */
#ifndef QUERN_JOB_LETTER_H
#define QUERN_JOB_LETTER_H

#include "base/clock.h"
#include "base/uuid.h"
#include "job/slot.h"

enum { LETTER_JSON_MAX = 16 * 1024 * 1024 }; /* bytes of a job that still become JSON */

struct letter_facts {
    const char *reason, *error; /* error: where the job has none of its own */
    const char *stream, *group, *consumer;
    int64_t unix_us;
};

struct letter {
    char id[UUID_SIZE], retries[16];
    char timestamps[2 * CLOCK_ISO_SIZE + 40];
    quern_bytes event; /* the job's, lent; or a constant */
    char *data;        /* JSON, malloc'd */
    bool has_fields;   /* the job's fields go along */
};

/* QUERN_OK, or QUERN_E_MEMORY and nothing is to be freed. */
int letter_write(const struct quern_job *job, const struct letter_facts *facts, struct letter *letter,
                 quern_error *err) QUERN_MUST_USE;
void letter_free(struct letter *letter);

#endif
