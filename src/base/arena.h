/* SPDX-License-Identifier: MIT */

/* base/arena: where replies are parsed to, and where jobs' bytes live until they end.
 * Idea       bytes are laid one after another into chunks of 64 KiB. A chunk counts who still needs it; the last one gives it
 *            back to its pool, from any thread. No malloc per object, and none per chunk in steady state.
 *
 *                arena ──▶ [chunk A: reply 1 ······] ─next▶ [chunk B: rest of reply 1 | reply 2 ···]
 *                              ▲ job 7 holds A..A      ▲ job 9 holds A..B
 *
 * Invariant  what was allocated between two points lies in the chunks from the first to the second, linked by next; a chunk is
 *            aligned to 64 KiB and holds objects that start within its first 64 KiB, so an object's address names its chunk.
 * Threads    arena_*: its owner · span_*: any · chunk_pool_*: any, a short lock per chunk (not per job)
 * Never      moves what it gave out. */
#ifndef QUERN_BASE_ARENA_H
#define QUERN_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHUNK_BYTES = 64 * 1024 };

struct chunk;
struct chunk_pool;

/* keep_max: free chunks kept for reuse; what is more goes back to malloc. Gives; NULL: no memory. */
struct chunk_pool *chunk_pool_open(unsigned keep_max);
/* Every chunk must have come back. NULL is allowed. */
void chunk_pool_close(struct chunk_pool *pool);
/* Bytes in chunks that are in use (large ones included). */
int64_t chunk_pool_used_bytes(struct chunk_pool *pool);

struct arena {
    struct chunk_pool *pool;
    struct chunk *first, *last; /* held by the arena */
};

void arena_open(struct arena *arena, struct chunk_pool *pool);
/* Lets go of everything; what spans still hold stays. */
void arena_close(struct arena *arena);
/* size bytes, aligned to align (a power of two up to 16); never NULL for size 0. NULL: no memory. */
void *arena_alloc(struct arena *arena, size_t size, size_t align);
/* Lets go of what was allocated so far. Goes on filling the last chunk, from its beginning if no span holds it. */
void arena_advance(struct arena *arena);

/* The chunks from one object to another that was allocated later. */
struct span {
    struct chunk *first, *last; /* first NULL: holds nothing */
};

/* Takes a count on each chunk between the two, both inclusive; both must still be held by the arena. */
struct span span_hold(const void *first_object, const void *last_object);
/* Gives the counts back and empties span. */
void span_release(struct span *span);

#endif
