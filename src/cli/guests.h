/* SPDX-License-Identifier: MIT */

/* cli/guests: the workers that a configuration and the command line name, opened as its handlers.
 * Idea       one module per element of "workers"; EVENT -- COMMAND … is an exec worker beside them. A reload opens all of them
 *            anew, beside those that are open already.
 * Threads    main. */
#ifndef QUERN_CLI_GUESTS_H
#define QUERN_CLI_GUESTS_H

#include "cli/module.h"

/* arguments: what follows the options, up to NULL. Adds to modules, and to the handlers of config. QUERN_OK; else all that is
 * wrong has been said, and what was opened is closed again. */
int guests_open(struct modules *modules, quern_config *config, char **arguments);

#endif
