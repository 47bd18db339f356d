/* SPDX-License-Identifier: MIT */

/* wire/url: where a server is and who we are there.
 * Idea       redis://[user[:password]@]host[:port][/db] and unix://[user[:password]@]/path[?db=N]; user, password and path
 *            may be %-encoded. A text without user is a password of the default user.
 * Invariant  url_shown is safe to log: it has no password. */
#ifndef QUERN_WIRE_URL_H
#define QUERN_WIRE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct url {
    bool is_unix;
    char *host; /* or the socket's path */
    uint16_t port;
    uint32_t db;
    char *user, *password; /* NULL: none */
    char *shown;           /* the URL with its password as *** */
};

/* Fills url. QUERN_E_CONFIG: not such a URL; err says what would be right, and holds no password. */
int url_read(struct url *url, const char *text, quern_error *err) QUERN_MUST_USE;
void url_free(struct url *url);

#endif
