/* SPDX-License-Identifier: MIT */

/* tests/support/certs: certificates of the test's own, made by openssl(1) in a folder, one authority for all of them but one.
 * Idea       a name stands for NAME.pem and NAME.key: ca, other_ca; server (localhost and 127.0.0.1), wrong (elsewhere.test), expired,
 *            stray (of other_ca), client.
 * Threads    the test's own. */
#ifndef QUERN_TESTS_SUPPORT_CERTS_H
#define QUERN_TESTS_SUPPORT_CERTS_H

struct certs {
    char dir[64];
};

/* Makes all of them; fails the test where openssl is not there. */
void certs_make(struct certs *certs);
/* The path of a file of them, lent until the eighth next call: certs_file(certs, "server.pem"). */
const char *certs_file(const struct certs *certs, const char *name);
void certs_remove(struct certs *certs);

#endif
