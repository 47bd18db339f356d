/* SPDX-License-Identifier: MIT */

/* What the tests of this room share: a file with a given text, and the problems of a load as a list. */
#ifndef TESTS_CONFIG_SCRATCH_H
#define TESTS_CONFIG_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "config/config.h"
#include "config/table.h"

struct scratch {
    char path[256];
};

/* A file of its own with these bytes. */
static inline void scratch_write(struct scratch *scratch, const char *bytes, size_t len)
{
    const char *folder = getenv("TMPDIR");
    snprintf(scratch->path, sizeof scratch->path, "%s/quern-config-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(scratch->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

struct lines {
    char text[32][512];
    size_t count;
};

static inline void lines_add(void *user, const char *line)
{
    struct lines *lines = user;
    assert_true(lines->count < COUNT_OF(lines->text));
    snprintf(lines->text[lines->count++], sizeof lines->text[0], "%s", line);
}

/* Loads a file with this text; its path is cut from the lines. */
static inline int scratch_load(quern_config *config, const char *json, struct lines *lines)
{
    struct scratch scratch;
    quern_error error = {0};
    scratch_write(&scratch, json, strlen(json));
    int code = quern_config_load(config, scratch.path, &error);
    unlink(scratch.path);
    lines->count = 0;
    size_t told = quern_config_problems(config, lines_add, lines);
    assert_int_equal(told, lines->count);
    if (code == QUERN_E_CONFIG) assert_string_equal(error.text, lines->text[0]);
    for (size_t i = 0; i < lines->count; i++) {
        size_t len = strlen(scratch.path);
        assert_memory_equal(lines->text[i], scratch.path, len);
        assert_memory_equal(lines->text[i] + len, ": ", 2);
        memmove(lines->text[i], lines->text[i] + len + 2, strlen(lines->text[i] + len + 2) + 1);
    }
    return code;
}

/* What quern_config_get() says, "(not set)" for NULL. Lends until the next call. */
static inline const char *value_now(const quern_config *config, const char *key)
{
    static char value[8192];
    char *text = quern_config_get(config, key);
    snprintf(value, sizeof value, "%s", text ? text : "(not set)");
    free(text);
    return value;
}

#endif
