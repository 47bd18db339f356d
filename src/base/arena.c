/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct chunk {
    _Atomic uint32_t holders; /* the arena, and each span over it */
    size_t size, used;        /* header included; used: arena's owner only */
    struct chunk *next;       /* written by the arena's owner before a span can reach it; in the pool: the next free one */
    struct chunk_pool *pool;
    _Alignas(16) char bytes[];
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

/* A chunk with room for size bytes. One that is larger than usual serves a single object and is not kept. */
static size_t chunk_size_for(size_t size)
{
    return size <= CHUNK_BYTES - sizeof(struct chunk) ? CHUNK_BYTES : sizeof(struct chunk) + size;
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

static struct chunk *chunk_open(struct chunk_pool *pool, size_t object_size)
{
    size_t size = chunk_size_for(object_size);
    struct chunk *chunk = pool_take(pool, size);
    if (!chunk) return NULL;
    atomic_init(&chunk->holders, 1);
    chunk->size = size;
    chunk->used = sizeof *chunk;
    chunk->next = NULL;
    chunk->pool = pool;
    atomic_fetch_add_explicit(&pool->used_bytes, (int64_t)size, memory_order_relaxed);
    return chunk;
}

static void chunk_release(struct chunk *chunk)
{
    /* acq_rel: whoever lets go last sees every use before it ends, pairs with the other releases */
    if (atomic_fetch_sub_explicit(&chunk->holders, 1, memory_order_acq_rel) != 1) return;
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

void arena_open(struct arena *arena, struct chunk_pool *pool)
{
    *arena = (struct arena){.pool = pool};
}

static void release_until(struct arena *arena, struct chunk *end)
{
    while (arena->first != end) {
        struct chunk *chunk = arena->first;
        arena->first = chunk->next;
        chunk_release(chunk);
    }
}

void arena_close(struct arena *arena)
{
    release_until(arena, NULL);
    arena->last = NULL;
}

void arena_advance(struct arena *arena)
{
    release_until(arena, arena->last);
    struct chunk *chunk = arena->last;
    if (!chunk) return;
    if (chunk->size > CHUNK_BYTES)
        arena_close(arena); /* a large one is full, and too dear to keep */
    else if (atomic_load_explicit(&chunk->holders, memory_order_acquire) == 1)
        chunk->used = sizeof *chunk;
}

void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
    struct chunk *chunk = arena->last;
    size_t at = chunk ? (chunk->used + align - 1) & ~(align - 1) : 0;
    /* an object of size 0 at the very end would lie in the next chunk's addresses: it needs a byte too */
    if (!size) size = 1;
    if (!chunk || size > chunk->size || at > chunk->size - size || at >= CHUNK_BYTES) {
        if (!(chunk = chunk_open(arena->pool, size))) return NULL;
        if (arena->last)
            arena->last->next = chunk;
        else
            arena->first = chunk;
        arena->last = chunk;
        at = (chunk->used + align - 1) & ~(align - 1);
    }
    chunk->used = at + size;
    return (char *)chunk + at;
}

static struct chunk *chunk_of(const void *object)
{
    return (struct chunk *)((uintptr_t)object & ~(uintptr_t)(CHUNK_BYTES - 1));
}

struct span span_hold(const void *first_object, const void *last_object)
{
    struct span span = {chunk_of(first_object), chunk_of(last_object)};
    for (struct chunk *chunk = span.first;; chunk = chunk->next) {
        atomic_fetch_add_explicit(&chunk->holders, 1, memory_order_relaxed);
        if (chunk == span.last) return span;
    }
}

void span_release(struct span *span)
{
    struct chunk *last = span->last;
    for (struct chunk *chunk = span->first, *next; chunk; chunk = next) {
        next = chunk == last ? NULL : chunk->next; /* read before it can go */
        chunk_release(chunk);
    }
    *span = (struct span){0};
}
