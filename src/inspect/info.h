/* SPDX-License-Identifier: MIT */

/* inspect/info: what INFO says, field by field.
 * Idea       INFO is lines of "name:value"; a name that is not there is nothing, for versions differ in what they tell.
 * Threads    any; pure. */
#ifndef QUERN_INSPECT_INFO_H
#define QUERN_INSPECT_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

/* The value of a field, lent from info; at NULL: it is not there. */
quern_bytes info_field(const char *info, const char *name);
bool info_is(const char *info, const char *name, const char *value);
/* A whole number, perhaps with a fraction that is left out; fallback: none. */
int64_t info_number(const char *info, const char *name, int64_t fallback);
/* Seconds with a fraction ("1.250000") in microseconds; -1: none. */
int64_t info_us(const char *info, const char *name);

#endif
