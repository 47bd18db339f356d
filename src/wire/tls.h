/* SPDX-License-Identifier: MIT */

/* wire/tls: TLS over a connection's socket.
 * Idea       OpenSSL is loaded when the first rediss:// is dialled, by name, not linked: a pool without TLS does not carry it.
 *            It reads and writes by functions of ours, so the socket stays what it is: non-blocking, and no SIGPIPE. The files are
 *            read anew for each connection: renewed certificates need no restart.
 * Invariant  at least TLS 1.2; the server's certificate is of an authority that is trusted, in time, and of the name that was
 *            dialled; no renegotiation.
 * Threads    a connection's owner; loading, once, any.
 * Never      asks a person for a key's passphrase; goes on without TLS. */
#ifndef QUERN_WIRE_TLS_H
#define QUERN_WIRE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "quern.h"

struct tls;

struct tls_setup {
    const char *ca;         /* a file of authorities, or a folder of them; NULL: the system's */
    const char *cert, *key; /* ours, for a server that wants to know; NULL: none. key NULL: it is in cert's file */
    const char *name;       /* what the server's certificate must be of: a host, or an address */
    const char *shown;      /* the server, for texts; lent for as long as the connection is open */
};

/* Are the files there, and what they should be? QUERN_E_CONFIG: err names the key. May be used without a connection. */
int tls_check(const struct tls_setup *setup, quern_error *err) QUERN_MUST_USE;

/* Shakes hands on fd, which is lent. Waits until the deadline. Gives *tls; QUERN_E_AUTH: one of both does not trust the other,
 * QUERN_E_SERVER: no TLS there, QUERN_E_CONFIG, QUERN_E_CONNECT, QUERN_E_TIMEOUT. */
int tls_open(struct tls **tls, int fd, const struct tls_setup *setup, int64_t deadline_ns, quern_error *err) QUERN_MUST_USE;
/* Says goodbye if that does not wait. NULL is fine. */
void tls_close(struct tls *tls);

/* As recv() and send(): -1 and errno; EAGAIN: when tls_wants() (POLLIN or POLLOUT) can be done; EPROTO: tls_failed() says why. */
ssize_t tls_read(struct tls *tls, void *bytes, size_t len);
ssize_t tls_write(struct tls *tls, const void *bytes, size_t len);
/* Has more come than was read, which poll() does not show? */
bool tls_holds(const struct tls *tls);
short tls_wants(const struct tls *tls);
/* Fills err with what has ended the connection, and returns its code. */
int tls_failed(const struct tls *tls, quern_error *err);

#endif
