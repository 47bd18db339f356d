/* SPDX-License-Identifier: MIT */

/* settle/record: what the completed log says of a job, value by value.
 * Threads    settler. */
#ifndef QUERN_SETTLE_RECORD_H
#define QUERN_SETTLE_RECORD_H

#include "job/slot.h"
#include "wire/conn.h"

/* The values in the order of the log's fields, without their names: id, event, result, retries, wait_ms, run_ms, finished_at. */
void record_put_values(const struct quern_job *job, struct conn *conn);

/* The whole record as a command: XADD key * name value …. */
void record_put_command(const struct quern_job *job, const char *key, const char *consumer, struct conn *conn);

#endif
