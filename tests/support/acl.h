/* SPDX-License-Identifier: MIT */

/* tests/support/acl: any test of promises with least rights.
 * Idea       with QUERN_TEST_ACL set to config/quern.acl each private server takes its users from it, with keys of any name, and every
 *            connection of the library that names nobody logs in as the one that it is meant for: a pool's as quern-worker, a publisher's as
 *            quern-producer, a look's as quern-monitor, others' as quern-operator. Without the variable nothing of this happens.
 * Threads    any. */
#ifndef QUERN_TESTS_SUPPORT_ACL_H
#define QUERN_TESTS_SUPPORT_ACL_H

#include "support/redis.h"

#define ACL_PASSWORD "pike"

/* Writes what a server is to load: the users of the file named so, each with the password above; keys: their patterns, or NULL, as they are
 * there; password: the default user's, or NULL. */
void acl_write(const char *from, const char *to, const char *keys, const char *password);

/* The file that all tests are to be run with; NULL: none. */
const char *acl_wanted(void);

/* A right of whom the library is here: of the default user, and of that user, as that file has it. */
void acl_change(struct redis *redis, const char *user, const char *right);

/* Who makes room for jobs by dropping others needs more than who only publishes (README). */
void acl_allow_dropping(struct redis *redis);

/* Till the next scene is opened, everybody is the default user: what is tested is how one logs in, or what answers knows no users. */
void acl_set_aside(bool is_aside);

#endif
