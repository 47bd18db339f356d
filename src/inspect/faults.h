/* SPDX-License-Identifier: MIT */

/* inspect/faults: which faults a version of the server is known to have.
 * Idea       a table of what concerns a queue: streams, scripts, blocked readers. Each row is read in the release notes of the
 *            version that mends it; it is not all that is wrong with a version. What a branch that is not maintained any more has
 *            is mended in the next one.
 * Threads    any; pure. */
#ifndef QUERN_INSPECT_FAULTS_H
#define QUERN_INSPECT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "quern.h"

enum product { PRODUCT_REDIS, PRODUCT_VALKEY };

struct version {
    int major, minor, patch;
};

struct fault {
    enum product product;
    struct version from, mended; /* from this one on, before that one */
    const char *what;
};

/* "7.0.15" and the like; false: it does not begin with two numbers. */
bool version_read(quern_bytes text, struct version *version);
bool version_is_before(struct version a, struct version b);

/* The next fault of this version behind row *at (0 to begin), which moves on; NULL: there is none any more. */
const struct fault *fault_next(enum product product, struct version version, size_t *at);

/* Is it the least that quern works with, or later? */
bool version_is_served(enum product product, struct version version);

/* A version that a distribution keeps, and mends without changing its number: what is known of the number may be mended. */
bool version_is_distributed(enum product product, struct version version);

#endif
