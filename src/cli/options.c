/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "config/table.h"
#include "embed/embed.h"

enum { OPTION_TIMEOUT = 1000, OPTION_HELP, OPTION_KEY };

/* getopt_long's table: two spellings per key, and what is no key. */
struct option_table {
    struct option *at;
    char (*dashed)[40];
};

static void add_option(struct option **at, const char *name, const struct config_row *row, int value)
{
    int takes = row && row->type == CONFIG_BOOL ? optional_argument : required_argument;
    *(*at)++ = (struct option){name, value == OPTION_HELP ? no_argument : takes, NULL, value};
}

static void add_key(struct option **at, char **dashed, const char *name, const struct config_row *row, int value)
{
    add_option(at, name, row, value);
    if (!strchr(name, '_')) return;
    char *other = *dashed;
    snprintf(other, 40, "%s", name);
    for (char *c = other; *c; c++)
        if (*c == '_') *c = '-';
    add_option(at, other, row, value);
    *dashed += 40;
}

/* Fills table for the rows of the configuration; each key's value is OPTION_KEY + its place. */
static bool table_open(struct option_table *table)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    table->at = calloc(4 * count + 3, sizeof *table->at);
    table->dashed = calloc(2 * count, sizeof *table->dashed);
    if (!table->at || !table->dashed) return false;
    struct option *at = table->at;
    char *dashed = table->dashed[0];
    for (size_t i = 0; i < count; i++) {
        add_key(&at, &dashed, rows[i].name, &rows[i], OPTION_KEY + (int)i);
        if (rows[i].alias) add_key(&at, &dashed, rows[i].alias, &rows[i], OPTION_KEY + (int)i);
    }
    add_option(&at, "timeout", NULL, OPTION_TIMEOUT);
    add_option(&at, "help", NULL, OPTION_HELP);
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

static int take_timeout(quern_config *config, const char *seconds)
{
    quern_error err;
    char *end, ms[32];
    double value = strtod(seconds, &end);
    if (end == seconds || *end || !(value >= 0.001 && value <= 86400)) {
        say("--timeout: '%s' is not a number of seconds from 0.001 to 86400", seconds);
        return QUERN_E_CONFIG;
    }
    snprintf(ms, sizeof ms, "%.0f", value * 1000);
    return quern_config_set(config, "publish_ms", ms, &err);
}

static int take_key(quern_config *config, const struct config_row *row, const char *value)
{
    quern_error err;
    int code = quern_config_set(config, row->name, value ? value : "true", &err);
    if (code) say("--%s", err.text);
    return code;
}

/* --trim false: getopt_long takes an optional argument only after '=', people write it apart as well. */
static const char *argument_of(const struct config_row *row, int argc, char **argv)
{
    if (optarg || row->type != CONFIG_BOOL) return optarg;
    if (optind < argc && (strcmp(argv[optind], "true") == 0 || strcmp(argv[optind], "false") == 0)) return argv[optind++];
    return NULL;
}

/* getopt_long did not understand word, or a letter in a word of letters, which is in optopt then. What follows '=' is not
 * shown: it may be a password. */
static int refuse_option(int option, const char *word)
{
    char wrong[64] = {'-', (char)optopt, 0};
    bool is_letter = optopt > 0 && optopt < OPTION_TIMEOUT;
    if (!is_letter) snprintf(wrong, sizeof wrong, "%.*s", (int)strcspn(word, "="), word);
    bool is_name = !is_letter && strncmp(wrong, "--", 2) == 0;
    const char *near = is_name ? config_nearest(wrong + 2, 0, NULL, config_typos(wrong + 2)) : NULL;
    if (option == ':')
        say("%s: its value is missing", wrong);
    else if (near)
        say("%s: no such option; did you mean --%s?", wrong, near);
    else
        say("%s: no such option", wrong);
    return QUERN_E_CONFIG;
}

/* getopt_long takes any unambiguous beginning of a name for the name; a typo should not pass for another option. */
static int next_option(int argc, char **argv, const struct option_table *table, int at)
{
    int place = -1, option = getopt_long(argc, argv, "+:c:h", table->at, &place);
    if (place < 0 || at >= argc) return option;
    const char *said = argv[at] + 2, *name = table->at[place].name;
    return strncmp(said, name, strlen(name)) == 0 && (said[strlen(name)] == 0 || said[strlen(name)] == '=') ? option : '?';
}

/* One walk over the options. files: only -c; else all but it. */
static int walk(quern_config *config, const struct option_table *table, int argc, char **argv, bool files)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    int code = QUERN_OK, option;
    optind = 0; /* begins anew, whatever was read before */
    opterr = 0;
    for (int at = 1; (option = next_option(argc, argv, table, at)) != -1 && code != QUERN_E_GONE; at = optind) {
        int failed = QUERN_OK;
        const struct config_row *row = option >= OPTION_KEY ? &rows[option - OPTION_KEY] : NULL;
        const char *value = row ? argument_of(row, argc, argv) : optarg;
        if (option == OPTION_HELP || option == 'h')
            code = QUERN_E_GONE;
        else if (option == 'c')
            failed = files ? take_file(config, optarg) : QUERN_OK;
        else if (files)
            failed = QUERN_OK;
        else if (option == OPTION_TIMEOUT)
            failed = take_timeout(config, optarg);
        else if (row)
            failed = take_key(config, row, value);
        else
            failed = refuse_option(option, argv[at]);
        if (failed && !code) code = failed;
    }
    return code;
}

int options_read(quern_config *config, int argc, char **argv, int *rest)
{
    struct option_table table = {0};
    quern_error err;
    int code = table_open(&table) ? walk(config, &table, argc, argv, true) : QUERN_E_MEMORY;
    if (code == QUERN_E_GONE) verb_help(2, (char *[]){"help", argv[0], NULL});
    if (!code && (code = quern_config_environment(config, &err))) say("%s", err.text);
    if (!code) code = walk(config, &table, argc, argv, false);
    if (!code && (code = config_check(config, &err))) say("%s", err.text);
    *rest = optind;
    table_close(&table);
    return code;
}

int server_open(quern_config *config, struct embed **embed)
{
    quern_error err;
    *embed = NULL;
    if (config->redis && strncmp(config->redis, "embedded:", 9) != 0) return QUERN_OK;
    const char *folder = config->redis && config->redis[9] ? config->redis + 9 : config->state_dir;
    *embed = embed_open(&(struct embed_options){.dir = folder, .start_ms = config->connect_ms}, &err);
    if (!*embed) {
        say("%s", err.text);
        return err.code;
    }
    if (!config->redis) say("no Redis was named (--redis): a private one serves at %s", embed_url(*embed));
    return quern_config_set(config, "redis", embed_url(*embed), &err);
}
