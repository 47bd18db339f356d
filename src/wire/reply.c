/* SPDX-License-Identifier: MIT */
#include "wire/reply.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { ITEMS_MAX = 1100000, NESTING_MAX = 7, LINE_MAX = 32 * 1024 /* within one chunk */, DIGITS_MAX = 19 };
static const size_t text_max = (size_t)512 << 20;

/* An array that is not whole yet. */
struct level {
    struct reply *items;
    uint32_t count, next;
};

struct reader {
    struct arena arena;
    struct reply root;
    struct level levels[NESTING_MAX];
    uint32_t depth;
    bool is_open;                      /* a reply is being read: the arena holds it */
    bool is_broken;                    /* what came is not the protocol: there is no way to go on */
    uint64_t items;                    /* of all its arrays together, announced so far */
    uint64_t received, begun_at, size; /* bytes: in all, before this reply, of the last one */
    size_t lacking;                    /* so many bytes more, at least, until the next value is whole */
};

/* How far a value was read. */
enum step { STEP_WHOLE, STEP_BEGUN /* an array: its items follow */, STEP_LACKING, STEP_WRONG };

struct reader *reader_open(struct chunk_pool *pool)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader) arena_open(&reader->arena, pool);
    return reader;
}

void reader_close(struct reader *reader)
{
    if (!reader) return;
    arena_close(&reader->arena);
    free(reader);
}

char *reader_room(struct reader *reader, size_t *len)
{
    return arena_room(&reader->arena, reader->lacking, len);
}

void reader_took(struct reader *reader, size_t len)
{
    arena_took(&reader->arena, len);
    reader->received += len;
}

void reader_drop(struct reader *reader)
{
    if (!reader->is_open) arena_advance(&reader->arena);
}

/* ── one value ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct level *top_of(struct reader *reader)
{
    return &reader->levels[reader->depth - 1];
}

/* Its place in its array. */
static struct reply *place_of(struct reader *reader)
{
    if (!reader->depth) return &reader->root;
    struct level *level = top_of(reader);
    return &level->items[level->next];
}

static enum step lack(struct reader *reader, size_t bytes)
{
    reader->lacking = bytes;
    return STEP_LACKING;
}

/* A value was read up to here. */
static enum step step_over(struct reader *reader, char *rest)
{
    reader->arena.unread = rest;
    return STEP_WHOLE;
}

/* Digits and CR LF, from at on; *rest: what is behind them. What was received ends in a NUL, which is neither. */
static enum step read_count(struct reader *reader, char *at, uint64_t *count, char **rest)
{
    char *first = at;
    uint64_t got = 0;
    for (unsigned digit; (digit = (unsigned char)*at - (unsigned)'0') <= 9; at++) got = got * 10 + digit;
    size_t left = (size_t)(reader->arena.end - at);
    if (at - first > DIGITS_MAX) return STEP_WRONG;
    if (left < 2 && (left == 0 || *at == '\r')) return lack(reader, 2 - left);
    if (at == first || at[0] != '\r' || at[1] != '\n') return STEP_WRONG;
    *count = got;
    *rest = at + 2;
    return STEP_WHOLE;
}

/* "-1" and CR LF, in place of a count. */
static enum step read_nil(struct reader *reader, char *at)
{
    static const char nil[] = "-1\r\n";
    size_t left = (size_t)(reader->arena.end - at), len = sizeof nil - 1;
    if (memcmp(at, nil, left < len ? left : len) != 0) return STEP_WRONG;
    if (left < len) return lack(reader, len - left);
    *place_of(reader) = (struct reply){.type = REPLY_NIL};
    return step_over(reader, at + len);
}

