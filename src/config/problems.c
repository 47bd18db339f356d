/* SPDX-License-Identifier: MIT */
#include "config/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

/* where and key, each with ": " behind it, then the text; gives. */
static char *line_format(const char *where, const char *key, const char *text)
{
    const char *after_where = where ? ": " : "", *after_key = key ? ": " : "";
    where = where ? where : "";
    key = key ? key : "";
    int len = snprintf(NULL, 0, "%s%s%s%s%s", where, after_where, key, after_key, text);
    char *line = len < 0 ? NULL : malloc((size_t)len + 1);
    if (!line) return NULL;
    snprintf(line, (size_t)len + 1, "%s%s%s%s%s", where, after_where, key, after_key, text);
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
    return line;
}

void problems_add(struct problems *problems, const char *key, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char **lines = realloc(problems->lines, (problems->count + 1) * sizeof *lines);
    if (lines) problems->lines = lines;
    char *line = lines ? line_format(problems->where, key, text) : NULL;
    if (line)
        problems->lines[problems->count++] = line;
    else
        problems->is_out_of_memory = true;
}

int problems_verdict(const struct problems *problems, quern_error *err)
{
    if (problems->is_out_of_memory) return err_set(err, QUERN_E_MEMORY, "no memory for the configuration");
    if (problems->count) return err_set(err, QUERN_E_CONFIG, "%s", problems->lines[0]);
    return QUERN_OK;
}

void problems_clear(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) free(problems->lines[i]);
    free(problems->lines);
    problems->lines = NULL;
    problems->count = 0;
}
