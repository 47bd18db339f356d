/* SPDX-License-Identifier: MIT */

/* config/problems: everything that is wrong, not only the first of it.
 * Idea       whoever checks something adds a line and goes on; who asked for the check reads them at the end.
 * Invariant  a line is "WHERE: KEY: what is wrong; what would be right", without control characters and without secrets.
 * Threads    the owner's. */
#ifndef QUERN_CONFIG_PROBLEMS_H
#define QUERN_CONFIG_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "quern.h"

struct problems {
    const char *where; /* a file's name; lent; NULL: the lines begin with the key */
    char **lines;
    size_t count;
    bool is_out_of_memory; /* lines may be missing, or a value could not be kept */
};

/* Adds a line. key may be NULL: it is about the whole. */
void problems_add(struct problems *problems, const char *key, const char *format, ...) QUERN_PRINTF(3, 4);

/* QUERN_OK: there are none. Else QUERN_E_MEMORY, or QUERN_E_CONFIG with the first line in err. */
int problems_verdict(const struct problems *problems, quern_error *err) QUERN_MUST_USE;

/* Frees the lines. */
void problems_clear(struct problems *problems);

#endif
