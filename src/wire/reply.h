/* SPDX-License-Identifier: MIT */

/* wire/reply: what Redis answered, as a tree of small nodes.
 * Idea       hiredis's reader does the parsing; its object functions are ours and lay nodes and bytes into an arena. An array's
 *            nodes lie side by side, 16 bytes each, and a NUL stands behind every text.
 * Invariant  nesting is at most 7, a reply's arrays have at most 1.1 million items together (one entry may have 2^20), a text at most 512 MiB: more is a protocol error.
 * Threads    the connection's owner. A reply is lent until the next one is asked for; spans (base/arena) keep parts of it.
 * Never      knows a socket. */
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
quern_bytes reply_bytes(const struct reply *reply);
/* An integer, or a text that is one; fallback for anything else. */
int64_t reply_number(const struct reply *reply, int64_t fallback);
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
/* Takes bytes as they come. false: no memory, or more than a reply may have; the connection is then lost. */
bool reader_feed(struct reader *reader, const char *bytes, size_t len) QUERN_MUST_USE;
/* Lets go of the last reply before the next one is there: what no span holds is free at once. */
void reader_drop(struct reader *reader);
/* 1: *reply is whole, lent until the next call; 0: more bytes are needed; -1: not Redis's protocol, or no memory. */
int reader_next(struct reader *reader, const struct reply **reply) QUERN_MUST_USE;

#endif
