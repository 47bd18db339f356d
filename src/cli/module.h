/* SPDX-License-Identifier: MIT */

/* cli/module: loads the worker modules that the configuration names.
 * Idea       a module is code that runs with all our rights, so it is only taken from where nobody else could have put it:
 *            every part of its path is opened without following links and checked, and what was checked is what is loaded
 *            (the open file itself, not its name again).
 * Rule       each part belongs to root, to the user we run as, or to the owner of this very program (who could change that
 *            instead); its mode lets neither group nor others write, whoever is in that group: root's too. A sticky directory
 *            (/tmp) may lie above, as nobody can replace there what is not his; but no module directly in it. No part is a
 *            symbolic link.
 * Reload     opens modules anew while a pool runs. What was opened before stays open until the pool has been freed: jobs may run
 *            there still. So each reload costs what an open module holds. A file that was replaced is another file: both stay.
 * Threads    the program's main thread: loading runs the modules' constructors.
 * Never      unloads code: threads may end in it later. */
#ifndef QUERN_CLI_MODULE_H
#define QUERN_CLI_MODULE_H

#include "config/config.h"

struct module_use; /* one configured worker with its handler */

/* Begins zeroed. */
struct modules {
    struct module_use *at;
    size_t count;
};

/* Loads the module of one configured worker (a name is DIRECTORY/NAME.so, an absolute path itself), opens it with the worker's
 * options and adds its handler to config. directory: absolute. QUERN_OK; else err says in one line what is wrong with which
 * module, and nothing was added. Reads the file system; else never waits. */
int module_load(struct modules *modules, const char *directory, const struct config_worker *worker, quern_config *config,
                quern_error *err) QUERN_MUST_USE;

/* Closes all handlers but the first kept, last first. Only what no pool has ever taken (a reload was refused), or after the pool has
 * been freed. */
void module_unload(struct modules *modules, size_t kept);

/* Closes every handler and frees the list. Only after the pool has been freed. */
void module_unload_all(struct modules *modules);

#endif
