/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The owner's own stake in a chunk. Spans are lent out of it, so that whoever lends one counts by itself, and only who gives one back
 * touches the count that all share. */
#define STAKE (UINT32_C(1) << 31)
enum { CACHE_LINE = 64, ROOM_LEAST = 8 * 1024 /* less is not worth a system call */ };

struct chunk {
    size_t size;        /* header included */
    struct chunk *next; /* written by the arena's owner before a span can reach it; in the pool: the next free one */
    struct chunk_pool *pool;
    uint32_t lent;                                 /* arena's owner only */
    _Alignas(CACHE_LINE) _Atomic uint32_t holders; /* the stake and what was lent of it, less what came back */
    _Alignas(CACHE_LINE) char bytes[];
};

struct chunk_pool {
    pthread_mutex_t lock; /* guards the rest; a leaf */
    struct chunk *free;
    unsigned free_count, keep_max;
    _Atomic int64_t used_bytes; /* not under the lock: read for bounds and statistics */
};

struct chunk_pool *chunk_pool_open(unsigned keep_max)
{
    struct chunk_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pool->keep_max = keep_max;
    return pool;
}

void chunk_pool_close(struct chunk_pool *pool)
{
    if (!pool) return;
    assert(pool->used_bytes == 0);
    for (struct chunk *chunk = pool->free, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int64_t chunk_pool_used_bytes(struct chunk_pool *pool)
{
    return atomic_load_explicit(&pool->used_bytes, memory_order_relaxed);
}

static struct chunk *pool_take(struct chunk_pool *pool, size_t size)
{
    struct chunk *chunk = NULL;
    pthread_mutex_lock(&pool->lock);
    if (size == CHUNK_BYTES && (chunk = pool->free)) {
        pool->free = chunk->next;
        pool->free_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    return chunk ? chunk : aligned_alloc(CHUNK_BYTES, (size + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES);
}

/* With room for that many bytes. One that is larger than usual serves a single object and is not kept. */
static struct chunk *chunk_open(struct chunk_pool *pool, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t size = bytes <= CHUNK_BYTES - sizeof(struct chunk) ? CHUNK_BYTES : sizeof(struct chunk) + bytes;
    struct chunk *chunk = pool_take(pool, size);
    if (!chunk) return NULL;
    atomic_init(&chunk->holders, STAKE);
    chunk->lent = 0;
    chunk->size = size;
    chunk->next = NULL;
    chunk->pool = pool;
    atomic_fetch_add_explicit(&pool->used_bytes, (int64_t)size, memory_order_relaxed);
    return chunk;
}

static void chunk_close(struct chunk *chunk)
{
    struct chunk_pool *pool = chunk->pool;
    atomic_fetch_sub_explicit(&pool->used_bytes, (int64_t)chunk->size, memory_order_relaxed);
    pthread_mutex_lock(&pool->lock);
    bool keep = chunk->size == CHUNK_BYTES && pool->free_count < pool->keep_max;
    if (keep) {
        chunk->next = pool->free;
        pool->free = chunk;
        pool->free_count++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!keep) free(chunk);
}

/* Gives so many counts back. */
static void chunk_release(struct chunk *chunk, uint32_t count)
{
    /* acq_rel: whoever lets go last sees every use before it ends, pairs with the other releases */
    if (atomic_fetch_sub_explicit(&chunk->holders, count, memory_order_acq_rel) == count) chunk_close(chunk);
}

static char *limit_of(struct chunk *chunk)
{
    return (char *)chunk + chunk->size;
}

/* ── the arena ───────────────────────────────────────────────────────────────────────────────────────────────────── */

void arena_open(struct arena *arena, struct chunk_pool *pool)
{
    *arena = (struct arena){.pool = pool};
}

static void release_until(struct arena *arena, const struct chunk *end)
{
    while (arena->first != end) {
        struct chunk *chunk = arena->first;
        arena->first = chunk->next;
        chunk_release(chunk, STAKE - chunk->lent);
    }
}

void arena_close(struct arena *arena)
{
    release_until(arena, NULL);
    arena_open(arena, arena->pool);
}

/* Everything lent has come back. */
static bool is_alone(const struct chunk *chunk)
{
    return atomic_load_explicit(&chunk->holders, memory_order_acquire) == STAKE - chunk->lent;
}

void arena_advance(struct arena *arena)
{
    release_until(arena, arena->last);
    struct chunk *chunk = arena->last;
    if (!chunk || !is_alone(chunk)) return;
    bool has_unread = arena->unread != arena->end;
    if (chunk->size > CHUNK_BYTES) {
        if (!has_unread) arena_close(arena); /* too dear to keep */
        return;
    }
    atomic_store_explicit(&chunk->holders, STAKE, memory_order_relaxed); /* nobody else has it */
    chunk->lent = 0;
    arena->top = limit_of(chunk);
    if (!has_unread) arena->unread = arena->end = chunk->bytes;
    *arena->end = 0;
}

static struct chunk *add_chunk(struct arena *arena, size_t bytes)
{
    struct chunk *chunk = chunk_open(arena->pool, bytes);
    if (!chunk) return NULL;
    if (arena->last)
        arena->last->next = chunk;
    else
        arena->first = chunk;
    return arena->last = chunk;
}

/* Goes on in a new chunk, with room for so many bytes behind what is unread. */
static bool turn(struct arena *arena, size_t bytes)
{
    size_t unread = (size_t)(arena->end - arena->unread);
    struct chunk *chunk = add_chunk(arena, unread + bytes + 1);
    if (!chunk) return false;
    if (unread) memcpy(chunk->bytes, arena->unread, unread);
    arena->unread = chunk->bytes;
    arena->end = chunk->bytes + unread;
    *arena->end = 0;
    arena->top = limit_of(chunk);
    return true;
}

static size_t room_of(const struct arena *arena)
{
    return arena->last ? (size_t)(arena->top - arena->end) - 1 : 0; /* less the NUL */
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 4) return NULL;
    size = size ? (size + 15) & ~(size_t)15 : 16;
    if (size <= room_of(arena)) return arena->top -= size;
    if (sizeof(struct chunk) + (size_t)(arena->end - arena->unread) + size < CHUNK_BYTES)
        return turn(arena, size) ? arena->top -= size : NULL;
    struct chunk *chunk =
        add_chunk(arena, size); /* alone in its chunk, from the beginning; the next one takes what is unread */
    return chunk && turn(arena, 0) ? chunk->bytes : NULL;
}

/* Nothing was read or laid out in its last chunk. */
static bool is_fresh(const struct arena *arena)
{
    return arena->unread == arena->last->bytes && arena->top == limit_of(arena->last);
}

char *arena_room(struct arena *arena, size_t least, size_t *len)
{
    size_t room = room_of(arena);
    bool goes_on = room > 0 && room >= least && (room >= ROOM_LEAST || is_fresh(arena));
    if (least > SIZE_MAX / 4 || (!goes_on && !turn(arena, least ? least : 1))) return NULL;
    room = room_of(arena);
    /* Some of it is for what will be laid out: of small texts nearly as much as they are, of large ones hardly any. Of a whole chunk its
     * first half is received, which leaves enough for either; what is wrong about the rest is mended by turning. */
    size_t most = room > CHUNK_BYTES / 2 ? CHUNK_BYTES / 2 : room / 4 * 3;
    *len = arena->last->size > CHUNK_BYTES || most < least ? room : most;
    return arena->end;
}

void arena_took(struct arena *arena, size_t len)
{
    arena->end += len;
    *arena->end = 0;
}

/* ── spans ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct chunk *chunk_of(const void *object)
{
    return (struct chunk *)((uintptr_t)object & ~(uintptr_t)(CHUNK_BYTES - 1));
}

struct span span_hold(const void *first_object, const void *last_object)
{
    struct span span = {chunk_of(first_object), chunk_of(last_object)};
    for (struct chunk *chunk = span.first;; chunk = chunk->next) {
        chunk->lent++;
        if (chunk == span.last) return span;
    }
}

void span_release(struct span *span)
{
    struct chunk *last = span->last;
    for (struct chunk *chunk = span->first, *next; chunk; chunk = next) {
        next = chunk == last ? NULL : chunk->next; /* read before it can go */
        chunk_release(chunk, 1);
    }
    *span = (struct span){0};
}
