/* SPDX-License-Identifier: MIT */

/* publish/receipts: what the scripts that publish have answered. */
#ifndef QUERN_PUBLISH_RECEIPTS_H
#define QUERN_PUBLISH_RECEIPTS_H

#include "publish/send.h"

/* A word per message, as the scripts publish.lua and enqueue.lua say, into the batch's receipts. QUERN_E_UNKNOWN: they are too few; script is
 * named then. */
int receipts_take(const struct outgoing *batch, quern_bytes words, const char *script, quern_error *err) QUERN_MUST_USE;

/* None of them was published, for that reason. receipts may be NULL. */
void receipts_refuse(quern_receipt *receipts, size_t n, int code);

#endif
