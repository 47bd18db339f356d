/* SPDX-License-Identifier: MIT */
#include "inspect/info.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

quern_bytes info_field(const char *info, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = info; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            return (quern_bytes){line + len + 1, strcspn(line + len + 1, "\r\n")};
    return (quern_bytes){NULL, 0};
}

bool info_is(const char *info, const char *name, const char *value)
{
    return bytes_is(info_field(info, name), value);
}

int64_t info_number(const char *info, const char *name, int64_t fallback)
{
    quern_bytes field = info_field(info, name);
    char *end;
    long long number = field.at ? strtoll(field.at, &end, 10) : 0;
    return field.at && end != field.at ? number : fallback;
}

/* By hand: strtod() would go by the locale of the host. */
int64_t info_us(const char *info, const char *name)
{
    quern_bytes field = info_field(info, name);
    if (!field.len) return -1;
    int64_t us = info_number(info, name, 0) * 1000000, digit_us = 100000;
    const char *dot = memchr(field.at, '.', field.len);
    for (const char *at = dot ? dot + 1 : NULL; at && at < field.at + field.len && digit_us; at++, digit_us /= 10) {
        if (*at < '0' || *at > '9') break;
        us += (*at - '0') * digit_us;
    }
    return us;
}
