/* SPDX-License-Identifier: MIT */

/* wire/url: where a server is and who we are there.
 * Idea       redis://[user[:password]@]host[:port][/db], rediss:// the same over TLS, and unix://[user[:password]@]/path[?db=N];
 *            user, password and path may be %-encoded. A text without user is a password of the default user.
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
    bool is_tls;
    struct url_tls {
        char *ca, *cert, *key; /* files; NULL: the system's authorities, no certificate of ours, the key is beside it */
        char *name;            /* whose certificate it is to be; NULL: the host's */
    } tls;
};

/* What may be set beside a URL; NULL: it is not. Lent. */
struct url_more {
    const char *tls_ca, *tls_cert, *tls_key, *tls_name;
};

/* Fills url. QUERN_E_CONFIG: not such a URL; err says what would be right, and holds no password. */
int url_read(struct url *url, const char *text, quern_error *err) QUERN_MUST_USE;
/* Takes over what more says. QUERN_E_CONFIG: it does not go with the URL, or a file is not what it should be; url is then freed. */
int url_add(struct url *url, const struct url_more *more, quern_error *err) QUERN_MUST_USE;
void url_free(struct url *url);

#endif
