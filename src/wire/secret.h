/* SPDX-License-Identifier: MIT */

/* wire/secret: a password that lies in a file.
 * Idea       it is read when it is needed, for each login anew, into a page that is left out of core files, and wiped as soon as it was
 *            sent: so it can be renewed while we run, and is nowhere to be found in between.
 * Threads    any. Reads a file.
 * Never      tells what is in it. */
#ifndef QUERN_WIRE_SECRET_H
#define QUERN_WIRE_SECRET_H

#include "quern.h"

/* Gives *secret (secret_drop); a newline at its end is none of it. QUERN_E_CONFIG: no such file, empty, too large, or others may read or
 * change it; err names key and path. */
int secret_read(const char *key, const char *path, char **secret, quern_error *err) QUERN_MUST_USE;
/* Wipes it. NULL is fine. */
void secret_drop(char *secret);

#endif
