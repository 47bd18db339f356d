/* SPDX-License-Identifier: MIT */

/* tests/support/seen: a scene with a look into its queue: stream "jobs", group "g", and what was asked for last.
 * Threads    the test's own. */
#ifndef QUERN_TESTS_SUPPORT_SEEN_H
#define QUERN_TESTS_SUPPORT_SEEN_H

#include <jansson.h>

#include "support/mill.h"

struct seen {
    struct scene *scene;
    quern_config *config;
    quern_error error;
    json_t *answer; /* of the last look */
};

/* For cmocka; *state is the seen. */
int seen_open(void **state);
int seen_open_with(void **state, const struct redis_options *options);
int seen_close(void **state);

void seen_set(struct seen *seen, const char *key, const char *value);

/* Takes what a look gave; lends it as JSON until the next look. NULL fails the test. */
json_t *seen_take(struct seen *seen, char *text);
json_t *seen_stats(struct seen *seen); /* one look */
json_t *seen_pending(struct seen *seen, size_t max);
json_t *seen_dead(struct seen *seen, size_t max);
json_t *seen_letter(struct seen *seen, const char *id);

json_t *seen_peek(struct seen *seen, const char *what, size_t max);

/* The look was refused with this code, and these words. */
void seen_refused(struct seen *seen, char *text, int code, const char *words);

/* A member of an object, a row of a list; one of another type, or none, fails the test. */
long long seen_number(const json_t *object, const char *name);
const char *seen_text(const json_t *object, const char *name);
bool seen_null(const json_t *object, const char *name);
json_t *seen_row(const json_t *list, size_t i);

/* The group in both streams; a job "one" of event "e" with two retries. */
void seen_group(struct redis *redis);
void seen_add(struct redis *redis, const char *stream, const char *entry);

/* Puts a job that is packed as the scripts do it into a zset and its hash: names and values of its fields up to NULL. */
void seen_shelve(struct redis *redis, const char *times, const char *member, const char *due_ms, ...) __attribute__((sentinel));

/* How often anything was changed in Redis so far. */
long long seen_changes(struct redis *redis);

#endif
