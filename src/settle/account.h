/* SPDX-License-Identifier: MIT */

/* settle/account: every job that ends is counted, told to the observer, and where it did not go well, said aloud.
 * Threads    settler. */
#ifndef QUERN_SETTLE_ACCOUNT_H
#define QUERN_SETTLE_ACCOUNT_H

#include "settle/settler.h"

/* Redis has answered for it (enum answer), or there was nothing to ask. */
void account_settled(const struct settler_needs *needs, const struct quern_job *job, char answer);
/* Redis could not be told: it stays pending. */
void account_left(const struct settler_needs *needs, const struct quern_job *job);

#endif
