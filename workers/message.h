/* SPDX-License-Identifier: MIT */

/* workers/message: a job as one JSON object, for a command that wants all of it.
 * Shape      {"id", "event", "retries", "timestamps": {"created_at", "updated_at"}, "entry", "deliveries", "data"}; data is the
 *            job's own JSON, byte for byte. Raw bytes (data_type "bytes") are in "data_hex", and data is null; so is an id that
 *            is no UTF-8.
 * Threads    any. */
#ifndef QUERN_WORKERS_MESSAGE_H
#define QUERN_WORKERS_MESSAGE_H

#include <quern.h>

/* 0: *text is given, a NUL stands behind its *len bytes. Else the verdict to return, its reason is the job's error: data that is no
 * JSON, or no memory. */
quern_verdict message_make(quern_job *job, char **text, size_t *len);

#endif
