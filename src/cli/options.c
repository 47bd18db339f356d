/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "config/table.h"
#include "embed/embed.h"
#include "embed/place.h"

enum { OPTION_HELP = 1000, OPTION_OWN, OPTION_KEY = OPTION_OWN + OWN_MAX };

/* getopt_long's table: two spellings per key, and what is no key. */
struct option_table {
    const char *letters; /* getopt's */
    const struct verb_option *own;
    bool serves_all;
    const char *own_names[OWN_MAX + 1];
    struct option *at;
    char (*dashed)[40];
};

static void add_option(struct option **at, const char *name, int takes, int value)
{
    *(*at)++ = (struct option){name, takes, NULL, value};
}

static void add_key(struct option **at, char **dashed, const char *name, bool is_switch, int value)
{
    int takes = is_switch ? optional_argument : required_argument;
    add_option(at, name, takes, value);
    if (!strchr(name, '_')) return;
    char *other = *dashed;
    snprintf(other, 40, "%s", name);
    for (char *c = other; *c; c++)
        if (*c == '_') *c = '-';
    add_option(at, other, takes, value);
    *dashed += 40;
}

/* Fills table for the rows of the configuration and the verb's own options; the value of each is OPTION_KEY or OPTION_OWN and its
 * place. */
static bool table_open(struct option_table *table, const struct verb_options *options)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    table->letters = options->may_mix ? ":c:h" : "+:c:h";
    table->own = options->own;
    table->serves_all = options->serves_all;
    table->at = calloc(4 * count + 2 * OWN_MAX + 2, sizeof *table->at);
    table->dashed = calloc(2 * count + OWN_MAX, sizeof *table->dashed);
    if (!table->at || !table->dashed) return false;
    struct option *at = table->at;
    char *dashed = table->dashed[0];
    for (size_t i = 0; i < count; i++) {
        bool is_switch = rows[i].type == CONFIG_BOOL;
        add_key(&at, &dashed, rows[i].name, is_switch, OPTION_KEY + (int)i);
        if (rows[i].alias) add_key(&at, &dashed, rows[i].alias, is_switch, OPTION_KEY + (int)i);
    }
    for (int i = 0; table->own && i < OWN_MAX && table->own[i].name; i++) {
        add_key(&at, &dashed, table->own[i].name, table->own[i].is_switch, OPTION_OWN + i);
        table->own_names[i] = table->own[i].name;
    }
    add_option(&at, "help", no_argument, OPTION_HELP);
    return true;
}

static void table_close(struct option_table *table)
{
    free(table->at);
    free(table->dashed);
}

static void say_problem(void *user, const char *line)
{
    (void)user;
    say("%s", line);
}

static int take_file(quern_config *config, const char *path)
{
    quern_error err;
    int code = quern_config_load(config, path, &err);
    if (code && !quern_config_problems(config, say_problem, NULL)) say("%s", err.text);
    return code;
}

int option_switch(const struct verb_option *option, const char *value)
{
    *(bool *)option->into = !value || strcmp(value, "true") == 0;
    if (!value || strcmp(value, "true") == 0 || strcmp(value, "false") == 0) return QUERN_OK;
    say("--%s: use true or false", option->name);
    return QUERN_E_CONFIG;
}

int option_number(const struct verb_option *option, const char *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool is_number = end != value && !*end && !errno && strspn(value, "0123456789") == strlen(value);
    if (is_number && number >= option->min && number <= option->max) {
        *(int64_t *)option->into = number;
        return QUERN_OK;
    }
    say("--%s: '%s' is not a whole number from %lld to %lld", option->name, value, (long long)option->min,
        (long long)option->max);
    return QUERN_E_CONFIG;
}

int option_text(const struct verb_option *option, const char *value)
{
    if (!*value) {
        say("--%s: its value is empty", option->name);
        return QUERN_E_CONFIG;
    }
    *(const char **)option->into = value;
    return QUERN_OK;
}

static int take_key(quern_config *config, const struct config_row *row, const char *value)
{
    quern_error err;
    int code = quern_config_set(config, row->name, value ? value : "true", &err);
    if (code) say("--%s", err.text);
    return code;
}

/* --trim false: getopt_long takes an optional argument only after '=', people write it apart as well. */
static const char *argument_of(bool is_switch, int argc, char **argv)
{
    if (optarg || !is_switch) return optarg;
    if (optind < argc && (strcmp(argv[optind], "true") == 0 || strcmp(argv[optind], "false") == 0)) return argv[optind++];
    return NULL;
}

/* The word that getopt_long has just taken as an option; where words may be mixed it has moved those before it. */
static const char *option_word(char **argv)
{
    bool is_apart = optind > 1 && optarg && optarg == argv[optind - 1];
    return argv[optind - (is_apart ? 2 : 1)];
}

/* getopt_long did not understand word, or a letter in a word of letters, which is in optopt then. What follows '=' is not
 * shown: it may be a password. */
