/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"

static const struct {
    const char *name;
    int is_retriable;
} table[] = {
#define ROW(code, retriable) [code] = {#code, retriable},
    ERR_TABLE(ROW)
#undef ROW
};

enum { CODES = sizeof table / sizeof *table };

const char *quern_code_name(int code)
{
    return code >= 0 && code < CODES ? table[code].name : "(no such code)";
}

const char *quern_version(void)
{
    return QUERN_VERSION;
}

int err_set(quern_error *err, int code, const char *format, ...)
{
    if (!err) return code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    bytes_tame(err->text);
    err->code = code;
    err->is_retriable = code >= 0 && code < CODES && table[code].is_retriable;
    return code;
}
