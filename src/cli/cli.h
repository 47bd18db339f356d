/* SPDX-License-Identifier: MIT */

/* cli: the program's verbs, one file each.
 * Idea       a verb reads its options into a configuration, does its work, and returns the exit status: EXIT_DONE, EXIT_FAILED
 *            or EXIT_USAGE. What it has to say of itself goes to standard error; results go to standard output.
 * Threads    main. */
#ifndef QUERN_CLI_CLI_H
#define QUERN_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the verb. */
int verb_run(int argc, char **argv);
int run_supervised(int argc, char **argv); /* as a child of a supervising parent; argv[0] says which */
int verb_publish(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_pending(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_dead(int argc, char **argv);
int verb_peek(int argc, char **argv);
int verb_replay(int argc, char **argv);
int verb_purge(int argc, char **argv);
int verb_remove(int argc, char **argv);
int verb_cancel(int argc, char **argv);
int verb_pause(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_help(int argc, char **argv);

/* A verb's line in the table of verbs. */
struct verb {
    const char *name, *arguments, *sentence;
    int (*run)(int argc, char **argv);
    const char *manual; /* what `quern help VERB` adds */
};
const struct verb *verbs(size_t *count);

/* "no verb 'word'; right would be …", of the table; word NULL: none was given. Returns EXIT_USAGE. */
int refuse_verb(const char *word);

/* "quern: …" on standard error. */
void say(const char *format, ...) QUERN_PRINTF(1, 2);

/* An option that one verb has besides the keys of the configuration. */
struct verb_option {
    const char *name;                                                 /* NULL ends the list; '-' is as good as '_' */
    bool is_switch;                                                   /* its value may be left out: value is NULL then */
    int (*take)(const struct verb_option *option, const char *value); /* QUERN_OK; QUERN_E_CONFIG: said what is wrong */
    void *into;
    int64_t min, max;
};
int option_switch(const struct verb_option *option, const char *value); /* into a bool */
int option_number(const struct verb_option *option, const char *value); /* into an int64_t, from min to max */
int option_text(const struct verb_option *option, const char *value);   /* into a const char *, lent; not empty */

enum { OWN_MAX = 12 };
struct verb_options {
    const struct verb_option *own; /* at most OWN_MAX; NULL: none */
    bool may_mix;                  /* options may also stand between the verb's words and behind them */
    bool serves_all;               /* queues: it works for all of them, not for one */
};

/* Reads -c FILE, then the environment, then every --key and the verb's own options: later beats earlier. *rest is the first argument
 * that is no option. QUERN_OK; QUERN_E_CONFIG: everything that was wrong has been said (EXIT_USAGE); QUERN_E_GONE: help was asked
 * for and given. */
int options_read(quern_config *config, const struct verb_options *options, int argc, char **argv, int *rest);

/* Sets journal_dir, where it is not set, to the folder below the state folder in which this program keeps its journals. QUERN_OK,
 * or err says why there is none. */
int journals_set(quern_config *config, quern_error *err) QUERN_MUST_USE;
/* The same for who only looks: where that folder is not there, it is not made. */
int journals_find(quern_config *config, quern_error *err) QUERN_MUST_USE;

/* How long the private server may take: connect_ms; 0 means one attempt, not an impatient one. */
int64_t server_patience_ms(const quern_config *config);

/* The server that config names: a URL is left as it is; none, or embedded:[folder], opens the private server (said in one line, unless
 * is_quiet) and sets redis to its socket. QUERN_OK; QUERN_E_GONE: goes_on has said no; or the reason has been said. */
struct embed;
struct server_options {
    bool is_quiet;
    bool (*goes_on)(void *user, const char *lack); /* how long it is waited for (embed/embed); NULL: server_patience_ms() */
    void *user;
};
int server_open(quern_config *config, const struct server_options *options, struct embed **embed);

/* For who only looks: is there where the private server would be, if that is what server_open() opens? A folder that is not there holds no
 * jobs, and is not made by looking. false: it has been said. */
bool server_has_place(const quern_config *config);

#endif
