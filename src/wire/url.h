/* SPDX-License-Identifier: MIT */

/* wire/url: where a server is and who we are there.
 * Idea       redis://[user[:password]@]host[:port][,host…][/db], rediss:// the same over TLS, unix://[user[:password]@]/path[?db=N];
 *            sentinel://[user[:password]@]host[:port][,host…]/name[/db][?sentinel=[user]:password], sentinels:// over TLS: the
 *            hosts are sentinels, whose own login is at the end. User, password, path and name may be %-encoded. A text without user is a password of the default user.
 * Invariant  url_shown is safe to log: it has no password. */
#ifndef QUERN_WIRE_URL_H
#define QUERN_WIRE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

enum { URL_HOST_SIZE = 256 };
struct url_place {
    char host[URL_HOST_SIZE];
    uint16_t port;
};

struct nodes;

struct url {
    bool is_unix;
    char *host; /* or the socket's path */
    uint16_t port;
    uint32_t db;
    char *user, *password;    /* NULL: none */
    char *shown;              /* the URL with its password as *** */
    struct url_place *places; /* all hosts, the first one too; NULL: a socket */
    uint32_t place_count;
    char *master; /* the name under which sentinels know the server: then the hosts are theirs; NULL: they are servers */
    char *sentinel_user, *sentinel_password;      /* NULL: none */
    char *password_file, *sentinel_password_file; /* where passwords are that are not in the URL; NULL: nowhere */
    char *key;                                    /* on a Cluster, the node that has this one is meant; NULL: any */
    struct nodes *nodes;                          /* who can be asked (wire/route); NULL: a socket */
    bool is_tls;
    struct url_tls {
        char *ca, *cert, *key; /* files; NULL: the system's authorities, no certificate of ours, the key is beside it */
        char *name;            /* whose certificate it is to be; NULL: the host's */
    } tls;
};

/* What may be set beside a URL; NULL: it is not. Lent. */
struct url_more {
    const char *key; /* url->key */
    const char *tls_ca, *tls_cert, *tls_key, *tls_name;
    const char *password_file, *sentinel_password_file;
};

/* Fills url. QUERN_E_CONFIG: not such a URL; err says what would be right, and holds no password. */
int url_read(struct url *url, const char *text, quern_error *err) QUERN_MUST_USE;
/* Takes over what more says. QUERN_E_CONFIG: it does not go with the URL, or a file is not what it should be; url is then freed. */
int url_add(struct url *url, const struct url_more *more, quern_error *err) QUERN_MUST_USE;
void url_free(struct url *url);

#endif
