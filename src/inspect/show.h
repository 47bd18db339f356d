/* SPDX-License-Identifier: MIT */

/* inspect/show: what was seen, as JSON.
 * Idea       jobs come from anybody: a text that is no UTF-8 is null, and given in hex under its name and "_hex".
 * Threads    any. Each function returns false where there is no memory. */
#ifndef QUERN_INSPECT_SHOW_H
#define QUERN_INSPECT_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/entry.h"

bool show_bytes(json_t *object, const char *name, quern_bytes bytes); /* at NULL: null */
bool show_number(json_t *object, const char *name, int64_t number);
bool show_number_or_null(json_t *object, const char *name, int64_t number, bool is_known);
bool show_null(json_t *object, const char *name);
bool show_id(json_t *object, const char *name, struct entry_id id);

/* How long ago, by an entry's id, which may lie ahead of the clock: then 0. */
int64_t show_age_ms(int64_t now_ms, struct entry_id id);

/* The text of value, which is given up; NULL: there is no value, or no memory, and err says so. Gives. */
char *show_text(json_t *value, quern_error *err);

/* An object's text, which is given up, with one more member behind the others: JSON that is not touched, so that no number
 * changes its form. Gives (free); NULL: no memory. */
char *show_spliced(char *object, const char *name, quern_bytes json);

#endif
