/* SPDX-License-Identifier: MIT */
#include "cli/guests.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* Modules lie beside the program where it was built, in the libraries' folder where it was installed. */
static const char *module_directory(const quern_config *config, char path[PATH_MAX])
{
    static const char *const places[] = {"workers", INSTALLED_MODULES};
    char self[PATH_MAX - 64], place[PATH_MAX];
    if (config->module_path) return config->module_path;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return "/usr/lib/quern/workers";
    self[n] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(place, sizeof place, "%s/%s", self, places[i]);
        if (realpath(place, path)) return path;
    }
    snprintf(path, PATH_MAX, "%s/workers", self);
    return path;
}

/* {"command": [...]}; NULL: a word is no UTF-8, or there is no memory. */
static char *command_options(char **command)
{
    json_t *words = json_array();
    while (*command && !json_array_append_new(words, json_string(*command))) command++;
    json_t *options = *command ? NULL : json_pack("{s:O}", "command", words);
    json_decref(words);
    char *text = options ? json_dumps(options, JSON_COMPACT) : NULL;
    json_decref(options);
    return text;
}

static int load_command(struct modules *modules, const char *directory, quern_config *config, char **arguments,
                        quern_error *err)
{
    char *options = command_options(arguments + 2);
    if (!options) {
        snprintf(err->text, sizeof err->text, "the command is not UTF-8");
        return QUERN_E_ARGUMENT;
    }
    struct config_worker worker = {.event = arguments[0], .module = "exec", .options = options, .policy = "{}"};
    int code = module_load(modules, directory, &worker, config, err);
    free(options);
    return code;
}

static int open_all(struct modules *modules, quern_config *config, char **arguments)
{
    quern_error err;
    char path[PATH_MAX];
    int code = QUERN_OK;
    const char *directory = module_directory(config, path);
    for (size_t i = 0; i < config->workers.count; i++) {
        if (!module_load(modules, directory, &config->workers.at[i], config, &err)) continue;
        say("%s", err.text);
        code = QUERN_E_CONFIG; /* and the others? All that is wrong is told at once */
    }
    if (arguments[0] && load_command(modules, directory, config, arguments, &err)) {
        say("%s", err.text);
        code = QUERN_E_CONFIG;
    }
    if (code || config->handlers.count) return code;
    say("nothing to run: name workers in a file (-c) or a command (EVENT -- COMMAND ...)");
    return QUERN_E_CONFIG;
}

int guests_open(struct modules *modules, quern_config *config, char **arguments)
{
    size_t before = modules->count;
    if (arguments[0] && !(arguments[1] && strcmp(arguments[1], "--") == 0 && arguments[2])) {
        say("after the options comes EVENT -- COMMAND ..., as in: quern run image.resize -- ./resize.sh");
        return QUERN_E_ARGUMENT;
    }
    int code = open_all(modules, config, arguments);
    if (code) module_unload(modules, before);
    return code;
}
