/* SPDX-License-Identifier: MIT */

/* workers/options: how a worker module reads its options.
 * Idea       a key is taken by name and type: what is absent keeps the value it has, what is wrong is refused by one line that
 *            names the key and says what would be right. burn reads its payload the same way.
 * Threads    any; an object belongs to one thread at a time.
 * Never      touches a job. */
#ifndef QUERN_WORKERS_OPTIONS_H
#define QUERN_WORKERS_OPTIONS_H

#include <jansson.h>
#include <quern.h>
#include <stdbool.h>

/* Fills error (NULL is allowed) with one line. Returns QUERN_E_CONFIG. */
int options_wrong(quern_error *error, const char *format, ...) QUERN_PRINTF(2, 3);

/* Fills error with "no memory". Returns QUERN_E_MEMORY. */
int options_no_memory(quern_error *error);

/* The object that text holds, none of its keys but those of the NULL-terminated list known. Gives; NULL: see error. */
json_t *options_read(const char *text, const char *const *known, quern_error *error);

/* Each takes one key. QUERN_OK: *value is set, or the key is absent and *value untouched. QUERN_E_CONFIG: see error. */
int options_integer(const json_t *options, const char *key, int64_t min, int64_t max, int64_t *value, quern_error *error);
int options_flag(const json_t *options, const char *key, bool *value, quern_error *error);

/* Lends the text for as long as options lives. */
int options_text(const json_t *options, const char *key, const char **value, quern_error *error);

#endif
