/* SPDX-License-Identifier: MIT */

/* tests/support/proxy: a socket before a server, which can spoil an answer; or one that is no good server at all.
 * Idea       one thread carries bytes between pairs of sockets. A fault meets an answer: it is read from the server, so what was
 *            asked is done by then, and only who asked does not know. No dice here: which fault meets whom is the test's.
 * Threads    open, close: the test's · the rest: any. */
#ifndef QUERN_TESTS_SUPPORT_PROXY_H
#define QUERN_TESTS_SUPPORT_PROXY_H

#include <stddef.h>

struct proxy;

/* Listens on path, or, if that is NULL, on a port of 127.0.0.1, and carries to the socket target; NULL: to nobody, each connection
 * is said hello (which may be NULL too) as soon as it has asked for something, and nothing more. */
struct proxy *proxy_open(const char *path, const char *target, const char *hello);
void proxy_close(struct proxy *proxy);

/* Where it is reached, for a configuration. Lends. */
const char *proxy_url(const struct proxy *proxy);

enum proxy_kind {
    PROXY_CLOSE,  /* the connection ends */
    PROXY_RESET,  /* the same by a reset (RST); on a unix socket there is none, so as PROXY_CLOSE */
    PROXY_SILENT, /* half-open: it stays, and nothing more is carried; the server keeps its end even when the client goes */
    PROXY_DRIP,   /* the answer goes on byte by byte, with a pause before each */
    PROXY_DELAY,  /* it goes on after the pause */
    PROXY_HOLD,   /* the question is under way until proxy_release(), also when the client has gone; else as PROXY_SILENT */
    PROXY_KINDS
};

struct proxy_fault {
    const char *name;     /* whom it meets: connections whose first bytes hold this, such as the name it gave itself */
    const char *question; /* after which question: its first bytes hold this; NULL: after any */
    enum proxy_kind kind;
    size_t after; /* so many bytes of the answer come through before it */
    int pause_ms; /* of PROXY_DRIP and PROXY_DELAY */
    int times;    /* how many answers it meets */
};

/* From now on this fault instead of the one before; NULL: none. */
void proxy_fault(struct proxy *proxy, const struct proxy_fault *fault);

/* What was held goes on to the server. */
void proxy_release(struct proxy *proxy);

/* Loses the next n answers to connections of that name: they end in place of them. */
void proxy_swallow(struct proxy *proxy, const char *name, int n);

/* How many answers, or questions, met a fault, and how many connections came. */
int proxy_swallowed(const struct proxy *proxy);
int proxy_accepted(const struct proxy *proxy);

#endif
