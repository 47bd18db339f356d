/* SPDX-License-Identifier: MIT */

/* config/differences: what a running pool would have to be started anew for.
 * Idea       the table says which keys can change while jobs run (CONFIG_LIVE); all others must be the same.
 * Threads    any: it touches nothing but its arguments.
 * Never      shows the value of a secret. */
#ifndef QUERN_CONFIG_DIFFERENCES_H
#define QUERN_CONFIG_DIFFERENCES_H

#include "config/config.h"

/* QUERN_OK: all that differs can change. QUERN_E_CONFIG: err names every key that cannot, with both values (without them where
 * there are too many for one line; where even the names are too many, it says how many more there are). QUERN_E_MEMORY. */
int config_differences(const quern_config *running, const quern_config *asked, quern_error *err) QUERN_MUST_USE;

#endif