static int refuse_option(int option, const char *word, const char *const *own_names)
{
    char wrong[64] = {'-', (char)optopt, 0};
    bool is_letter = optopt > 0 && optopt < OPTION_HELP;
    if (!is_letter) snprintf(wrong, sizeof wrong, "%.*s", (int)strcspn(word, "="), word);
    bool is_name = !is_letter && strncmp(wrong, "--", 2) == 0;
    const char *near = is_name ? config_nearest(wrong + 2, 0, own_names, config_typos(wrong + 2)) : NULL;
    if (option == ':')
        say("%s: its value is missing", wrong);
    else if (near)
        say("%s: no such option; did you mean --%s?", wrong, near);
    else
        say("%s: no such option", wrong);
    return QUERN_E_CONFIG;
}

/* getopt_long takes any unambiguous beginning of a name for the name; a typo should not pass for another option. */
static int next_option(int argc, char **argv, const struct option_table *table)
{
    int place = -1, option = getopt_long(argc, argv, table->letters, table->at, &place);
    if (place < 0 || option == -1) return option;
    const char *said = option_word(argv) + 2, *name = table->at[place].name;
    if (strncmp(said, name, strlen(name)) == 0 && (said[strlen(name)] == 0 || said[strlen(name)] == '=')) return option;
    optopt = 0; /* the word is wrong, not a letter in it */
    return '?';
}

/* One option that is neither -c nor --help. */
static int take_option(quern_config *config, const struct option_table *table, int option, int argc, char **argv)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    if (option >= OPTION_KEY) {
        const struct config_row *row = &rows[option - OPTION_KEY];
        int code = take_key(config, row, argument_of(row->type == CONFIG_BOOL, argc, argv));
        /* Who looks at one queue and names its group means that one, whatever a file says of queues. */
        if (!code && row->type == CONFIG_GROUP && !table->serves_all) code = quern_config_set(config, "queues", "", NULL);
        return code;
    }
    if (option < OPTION_OWN) return refuse_option(option, option_word(argv), table->own_names);
    const struct verb_option *own = &table->own[option - OPTION_OWN];
    return own->take(own, argument_of(own->is_switch, argc, argv));
}

/* Passes over the value of a switch that is written apart, as take_option() does. */
static void pass_option(const struct option_table *table, int option, int argc, char **argv)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    bool is_key = option >= OPTION_KEY && rows[option - OPTION_KEY].type == CONFIG_BOOL;
    bool is_own = option >= OPTION_OWN && option < OPTION_KEY && table->own[option - OPTION_OWN].is_switch;
    argument_of(is_key || is_own, argc, argv);
}

/* One walk over the options. files: only -c; else all but it. */
static int walk(quern_config *config, const struct option_table *table, int argc, char **argv, bool files)
{
    int code = QUERN_OK, option;
    optind = 0; /* begins anew, whatever was read before */
    opterr = 0;
    while ((option = next_option(argc, argv, table)) != -1 && code != QUERN_E_GONE) {
        int failed = QUERN_OK;
        if (option == OPTION_HELP || option == 'h')
            code = QUERN_E_GONE;
        else if (option == 'c')
            failed = files ? take_file(config, optarg) : QUERN_OK;
        else if (files)
            pass_option(table, option, argc, argv);
        else
            failed = take_option(config, table, option, argc, argv);
        if (failed && !code) code = failed;
    }
    return code;
}

int options_read(quern_config *config, const struct verb_options *options, int argc, char **argv, int *rest)
{
    struct option_table table = {0};
    quern_error err;
    int code = table_open(&table, options) ? walk(config, &table, argc, argv, true) : QUERN_E_MEMORY;
    if (code == QUERN_E_GONE) verb_help(2, (char *[]){"help", argv[0], NULL});
    if (!code && (code = quern_config_environment(config, &err))) say("%s", err.text);
    if (!code) code = walk(config, &table, argc, argv, false);
    if (!code && (code = config_check(config, &err))) say("%s", err.text);
    *rest = optind;
    table_close(&table);
    return code;
}

static bool is_private(const quern_config *config)
{
    return !config->redis || strncmp(config->redis, "embedded:", 9) == 0;
}

/* Where a private server lives; NULL: where embed_open() looks by itself. */
static const char *folder_of(const quern_config *config)
{
    return config->redis && config->redis[9] ? config->redis + 9 : config->state_dir;
}

bool server_has_place(const quern_config *config)
{
    quern_error err;
    char path[PATH_MAX];
    if (!is_private(config) || place_find(folder_of(config), path, &err) != QUERN_E_GONE) return true;
    say("there is no private server: %s", err.text);
    return false;
}

int64_t server_patience_ms(const quern_config *config)
{
    enum { ONE_ATTEMPT_MS = 5000 };
    return config->connect_ms ? config->connect_ms : ONE_ATTEMPT_MS;
}

int server_open(quern_config *config, const struct server_options *options, struct embed **embed)
{
    quern_error err;
    *embed = NULL;
    if (!is_private(config)) return QUERN_OK;
    struct embed_options of = {
        .dir = folder_of(config),
        .start_ms = server_patience_ms(config),
        .goes_on = options->goes_on,
        .user = options->user,
    };
    *embed = embed_open(&of, &err);
    if (!*embed) {
        if (err.code != QUERN_E_GONE) say("%s", err.text);
        return err.code;
    }
    if (!config->redis && !options->is_quiet)
        say("no Redis was named (--redis): a private one serves at %s", embed_url(*embed));
    int code = quern_config_set(config, "redis", embed_url(*embed), &err);
    if (code) say("%s", err.text);
    return code;
}
