/* SPDX-License-Identifier: MIT */

/* base/bytes: small helpers around quern_bytes. */
#ifndef QUERN_BASE_BYTES_H
#define QUERN_BASE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "quern.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline quern_bytes bytes_of(const char *text)
{
    return (quern_bytes){text, text ? strlen(text) : 0};
}

static inline bool bytes_equal(quern_bytes a, quern_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool bytes_is(quern_bytes a, const char *text)
{
    return bytes_equal(a, bytes_of(text));
}

/* Reads a whole decimal number without sign; false: it is none, or larger than 2^64 - 1. */
bool bytes_number(quern_bytes text, uint64_t *value);

/* Writes a number in decimal, at most BYTES_NUMBER_SIZE bytes without a NUL. Returns how many. */
enum { BYTES_NUMBER_SIZE = 20 };
size_t bytes_put_number(char *text, uint64_t number);

/* The length of the well-formed UTF-8 character that text begins with, and which one it is; 0: there is none. */
size_t bytes_character(quern_bytes text, uint32_t *character);

/* Is it well-formed UTF-8? */
bool bytes_is_utf8(quern_bytes text);

/* Does it steer a terminal, or turn the direction of what follows? */
bool bytes_is_steering(uint32_t character);

/* What would steer, and what is no character, becomes '?', so that text can be shown anywhere. */
void bytes_tame(char *text);

/* How much of text fits max bytes, up to a whole character. */
size_t bytes_cut(quern_bytes text, size_t max);

/* malloc'd: two hexadecimal digits per byte, lower case; NULL: no memory. Gives. */
char *bytes_hex(quern_bytes bytes);

/* malloc'd copy with a NUL behind it; NULL: no memory. Gives. */
char *bytes_copy(quern_bytes text);

/* For comparisons and tables within this process: eight bytes at a time. */
uint64_t bytes_hash(quern_bytes bytes);

#endif
