/* SPDX-License-Identifier: MIT */

/* cli: the program's verbs, one file each.
 * Idea       a verb reads its options into a configuration, does its work, and returns the exit status: EXIT_DONE, EXIT_FAILED
 *            or EXIT_USAGE. What it has to say of itself goes to standard error; results go to standard output.
 * Threads    main. */
#ifndef QUERN_CLI_CLI_H
#define QUERN_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "quern.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the verb. */
int verb_run(int argc, char **argv);
int verb_publish(int argc, char **argv);
int verb_help(int argc, char **argv);

/* A verb's line in the table of verbs. */
struct verb {
    const char *name, *arguments, *sentence;
    int (*run)(int argc, char **argv);
    const char *manual; /* what `quern help VERB` adds */
};
const struct verb *verbs(size_t *count);

/* "quern: …" on standard error. */
void say(const char *format, ...) QUERN_PRINTF(1, 2);

/* Reads -c FILE, then the environment, then every --key: later beats earlier. *rest is the first argument that is no option.
 * QUERN_OK; QUERN_E_CONFIG: everything that was wrong has been said (EXIT_USAGE); QUERN_E_GONE: help was asked for and given. */
int options_read(quern_config *config, int argc, char **argv, int *rest);

/* The server that config names: a URL is left as it is; none, or embedded:[folder], opens the private server (said in one line) and sets
 * redis to its socket. QUERN_OK, or the reason has been said. */
struct embed;
int server_open(quern_config *config, struct embed **embed);

#endif
