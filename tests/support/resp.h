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

/* Bytes that a reader receives, from *taken on, as far as it asks for them. What its reader_next() says at last. */
static inline int resp_receive(struct reader *reader, const char *bytes, size_t len, size_t *taken, const struct reply **reply)
{
    int is_whole;
    while ((is_whole = reader_next(reader, reply)) == 0 && *taken < len) {
        size_t room;
        char *at = reader_room(reader, &room);
        assert_non_null(at);
        if (room > len - *taken) room = len - *taken;
        memcpy(at, bytes + *taken, room);
        reader_took(reader, room);
        *taken += room;
    }
    return is_whole;
}

/* The same for bytes that are all there is. */
static inline int resp_read(struct reader *reader, const char *bytes, size_t len, const struct reply **reply)
{
    size_t taken = 0;
    return resp_receive(reader, bytes, len, &taken, reply);
}

static inline void resp_free(struct resp *resp)
{
    free(resp->bytes);
    *resp = (struct resp){0};
}

#endif
