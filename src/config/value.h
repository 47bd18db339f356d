/* SPDX-License-Identifier: MIT */

/* config/value: one value of a row, in its three shapes.
 * Idea       text (options, environment) becomes JSON, JSON is checked once, and what passed is stored in the member. The way
 *            back is the same: member, JSON, text. So every source is judged by the same rules.
 * Invariant  value_store() is given only what check_value() let pass, and then fails only for want of memory; until it has
 *            succeeded the member keeps its old value.
 * Threads    the owner's. */
#ifndef QUERN_CONFIG_VALUE_H
#define QUERN_CONFIG_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "config/problems.h"
#include "config/table.h"

/* Into the member, whose old value is freed. false: no memory, nothing changed. */
bool value_store(const struct config_row *row, const json_t *json, void *member);

/* The member as JSON. Gives; NULL: no memory. */
json_t *value_show(const struct config_row *row, const void *member);

/* JSON as value_set() takes it. Gives; NULL: no memory, or null. */
char *value_text(const json_t *json);

/* From text: turns it into JSON, checks and stores. An empty text is null. What is wrong is added to problems. */
void value_set(const struct config_row *row, const char *text, const char *key, void *member, struct problems *problems);

/* to: all zero. false: no memory. */
bool value_copy(const struct config_row *row, const void *from, void *to);

/* Frees what the member owns and leaves it zero. */
void value_clear(const struct config_row *row, void *member);

/* Was it want of memory that a parse failed of? (jansson leaves the text empty then.) */
bool value_is_starved(const json_error_t *error);

#endif
