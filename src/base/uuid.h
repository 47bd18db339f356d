/* SPDX-License-Identifier: MIT */

/* base/uuid: random ids. Threads: any. */
#ifndef QUERN_BASE_UUID_H
#define QUERN_BASE_UUID_H

enum { UUID_SIZE = 37 };

/* A UUIDv4, dashed, lower case, into text[UUID_SIZE]. */
void uuid_text(char *text);

#endif
