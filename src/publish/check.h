/* SPDX-License-Identifier: MIT */

/* publish/check: is a message one that may be published? Judged before any I/O. Threads: any; allocates. */
#ifndef QUERN_PUBLISH_CHECK_H
#define QUERN_PUBLISH_CHECK_H

#include "config/config.h"
#include "quern.h"

enum { EVENT_MAX = 256 };

/* QUERN_OK; QUERN_E_ARGUMENT or QUERN_E_FULL: err says what is wrong. */
int check_message(const quern_message *message, const quern_config *config, quern_error *err) QUERN_MUST_USE;

/* The data that is published: the message's, or an empty object. */
quern_bytes check_data(const quern_message *message);

#endif
