/* SPDX-License-Identifier: MIT */
#include "wire/reply.h"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { ITEMS_MAX = 1100000, NESTING_MAX = 7 };
static const size_t text_max = (size_t)512 << 20;

struct reader {
    struct redisReader *parser;
    struct arena arena;
    bool is_open;   /* a reply is being built: the arena holds it */
    uint64_t items; /* of all its arrays together, announced so far */
};

/* The node of the value that is being read: its place in its array, or one of its own. */
static struct reply *node_of(const redisReadTask *task)
{
    struct reader *reader = task->privdata;
    if (task->parent) return (struct reply *)(uintptr_t)((struct reply *)task->parent->obj)->items + task->idx;
    return arena_alloc(&reader->arena, sizeof(struct reply), _Alignof(struct reply));
}

/* How many arrays lie around the value. Counted here: newer parsers go down as far as memory lasts. */
static int depth_of(const redisReadTask *task)
{
    int depth = 0;
    while ((task = task->parent)) depth++;
    return depth;
}

static void *make_text(const redisReadTask *task, char *bytes, size_t len)
{
    struct reader *reader = task->privdata;
    bool is_known = task->type == REDIS_REPLY_STRING || task->type == REDIS_REPLY_STATUS || task->type == REDIS_REPLY_ERROR;
    if (!is_known) return NULL;
    struct reply *node = node_of(task);
    char *copy = node && len <= text_max ? arena_alloc(&reader->arena, len + 1, 1) : NULL;
    if (!copy) return NULL;
    memcpy(copy, bytes, len);
    copy[len] = 0;
    node->type = task->type == REDIS_REPLY_ERROR ? REPLY_ERROR : task->type == REDIS_REPLY_STATUS ? REPLY_STATUS : REPLY_TEXT;
    node->count = (uint32_t)len;
    node->text = copy;
    return node;
}

static void *make_array_of(const redisReadTask *task, uint64_t count)
{
    struct reader *reader = task->privdata;
    bool is_bounded = count <= ITEMS_MAX && (reader->items += count) <= ITEMS_MAX && depth_of(task) < NESTING_MAX;
    struct reply *node = task->type == REDIS_REPLY_ARRAY && is_bounded ? node_of(task) : NULL;
    if (!node) return NULL;
    struct reply *items = arena_alloc(&reader->arena, count * sizeof *items, _Alignof(struct reply));
    if (!items) return NULL;
    *node = (struct reply){.type = REPLY_ARRAY, .count = (uint32_t)count, .items = items};
    return node;
}

#if HIREDIS_MAJOR >= 1
static void *make_array(const redisReadTask *task, size_t count)
{
    return make_array_of(task, count);
}
#else
static void *make_array(const redisReadTask *task, int count)
{
    return make_array_of(task, count < 0 ? UINT64_MAX : (uint64_t)count);
}
#endif

static void *make_integer(const redisReadTask *task, long long number)
{
    struct reply *node = node_of(task);
    if (node) *node = (struct reply){.type = REPLY_INTEGER, .number = number};
    return node;
}

/* hiredis 0.14 calls this for *-1 too, with the type of an array: the type is therefore not looked at. */
static void *make_nil(const redisReadTask *task)
{
    struct reply *node = node_of(task);
    if (node) *node = (struct reply){.type = REPLY_NIL};
    return node;
}

/* Nodes belong to the arena. */
static void forget(void *node)
{
    (void)node;
}

#if HIREDIS_MAJOR >= 1
/* RESP3, which is never asked for. Without functions hiredis would hand out numbers as if they were pointers. */
static void *refuse_double(const redisReadTask *task, double number, char *text, size_t len)
{
    (void)task, (void)number, (void)text, (void)len;
    return NULL;
}

static void *refuse_bool(const redisReadTask *task, int value)
{
    (void)task, (void)value;
    return NULL;
}
#endif

/* Not const: hiredis 0.14 asks for a pointer to what it only reads. */
static redisReplyObjectFunctions functions = {
    .createString = make_text,
    .createArray = make_array,
    .createInteger = make_integer,
#if HIREDIS_MAJOR >= 1
    .createDouble = refuse_double,
    .createBool = refuse_bool,
#endif
    .createNil = make_nil,
    .freeObject = forget,
};

struct reader *reader_open(struct chunk_pool *pool)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    if (!(reader->parser = redisReaderCreateWithFunctions(&functions))) return free(reader), NULL;
    reader->parser->maxbuf = 0;
    reader->parser->privdata = reader;
    arena_open(&reader->arena, pool);
    return reader;
}

void reader_close(struct reader *reader)
{
    if (!reader) return;
    redisReaderFree(reader->parser);
    arena_close(&reader->arena);
    free(reader);
}

bool reader_feed(struct reader *reader, const char *bytes, size_t len)
{
    if (reader->parser->len - reader->parser->pos > text_max) return false;
    return redisReaderFeed(reader->parser, bytes, len) == REDIS_OK;
}

void reader_drop(struct reader *reader)
{
    if (!reader->is_open) arena_advance(&reader->arena);
}

int reader_next(struct reader *reader, const struct reply **reply)
{
    void *made = NULL;
    if (!reader->is_open) {
        arena_advance(&reader->arena);
        reader->is_open = true;
        reader->items = 0;
    }
    if (redisReaderGetReply(reader->parser, &made) != REDIS_OK) return -1;
    if (!made) return 0;
    reader->is_open = false; /* the next call lets go of it */
    *reply = made;
    return 1;
}

static const struct reply nil_reply = {.type = REPLY_NIL};

quern_bytes reply_bytes(const struct reply *reply)
{
    bool has_text = reply->type == REPLY_TEXT || reply->type == REPLY_STATUS || reply->type == REPLY_ERROR;
    return has_text ? (quern_bytes){reply->text, reply->count} : (quern_bytes){NULL, 0};
}

int64_t reply_number(const struct reply *reply, int64_t fallback)
{
    uint64_t number;
    if (reply->type == REPLY_INTEGER) return reply->number;
    if (reply->type == REPLY_TEXT && bytes_number(reply_bytes(reply), &number) && number <= INT64_MAX) return (int64_t)number;
    return fallback;
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
