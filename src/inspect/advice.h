/* SPDX-License-Identifier: MIT */

/* inspect/advice: what a pool says of its server when it starts: a line for each thing that may cost jobs, or the server itself.
 * Idea       the doctor's own checks, those of them that do not change while a pool runs. One of them is no advice: a server that
 *            deletes keys when it is full is refused, unless the configuration allows it.
 * Threads    the caller's, which owns conn.
 * Never      fails a start for want of an answer: what cannot be seen is not judged. */
#ifndef QUERN_INSPECT_ADVICE_H
#define QUERN_INSPECT_ADVICE_H

#include "base/log.h"
#include "config/config.h"
#include "wire/conn.h"

/* Asks twice, and says what it finds. QUERN_E_CONFIG: an eviction policy that is not allowed. */
int advice_give(struct conn *conn, const quern_config *config, struct log *log, quern_error *err) QUERN_MUST_USE;

#endif
