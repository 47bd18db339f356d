/* SPDX-License-Identifier: MIT */

/* job/member: where the value of a member stands in the text of a JSON object.
 * Idea       what was written as JSON goes back byte for byte; a parser would change the form of numbers. So the text is walked
 *            over, by brackets and quotes alone: that it is JSON is known already.
 * Threads    any; nothing is shared. */
#ifndef QUERN_JOB_MEMBER_H
#define QUERN_JOB_MEMBER_H

#include "quern.h"

/* The bytes of the value; of the last one where there are several, as parsers do. at NULL: there is no such member. object: valid
 * JSON of an object; name as it is written there. */
quern_bytes member_bytes(quern_bytes object, const char *name);

#endif
