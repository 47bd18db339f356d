/* SPDX-License-Identifier: MIT */

/* wire/errors: what an error of Redis means for us.
 * Idea       one table of codes (the first word; servers word their sentences differently); texts that begin with ERR, as those
 *            of scripts may, are searched for a code inside, then for known phrases.
 * Threads    any. */
#ifndef QUERN_WIRE_ERRORS_H
#define QUERN_WIRE_ERRORS_H

#include <stdbool.h>

#include "quern.h"

enum error_class {
    ERROR_TRANSIENT, /* it passes: back off, reconnect, replay */
    ERROR_HEAL,      /* stream or group are gone: make them again */
    ERROR_FATAL,     /* somebody must change something: password, rights, a key of another type */
    ERROR_NOSCRIPT,  /* send the script whole */
    ERROR_UNKNOWN    /* not in the table: treat what was asked as perhaps done */
};

struct error_meaning {
    enum error_class class;
    enum quern_code code; /* what a caller of the library is told */
};

struct error_meaning error_meaning(quern_bytes text);

/* The server was reached, and has refused what was asked: what is asked of another queue it may answer. */
static inline bool error_is_refusal(int code)
{
    return code && code != QUERN_E_CONNECT && code != QUERN_E_TIMEOUT;
}

#endif
