/* SPDX-License-Identifier: MIT */

/* inspect/listing: a list of jobs as JSON text, row by row.
 * Idea       a job's data goes into the text as the JSON it is, byte for byte, so that no number changes its form. Data that is
 *            no JSON is null, and in hex beside it.
 * Threads    the caller's. */
#ifndef QUERN_INSPECT_LISTING_H
#define QUERN_INSPECT_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/entry.h"

struct listing {
    FILE *to;
    char *text;
    size_t bytes, count, max;
};

/* For at most max rows. QUERN_OK, or QUERN_E_MEMORY. */
int listing_open(struct listing *listing, size_t max, quern_error *err) QUERN_MUST_USE;
static inline size_t listing_room(const struct listing *listing)
{
    return listing->max - listing->count;
}

/* Adds a row; it is given up either way. NULL, or false: no memory. */
bool listing_add(struct listing *listing, json_t *row);

/* The same with what the job says of itself behind it: id, event, retries, age_ms, data. An entry that is gone, or is no job:
 * what is not known is null. is_private: it may have notes of ours. */
bool listing_add_job(struct listing *listing, json_t *row, const struct entry *entry, bool is_private, int64_t now_ms);

/* The whole text, if code is 0; else nothing, and err stays as it is. Either way the listing is closed. Gives. */
char *listing_close(struct listing *listing, int code, quern_error *err);

int listing_no_memory(quern_error *err);

#endif