/* It stays where it came; only its CR becomes the NUL behind it. */
static enum step read_text(struct reader *reader, char *at)
{
    uint64_t len;
    char *text;
    if (*at == '-') return read_nil(reader, at);
    enum step step = read_count(reader, at, &len, &text);
    if (step != STEP_WHOLE) return step;
    if (len > text_max) return STEP_WRONG;
    size_t left = (size_t)(reader->arena.end - text);
    if (left < len + 2) return lack(reader, len + 2 - left);
    if (text[len] != '\r' || text[len + 1] != '\n') return STEP_WRONG;
    text[len] = 0;
    *place_of(reader) = (struct reply){.type = REPLY_TEXT, .count = (uint32_t)len, .text = text};
    return step_over(reader, text + len + 2);
}

static enum step read_array(struct reader *reader, char *at)
{
    uint64_t count;
    char *rest;
    if (*at == '-') return read_nil(reader, at);
    enum step step = read_count(reader, at, &count, &rest);
    if (step != STEP_WHOLE) return step;
    bool is_bounded = count <= ITEMS_MAX && (reader->items += count) <= ITEMS_MAX && reader->depth < NESTING_MAX;
    if (!is_bounded) return STEP_WRONG;
    reader->arena.unread = rest; /* before the arena may move what is unread */
    struct reply *items = arena_alloc(&reader->arena, count * sizeof *items);
    if (!items) return STEP_WRONG;
    *place_of(reader) = (struct reply){.type = REPLY_ARRAY, .count = (uint32_t)count, .items = items};
    if (!count) return STEP_WHOLE;
    reader->levels[reader->depth++] = (struct level){.items = items, .count = (uint32_t)count};
    return STEP_BEGUN;
}

/* The line from at on; *len: without CR LF, in whose place a NUL comes. */
static enum step read_line(struct reader *reader, char *at, size_t *len)
{
    size_t left = (size_t)(reader->arena.end - at);
    char *end = memchr(at, '\r', left);
    if (!end && left > LINE_MAX) return STEP_WRONG;
    if (!end || end + 1 == reader->arena.end) return lack(reader, 1);
    if (end[1] != '\n') return STEP_WRONG;
    *end = 0;
    *len = (size_t)(end - at);
    return step_over(reader, end + 2);
}

static enum step read_words(struct reader *reader, char *at, enum reply_type type)
{
    size_t len;
    enum step step = read_line(reader, at, &len);
    if (step == STEP_WHOLE) *place_of(reader) = (struct reply){.type = type, .count = (uint32_t)len, .text = at};
    return step;
}

static enum step read_integer(struct reader *reader, char *at)
{
    size_t len;
    uint64_t got;
    enum step step = read_line(reader, at, &len);
    if (step != STEP_WHOLE) return step;
    bool is_negative = *at == '-';
    if (!bytes_number((quern_bytes){at + is_negative, len - is_negative}, &got) || got > (uint64_t)INT64_MAX + is_negative)
        return STEP_WRONG;
    *place_of(reader) = (struct reply){.type = REPLY_INTEGER, .number = (int64_t)(is_negative ? -got : got)};
    return STEP_WHOLE;
}

static enum step read_value(struct reader *reader)
{
    char *at = reader->arena.unread;
    if (at == reader->arena.end) return lack(reader, 1);
    switch (*at) {
    case '$':
        return read_text(reader, at + 1);
    case '*':
        return read_array(reader, at + 1);
    case ':':
        return read_integer(reader, at + 1);
    case '+':
        return read_words(reader, at + 1, REPLY_STATUS);
    case '-':
        return read_words(reader, at + 1, REPLY_ERROR);
    default:
        return STEP_WRONG; /* or RESP3, which is never asked for */
    }
}

/* ── a whole reply ───────────────────────────────────────────────────────────────────────────────────────────────── */

/* The texts that come next in an array, as long as there is nothing unusual about one: nearly all that ever comes. What it stops at,
 * read_value() looks at again, and says what it is. */
