/* SPDX-License-Identifier: MIT */

/* config/check: is a JSON value one of a row?
 * Idea       one judge for every source. What is wrong becomes a line that says so and what would be right.
 * Threads    the owner's.
 * Never      shows the value of a secret, or a key that does not look like one. */
#ifndef QUERN_CONFIG_CHECK_H
#define QUERN_CONFIG_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "config/problems.h"
#include "config/table.h"

/* Is it a value of the row? If not, problems have a line with key, which is the name the user knows it by. */
bool check_value(const struct config_row *row, const json_t *json, const char *key, struct problems *problems);

/* Adds "no such key" about a name that is none, with what was probably meant. where: what stands before the name, or "";
 * flags and names as for config_nearest(). */
void check_unknown(const char *where, const char *name, unsigned flags, const char *const *names, struct problems *problems);

/* A value in words for a problem, shortened, in ASCII: "yes" in quotes, 5000, a list. row may be NULL; the value of a secret
 * is "the value". */
enum { CHECK_WORDS_SIZE = 64 };
void check_words(const struct config_row *row, const json_t *json, char text[CHECK_WORDS_SIZE]);

#endif
