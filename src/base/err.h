/* SPDX-License-Identifier: MIT */

/* base/err: how a function says what went wrong.
 * Idea       the caller owns a quern_error (or passes NULL); the failing function fills it and returns its code.
 * Invariant  text is one line of at most 503 bytes, without what steers a terminal; on success nothing is written. */
#ifndef QUERN_BASE_ERR_H
#define QUERN_BASE_ERR_H

#include "quern.h"

/* Every code with its name, in the order of enum quern_code: code, is it worth another try. */
#define ERR_TABLE(X)       \
    X(QUERN_OK, 0)         \
    X(QUERN_E_ARGUMENT, 0) \
    X(QUERN_E_CONFIG, 0)   \
    X(QUERN_E_CONNECT, 1)  \
    X(QUERN_E_AUTH, 0)     \
    X(QUERN_E_SERVER, 0)   \
    X(QUERN_E_TIMEOUT, 1)  \
    X(QUERN_E_FULL, 0)     \
    X(QUERN_E_GONE, 0)     \
    X(QUERN_E_BUSY, 1)     \
    X(QUERN_E_MEMORY, 1)   \
    X(QUERN_E_UNKNOWN, 0)

/* Fills err (NULL is allowed) and returns code. What would steer a terminal becomes '?'. */
int err_set(quern_error *err, int code, const char *format, ...) QUERN_PRINTF(3, 4);

#endif
