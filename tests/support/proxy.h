/* SPDX-License-Identifier: MIT */

/* tests/support/proxy: a unix socket before a server, which can lose an answer; or one that is no good server at all.
 * Idea       one thread carries bytes between pairs of sockets. The answer to be lost is read from the server, so it has done
 *            what it was asked; then that connection ends.
 * Threads    open, close: the test's · the rest: any. */
#ifndef QUERN_TESTS_SUPPORT_PROXY_H
#define QUERN_TESTS_SUPPORT_PROXY_H

struct proxy;

/* Listens on path and carries to the socket target; NULL: to nobody, each connection is said hello (which may be NULL too)
 * as soon as it has asked for something, and nothing more. */
struct proxy *proxy_open(const char *path, const char *target, const char *hello);
void proxy_close(struct proxy *proxy);

/* Loses the next answer to each of n connections whose first bytes hold these words, such as the name it gave itself. */
void proxy_swallow(struct proxy *proxy, const char *words, int n);

/* How many answers were lost, and how many connections came. */
int proxy_swallowed(const struct proxy *proxy);
int proxy_accepted(const struct proxy *proxy);

#endif
