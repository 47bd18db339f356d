/* SPDX-License-Identifier: MIT */

/* proof/thrower: the faults that the campaign throws itself: at processes, at connections, at the server, at what it holds.
 * Invariant  each is in the history before it happens; what is deleted on purpose is there to the letter. */
#ifndef QUERN_TESTS_PROOF_THROWER_H
#define QUERN_TESTS_PROOF_THROWER_H

#include <stdbool.h>

/* One, by the dice. */
void thrower_throw(void);

/* Ends those that have lasted long enough; at_once: all. */
void thrower_end(bool at_once);

/* Deletes entries that are pending, so many, one after the other: what is said of them is looked for. */
void thrower_delete(unsigned count);

#endif