static void read_texts(struct reader *reader, struct level *level)
{
    char *at = reader->arena.unread, *end = reader->arena.end;
    for (; level->next < level->count && *at == '$'; level->next++) {
        char *digits = at + 1, *text;
        size_t len = 0;
        for (unsigned digit; (digit = (unsigned char)*digits - (unsigned)'0') <= 9; digits++) len = len * 10 + digit;
        text = digits + 2;
        bool is_plain = digits != at + 1 && digits - at < DIGITS_MAX && text <= end && memcmp(digits, "\r\n", 2) == 0 &&
                        (size_t)(end - text) >= len + 2 && memcmp(text + len, "\r\n", 2) == 0 && len <= text_max;
        if (!is_plain) break;
        text[len] = 0;
        level->items[level->next] = (struct reply){.type = REPLY_TEXT, .count = (uint32_t)len, .text = text};
        at = text + len + 2;
    }
    reader->arena.unread = at;
}

/* Arrays that have all their items are items themselves. True: so is the reply whole. */
static bool close_arrays(struct reader *reader)
{
    while (reader->depth && top_of(reader)->next == top_of(reader)->count)
        if (--reader->depth) top_of(reader)->next++;
    return !reader->depth;
}

static enum step read_reply(struct reader *reader)
{
    for (;;) {
        enum step step = read_value(reader);
        if (step == STEP_LACKING || step == STEP_WRONG) return step;
        if (step == STEP_WHOLE && reader->depth) top_of(reader)->next++;
        if (reader->depth) read_texts(reader, top_of(reader));
        if (close_arrays(reader)) return STEP_WHOLE;
    }
}

/* So many of the bytes that have come so far were read. */
static uint64_t bytes_read(const struct reader *reader)
{
    return reader->received - (uint64_t)(reader->arena.end - reader->arena.unread);
}

static void begin(struct reader *reader)
{
    arena_advance(&reader->arena);
    reader->is_open = true;
    reader->items = 0;
    reader->depth = 0;
    reader->begun_at = bytes_read(reader);
}

int reader_next(struct reader *reader, const struct reply **reply)
{
    if (reader->is_broken) return -1;
    if (!reader->is_open) begin(reader);
    enum step step = read_reply(reader);
    if (step == STEP_LACKING) return 0;
    reader->is_broken = step == STEP_WRONG;
    if (reader->is_broken) return -1;
    reader->is_open = false; /* the next call lets go of it */
    reader->size = bytes_read(reader) - reader->begun_at;
    *reply = &reader->root;
    return 1;
}

uint64_t reader_size(const struct reader *reader)
{
    return reader->size;
}

/* ── looking at replies ──────────────────────────────────────────────────────────────────────────────────────────── */

static const struct reply nil_reply = {.type = REPLY_NIL};

int64_t reply_number(const struct reply *reply, int64_t fallback)
{
    uint64_t number;
    if (reply->type == REPLY_INTEGER) return reply->number;
    if (reply->type == REPLY_TEXT && bytes_number(reply_bytes(reply), &number) && number <= INT64_MAX) return (int64_t)number;
    return fallback;
}

int64_t reply_whole(const struct reply *reply, int64_t fallback)
{
    uint64_t number;
    quern_bytes text = reply_bytes(reply);
    const char *point = text.len ? memchr(text.at, '.', text.len) : NULL;
    if (!reply_is_text(reply) || !point) return reply_number(reply, fallback);
    bool is_number = bytes_number((quern_bytes){text.at, (size_t)(point - text.at)}, &number) && number <= INT64_MAX;
    return is_number ? (int64_t)number : fallback;
}

const struct reply *reply_item(const struct reply *reply, uint32_t i)
{
    return reply->type == REPLY_ARRAY && i < reply->count ? &reply->items[i] : &nil_reply;
}

const struct reply *reply_field(const struct reply *reply, const char *name)
{
    uint32_t i = 0;
    while (reply->type == REPLY_ARRAY && i + 1 < reply->count && !bytes_is(reply_bytes(&reply->items[i]), name)) i += 2;
    return reply_item(reply, i + 1);
}

bool reply_is_error(const struct reply *reply, const char *code)
{
    size_t len = strlen(code);
    return reply->type == REPLY_ERROR && reply->count >= len && memcmp(reply->text, code, len) == 0 &&
           (reply->count == len || reply->text[len] == ' ');
}
