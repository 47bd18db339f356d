/* SPDX-License-Identifier: MIT */

/* The JSON file. It is read whole, then checked whole, against a copy of the configuration that takes the place of the
 * original only if nothing was wrong. jansson's own error texts quote what they stumbled over, and that may be a password:
 * only their position and kind go into ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "config/check.h"
#include "config/config.h"
#include "config/table.h"
#include "config/value.h"

enum { FILE_MAX_BYTES = 1048576 };

/* Reads all of fd into bytes[FILE_MAX_BYTES + 1]; -1: errno says why not. */
static ssize_t read_all(int fd, char *bytes)
{
    size_t len = 0;
    while (len <= FILE_MAX_BYTES) {
        ssize_t n = read(fd, bytes + len, FILE_MAX_BYTES + 1 - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* The file's text in *bytes, for the caller to free; returns its length, or -1 and problems say why not. */
static ssize_t read_file(const char *path, char **bytes, struct problems *problems)
{
    struct stat what;
    ssize_t len = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0 || fstat(fd, &what) < 0)
        problems_add(problems, NULL, "cannot be read: %s; name a file that exists and may be read", strerrordesc_np(errno));
    else if (!S_ISREG(what.st_mode))
        problems_add(problems, NULL, "is not a regular file; name one that holds a JSON object");
    else if (!(*bytes = malloc(FILE_MAX_BYTES + 1)))
        problems->is_out_of_memory = true;
    else if ((len = read_all(fd, *bytes)) < 0)
        problems_add(problems, NULL, "cannot be read: %s; name a file that may be read", strerrordesc_np(errno));
    if (len > FILE_MAX_BYTES) {
        problems_add(problems, NULL, "is larger than 1 MiB; a configuration is a few KiB of JSON");
        len = -1;
    }
    if (fd >= 0) close(fd);
    return len;
}

/* What is wrong at the place that jansson names. */
static const char *syntax_words(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        return "the text ends too early; close what is open: an object, a list or a text";
    case json_error_end_of_input_expected:
        return "something follows the end of the object; remove it";
    case json_error_invalid_utf8:
        return "this is not UTF-8; save the file as UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a text has a NUL character; remove it";
    case json_error_numeric_overflow:
        return "the number is too large for any key; use a smaller one";
    case json_error_stack_overflow:
        return "lists and objects lie too deep in each other; make them flatter";
    default:
        return "this is not JSON; look for a comma, a colon or a quote that is missing or too many";
    }
}

/* The key that is there twice, out of jansson's "… near '"key"'", if it looks like one of ours; else "". */
static void twice_key(const json_error_t *error, char key[64])
{
    const char *quote = strstr(error->text, " near '\"");
    key[0] = 0;
    if (quote) sscanf(quote, " near '\"%63[A-Za-z0-9_]\"", key);
}

/* Parses; what is wrong is added to problems. A key that is there twice is one problem, and does not hide the others.
 * Gives; NULL: there is nothing to check. */
static json_t *parse(const char *bytes, size_t len, size_t flags, struct problems *problems)
{
    json_error_t error;
    char key[64];
    json_t *json = json_loadb(bytes, len, flags, &error);
    if (json) return json;
    if (value_is_starved(&error)) {
        problems->is_out_of_memory = true;
    } else if (json_error_code(&error) == json_error_duplicate_key) {
        twice_key(&error, key);
        problems_add(problems, *key ? key : NULL, "line %d, column %d: this key is there twice; remove one of them", error.line,
                     error.column);
        return parse(bytes, len, flags & ~(size_t)JSON_REJECT_DUPLICATES, problems);
    } else {
        problems_add(problems, NULL, "line %d, column %d: %s", error.line, error.column, syntax_words(&error));
    }
    return NULL;
}

/* Checks each key, and stores in config what is right. */
static void take_all(const json_t *json, quern_config *config, struct problems *problems)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json, name, value)
    {
        const struct config_row *row = config_find(name);
        if (!row)
            check_unknown("", name, 0, NULL, problems);
        else if (strcmp(name, row->name) != 0 && json_object_get(json, row->name))
            problems_add(problems, name, "is another name of %s, which is there too; remove one of them", row->name);
        else if (check_value(row, value, name, problems) && !value_store(row, value, (char *)config + row->at))
            problems->is_out_of_memory = true;
        if (row) config_note_given(config, row);
    }
}

static void load(const char *path, quern_config *next, struct problems *problems)
{
    char *bytes = NULL;
    ssize_t len = read_file(path, &bytes, problems);
    json_t *json = len < 0 ? NULL : parse(bytes, (size_t)len, JSON_REJECT_DUPLICATES, problems);
    if (json_is_object(json))
        take_all(json, next, problems);
    else if (json)
        problems_add(problems, NULL, "is a JSON list; use an object: {\"key\": value, ...}");
    json_decref(json);
    free(bytes);
}

static void problems_keep(quern_config *config, struct problems *problems)
{
    problems_clear(&(struct problems){.lines = config->problems, .count = config->problem_count});
    config->problems = problems->lines;
    config->problem_count = problems->count;
}

int quern_config_load(quern_config *config, const char *path, quern_error *error)
{
    struct problems problems = {.where = path};
    if (!config || !path) return err_set(error, QUERN_E_ARGUMENT, "quern_config_load: config or path is NULL");
    quern_config *next = config_copy(config);
    if (next)
        load(path, next, &problems);
    else
        problems.is_out_of_memory = true;
    int code = problems_verdict(&problems, error);
    if (code)
        quern_config_free(next);
    else
        config_replace(config, next);
    problems_keep(config, &problems);
    return code;
}
