/* SPDX-License-Identifier: MIT */

/* base/uuid: random ids.
 * Idea       libuuid asks the kernel half a dozen things for each id; here one draw serves many, and nothing is kept in between, so that
 *            a process that forks does not give out the same ids twice.
 * Threads    any. */
#ifndef QUERN_BASE_UUID_H
#define QUERN_BASE_UUID_H

#include <stddef.h>

enum { UUID_SIZE = 37 };

/* A UUIDv4, dashed, lower case, into text[UUID_SIZE]. */
void uuid_text(char *text);

/* n of them; each text lies stride bytes behind the one before. */
void uuid_texts(char *first, size_t stride, size_t n);

#endif
