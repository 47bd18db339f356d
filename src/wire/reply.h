/* SPDX-License-Identifier: MIT */

/* wire/reply: what Redis answered, as a tree of small nodes.
 * Idea       a reader of our own for the five types of RESP2, in one pass: texts stay where they were received (base/arena), so that a job's
 *            bytes are written once, by the kernel; an array's nodes lie side by side, 16 bytes each. hiredis's reader, which copies each
 *            text twice and asks for each value, took three times the instructions (README, How it works); the tests hold ours against it.
 * Invariant  a NUL stands behind every text. Nesting is at most 7, a reply's arrays have at most 1.1 million items together (one entry may
 *            have 2^20), a text at most 512 MiB: more is a protocol error.
 * Threads    the connection's owner. A reply is lent until the next one is asked for; spans (base/arena) keep items of
 *            its arrays.
 * Never      knows a socket; recurses. */
#ifndef QUERN_WIRE_REPLY_H
#define QUERN_WIRE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "quern.h"

enum reply_type { REPLY_NIL, REPLY_TEXT, REPLY_STATUS, REPLY_ERROR, REPLY_INTEGER, REPLY_ARRAY };

struct reply {
    uint32_t type;  /* enum reply_type */
    uint32_t count; /* bytes of a text, status or error; items of an array */
    union {
        const char *text;
        const struct reply *items;
        int64_t number;
    };
};

static inline bool reply_is_text(const struct reply *reply)
{
    return reply->type == REPLY_TEXT || reply->type == REPLY_STATUS;
}

/* A text, status or error's bytes; {NULL, 0} for anything else. */
static inline quern_bytes reply_bytes(const struct reply *reply)
{
    bool has_text = reply->type == REPLY_TEXT || reply->type == REPLY_STATUS || reply->type == REPLY_ERROR;
    return has_text ? (quern_bytes){reply->text, reply->count} : (quern_bytes){NULL, 0};
}

/* An integer, or a text that is one; fallback for anything else. */
int64_t reply_number(const struct reply *reply, int64_t fallback);
/* Likewise; of a number with a point, as a zset's score may be, what stands before it. */
int64_t reply_whole(const struct reply *reply, int64_t fallback);
/* The i-th item of an array; a nil reply if there is none. Never NULL. */
const struct reply *reply_item(const struct reply *reply, uint32_t i);
/* The value behind a name in an array of names and values; a nil reply: it is not there. Never NULL. */
const struct reply *reply_field(const struct reply *reply, const char *name);
/* Does an error begin with this code, such as "NOSCRIPT"? */
bool reply_is_error(const struct reply *reply, const char *code);

/* The parser. */
struct reader;
/* Nodes go into chunks of pool, which must outlive the reader. Gives; NULL: no memory. */
struct reader *reader_open(struct chunk_pool *pool);
void reader_close(struct reader *reader);
/* Where the next bytes are to be received, *len at most, once reader_next() has asked for more; NULL: no memory. */
char *reader_room(struct reader *reader, size_t *len);
/* So many of them came. */
void reader_took(struct reader *reader, size_t len);
/* Lets go of the last reply before the next one is there: what no span holds is free at once. */
void reader_drop(struct reader *reader);
/* 1: *reply is whole, lent until the next call; 0: more bytes are needed; -1: not Redis's protocol, or no memory. */
int reader_next(struct reader *reader, const struct reply **reply) QUERN_MUST_USE;
/* How many bytes the last whole reply took. */
uint64_t reader_size(const struct reader *reader);

#endif
