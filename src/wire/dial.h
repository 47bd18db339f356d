/* SPDX-License-Identifier: MIT */

/* wire/dial: reaches a server's socket: unix or TCP, non-blocking, CLOEXEC, each address of a host in turn, for its share of the time.
 * Threads    any. Waits for the connection, and for the resolver. */
#ifndef QUERN_WIRE_DIAL_H
#define QUERN_WIRE_DIAL_H

#include <stdint.h>

#include "wire/url.h"

struct dial_to {
    const char *socket; /* a path; NULL: a host */
    const struct url_place *place;
    const char *shown; /* for texts */
};

/* Until when one may be waited for where so many others are left: none takes the time of all, none is given up at once. */
int64_t dial_share_ns(int64_t deadline_ns, uint32_t left);

/* QUERN_E_CONNECT: nobody there before the deadline. *fd is -1 before; it may be open behind a failure: the caller closes it. */
int dial(int *fd, const struct dial_to *to, int64_t deadline_ns, quern_error *err) QUERN_MUST_USE;

#endif
