/* SPDX-License-Identifier: MIT */

/* inspect/doctor: is anything wrong with a server or a queue, and what is to be done?
 * Idea       three looks, each a list of checks: the server by what it says of itself, the queue by its keys, the group by who
 *            works for it. A check that finds nothing wrong says nothing.
 * Threads    the caller's.
 * Never      writes, and never judges what it could not see: that is a note. */
#ifndef QUERN_INSPECT_DOCTOR_H
#define QUERN_INSPECT_DOCTOR_H

#include "config/config.h"
#include "inspect/facts.h"
#include "inspect/findings.h"

/* Pure: only what facts tell. *may_go_on: what comes behind can be looked at. */
void doctor_server(const struct facts *facts, struct findings *findings, bool *may_go_on);

/* Pure: of those checks the ones for the start of a pool, versions and persistence. facts->info is there. */
void doctor_advice(const struct facts *facts, struct findings *findings);

/* Keys of a wrong type (those are not looked into), what is overdue, what is there. *may_go_on: the group can be looked at. */
int doctor_queue(struct look *look, struct findings *findings, bool *may_go_on, quern_error *err) QUERN_MUST_USE;

/* Who works for the group, and for the others of the stream; what waits and is held; what is not trimmed. */
int doctor_group(struct look *look, const quern_config *config, struct findings *findings, quern_error *err) QUERN_MUST_USE;

#endif
