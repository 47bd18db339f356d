/* SPDX-License-Identifier: MIT */

/* tests/support/letters: dead letters as a test reads them: the entry's fields as texts, its data as JSON, and as it was written.
 * Threads    the test's own; each function fails the test where something is not there. */
#ifndef QUERN_TESTS_SUPPORT_LETTERS_H
#define QUERN_TESTS_SUPPORT_LETTERS_H

#include <jansson.h>
#include <stddef.h>

#include "support/redis.h"

struct dead_letter {
    char id[64], event[300], retries[16], timestamps[160];
    size_t fields; /* how many the entry has */
    char *text;    /* its data */
    json_t *data;
};

/* The place-th letter of a stream, from 0. To be dropped. */
struct dead_letter letter_at(struct redis *redis, const char *stream, size_t place);
void letter_drop(struct dead_letter *letter);

/* A member of its data. */
const char *letter_word(const struct dead_letter *letter, const char *name);
long long letter_number(const struct dead_letter *letter, const char *name);

#endif
