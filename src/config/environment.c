/* SPDX-License-Identifier: MIT */

/* The environment: QUERN_<KEY> for every key and alias.
 * Other QUERN_ names are strangers' (the exec module gives its commands QUERN_ID and more, and that command may be a quern;
 * Kubernetes makes QUERN_SERVICE_HOST of a service called quern) and are left alone; only a name that is one character or one
 * last word away from a key's is taken for a typo and refused, since it would be ignored in silence otherwise. A variable that
 * is empty counts as not there. Passwords may lie in $CREDENTIALS_DIRECTORY. A program that runs with more rights than its caller has (setuid) takes nothing from its
 * caller's environment. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/err.h"
#include "config/config.h"
#include "config/table.h"
#include "config/value.h"

#define PREFIX "QUERN_"
enum { VARIABLE_SIZE = 64, NEAR_LEN_MIN = 4 }; /* three letters are near too much */

static void variable_of(const char *key, char variable[VARIABLE_SIZE])
{
    snprintf(variable, VARIABLE_SIZE, PREFIX "%.50s", key);
    for (char *at = variable; *at; at++) *at = (char)toupper((unsigned char)*at);
}

/* The value of QUERN_<KEY>, NULL if it is not set or empty. */
static const char *value_of(const char *key, char variable[VARIABLE_SIZE])
{
    variable_of(key, variable);
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

static void take_row(const struct config_row *row, quern_config *config, struct problems *problems)
{
    char name[VARIABLE_SIZE], alias[VARIABLE_SIZE];
    void *member = (char *)config + row->at;
    const char *value = value_of(row->name, name), *other = row->alias ? value_of(row->alias, alias) : NULL;
    if (value && other)
        problems_add(problems, alias, "is another name of %s, which is set too; unset one of them", name);
    else if (value)
        value_set(row, value, name, member, problems);
    else if (other)
        value_set(row, other, alias, member, problems);
    if (value || other) config_note_given(config, row);
}

/* Is it QUERN_<KEY> to the letter? */
static bool is_a_keys(const char *variable)
{
    size_t count;
    const struct config_row *row = config_rows(&count);
    for (const struct config_row *end = row + count; row < end; row++) {
        char own[VARIABLE_SIZE];
        variable_of(row->name, own);
        if (!strcmp(own, variable)) return true;
        variable_of(row->alias ? row->alias : row->name, own);
        if (!strcmp(own, variable)) return true;
    }
    return false;
}

/* Refuses a variable ("NAME=value") whose name is nearly a key's. */
static void look_for_typo(const char *setting, struct problems *problems)
{
    size_t prefix_len = strlen(PREFIX), len = strcspn(setting, "=");
    char variable[VARIABLE_SIZE], meant[VARIABLE_SIZE];
    if (len >= sizeof variable || len < prefix_len + NEAR_LEN_MIN || strncmp(setting, PREFIX, prefix_len) != 0) return;
    snprintf(variable, sizeof variable, "%.*s", (int)len, setting);
    const char *near = config_nearest(variable + prefix_len, 0, NULL, 1);
    if (!near || is_a_keys(variable)) return;
    variable_of(near, meant);
    problems_add(problems, variable, "there is no such key; did you mean %s?", meant);
}

/* Credentials that systemd has laid ready, named as the keys are without their "_file"; where a key is set, that one holds. */
static void take_credential(const char *key, quern_config *config, struct problems *problems)
{
    const struct config_row *row = config_find(key);
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char **member = (char **)((char *)config + row->at), *path = NULL;
    if (!folder || *folder != '/' || *member) return;
    if (asprintf(&path, "%s/%.*s", folder, (int)(strlen(key) - strlen("_file")), key) < 0) path = NULL;
    if (!path)
        problems->is_out_of_memory = true;
    else if (!access(path, F_OK))
        value_set(row, path, key, member, problems);
    free(path);
}

int quern_config_environment(quern_config *config, quern_error *error)
{
    struct problems problems = {0};
    size_t count;
    const struct config_row *rows = config_rows(&count);
    if (!config) return err_set(error, QUERN_E_ARGUMENT, "quern_config_environment: config is NULL");
    if (getauxval(AT_SECURE)) return QUERN_OK;
    quern_config *next = config_copy(config);
    if (!next) return err_set(error, QUERN_E_MEMORY, "no memory for the configuration");
    for (size_t i = 0; i < count; i++) take_row(&rows[i], next, &problems);
    take_credential("redis_password_file", next, &problems);
    take_credential("sentinel_password_file", next, &problems);
    for (char **variable = environ; variable && *variable; variable++) look_for_typo(*variable, &problems);
    int code = problems_verdict(&problems, error);
    if (code)
        quern_config_free(next);
    else
        config_replace(config, next);
    problems_clear(&problems);
    return code;
}
