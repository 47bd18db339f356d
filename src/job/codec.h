/* SPDX-License-Identifier: MIT */

/* job/codec: the JSON within messages; the only place of the hot rooms that knows jansson.
 * Threads    any; nothing is shared. Allocates. */
#ifndef QUERN_JOB_CODEC_H
#define QUERN_JOB_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct message;

/* Reads the single-field shape: a JSON object with event, data, and perhaps id, retries, timestamps. The views then point into
 * message->decoded. */
int codec_read_object(struct message *message, quern_bytes text, quern_error *err) QUERN_MUST_USE;

/* The time of created_at in Unix ms. 0: read; -1: not the JSON object it should be (updated_at included). */
int codec_read_stamps(quern_bytes text, int64_t *created_ms);

/* Is text a whole JSON value (any type), of well-formed UTF-8? Else err says where it is wrong: QUERN_E_ARGUMENT. */
int codec_check_json(quern_bytes text, quern_error *err) QUERN_MUST_USE;

/* How deep lists and objects lie in each other in a JSON text: 0 for a number, 1 for "[]". Of other texts: some number. Does not recurse. */
size_t codec_depth(quern_bytes text);

/* Is a JSON text at most so deep (depth_max 0: any is)? Else err names both depths: QUERN_E_ARGUMENT. */
int codec_check_depth(quern_bytes text, int64_t depth_max, quern_error *err) QUERN_MUST_USE;

/* Is it JSON, also with whole numbers that no variable holds, which the others refuse? */
bool codec_is_json(quern_bytes text);

/* Parses any JSON value. Gives a reference (json_decref); NULL: err says where it is wrong. */
struct json_t *codec_parse(quern_bytes text, quern_error *err);
/* The same; where whole numbers are in it that no variable holds, all numbers are reals. NULL: it is no JSON. */
struct json_t *codec_parse_wide(quern_bytes text);
void codec_drop(struct json_t *value);

/* json_dumps(), which where memory runs out may go on without a name that it could not write: here that is NULL, too. Gives. */
char *codec_text(const struct json_t *value, size_t flags);

#endif
