/* SPDX-License-Identifier: MIT */
#include "job/packed.h"

#include <stdlib.h>
#include <string.h>

/* What is left to be read. */
struct rest {
    const unsigned char *at;
    size_t len;
};

/* A number of so many bytes, the highest first. */
static bool read_number(struct rest *rest, size_t bytes, size_t *number)
{
    if (rest->len < bytes) return false;
    *number = 0;
    for (size_t i = 0; i < bytes; i++) *number = *number << 8 | rest->at[i];
    rest->at += bytes;
    rest->len -= bytes;
    return true;
}

static bool read_count(struct rest *rest, size_t *count)
{
    size_t mark;
    if (!read_number(rest, 1, &mark)) return false;
    *count = mark & 0x0f;
    return (mark & 0xf0) == 0x90 || (mark == 0xdc && read_number(rest, 2, count)) ||
           (mark == 0xdd && read_number(rest, 4, count));
}

/* A text, or bytes. */
static bool read_text(struct rest *rest, quern_bytes *text)
{
    size_t mark, len;
    if (!read_number(rest, 1, &mark)) return false;
    len = mark & 0x1f;
    bool is_text = (mark & 0xe0) == 0xa0 || ((mark == 0xd9 || mark == 0xc4) && read_number(rest, 1, &len)) ||
                   ((mark == 0xda || mark == 0xc5) && read_number(rest, 2, &len)) ||
                   ((mark == 0xdb || mark == 0xc6) && read_number(rest, 4, &len));
    if (!is_text || len > rest->len) return false;
    *text = (quern_bytes){(const char *)rest->at, len};
    rest->at += len;
    rest->len -= len;
    return true;
}

/* Each text takes at least the byte of its mark, so there is room for all of them and their NULs. */
static bool read_texts(struct rest *rest, struct reply *fields, size_t count, char *to)
{
    quern_bytes text;
    for (size_t i = 0; i < count; i++) {
        if (!read_text(rest, &text)) return false;
        memcpy(to, text.at, text.len);
        to[text.len] = 0;
        fields[i] = (struct reply){.type = REPLY_TEXT, .count = (uint32_t)text.len, .text = to};
        to += text.len + 1;
    }
    return rest->len == 0;
}

bool packed_read(struct packed *packed, quern_bytes text)
{
    struct rest rest = {(const unsigned char *)text.at, text.at ? text.len : 0};
    size_t count;
    if (!read_count(&rest, &count) || count % 2 || count > rest.len) return false;
    struct reply *fields = malloc(count * sizeof *fields + rest.len + 1);
    if (!fields) return false;
    if (!read_texts(&rest, fields, count, (char *)(fields + count))) {
        free(fields);
        return false;
    }
    packed->block = fields;
    packed->fields = (struct reply){.type = REPLY_ARRAY, .count = (uint32_t)count, .items = fields};
    return true;
}

void packed_free(struct packed *packed)
{
    free(packed->block);
    packed->block = NULL;
}
