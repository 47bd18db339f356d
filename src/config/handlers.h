/* SPDX-License-Identifier: MIT */

/* config/handlers: which function runs which event.
 * Idea       a list of quern_handler with texts of our own, in the order in which they were added; at most one per event.
 * Threads    the owner's. */
#ifndef QUERN_CONFIG_HANDLERS_H
#define QUERN_CONFIG_HANDLERS_H

#include <stdbool.h>

#include "config/config.h"

/* to: empty. false: no memory, to is empty still. */
bool handlers_copy(const struct config_handlers *from, struct config_handlers *to);

void handlers_clear(struct config_handlers *handlers);

#endif
