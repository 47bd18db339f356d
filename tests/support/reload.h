/* SPDX-License-Identifier: MIT */

/* tests/support/reload: other configurations for a mill's pool.
 * Threads    the test's own. */
#ifndef QUERN_TESTS_SUPPORT_RELOAD_H
#define QUERN_TESTS_SUPPORT_RELOAD_H

#include "support/mill.h"

/* That of the start, without handlers, but for these keys and values up to NULL. Gives. */
quern_config *mill_config(struct mill *mill, ...) __attribute__((sentinel));
/* Adds a handler; its size is filled in. */
void config_on(quern_config *config, const quern_handler *handler);

/* Reloads the mill's pool; takes config. mill_reloads: it must succeed. */
int mill_reload(struct mill *mill, quern_config *config);
void mill_reloads(struct mill *mill, quern_config *config);

#endif
