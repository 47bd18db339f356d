/* SPDX-License-Identifier: MIT */

/* tests/support/resp: answers as Redis would write them, and what a parser makes of them. */
#ifndef QUERN_TESTS_SUPPORT_RESP_H
#define QUERN_TESTS_SUPPORT_RESP_H

#include "support/unit.h"
#include "wire/reply.h"

struct resp {
    char *bytes;
    size_t len, capacity;
};

static inline void resp_raw(struct resp *resp, const void *bytes, size_t len)
{
    if (resp->len + len > resp->capacity) {
        resp->capacity = 2 * (resp->len + len);
        resp->bytes = realloc(resp->bytes, resp->capacity);
        assert_non_null(resp->bytes);
    }
    if (len) memcpy(resp->bytes + resp->len, bytes, len);
    resp->len += len;
}

/* "*3", ":7", "+OK", "-ERR no" … and CR LF. */
static inline void resp_line(struct resp *resp, char type, const char *text)
{
    resp_raw(resp, &type, 1);
    resp_raw(resp, text, strlen(text));
    resp_raw(resp, "\r\n", 2);
}

static inline void resp_head(struct resp *resp, char type, long long number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", number);
    resp_line(resp, type, text);
}

static inline void resp_bulk(struct resp *resp, quern_bytes bytes)
{
    resp_head(resp, '$', (long long)bytes.len);
    resp_raw(resp, bytes.at, bytes.len);
    resp_raw(resp, "\r\n", 2);
}

/* [id, [texts …]]; a text whose at is NULL becomes a nil. */
static inline void resp_entry(struct resp *resp, const char *id, const quern_bytes *texts, size_t count)
{
    resp_head(resp, '*', 2);
    resp_bulk(resp, bytes_of(id));
    resp_head(resp, '*', (long long)count);
    for (size_t i = 0; i < count; i++)
        if (texts[i].at)
            resp_bulk(resp, texts[i]);
        else
            resp_line(resp, '$', "-1");
}

static inline void resp_free(struct resp *resp)
{
    free(resp->bytes);
    *resp = (struct resp){0};
}

#endif
