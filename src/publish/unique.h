/* SPDX-License-Identifier: MIT */

/* publish/unique: under which key of Redis a message's dedup window lies.
 * Idea       a key that is short and harmless is used as it is, so that it can be looked up by hand; any other, and an event with its
 *            data, by its SHA-256. Of JSON the data counts, not its spelling: members in order, no spaces.
 * Threads    any; allocates. */
#ifndef QUERN_PUBLISH_UNIQUE_H
#define QUERN_PUBLISH_UNIQUE_H

#include "config/config.h"
#include "quern.h"

/* *key: S:unique:<key>, malloc'd; NULL: the message may be there any number of times. QUERN_OK, QUERN_E_ARGUMENT (the function of the
 * configuration has given an empty key) or QUERN_E_MEMORY. */
int unique_key(const quern_config *config, const quern_message *message, char **key, quern_error *err) QUERN_MUST_USE;

#endif
