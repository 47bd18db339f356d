/* SPDX-License-Identifier: MIT */

/* base/arena: where answers arrive and are parsed, and where jobs' bytes live until they end.
 * Idea       bytes are received straight into chunks of 64 KiB and stay where they came; what is laid out beside them grows from the
 *            chunk's other end. A chunk counts who still needs it; the last one gives it back to its pool, from any thread. No copy,
 *            no malloc per object, and none per chunk in steady state.
 *
 *                chunk: [ received, read │ received, unread → ····· ← laid out ] ─next▶ …
 *                             ▲ job 7's texts                            ▲ job 7's nodes
 *
 * Invariant  what was received or laid out between two points lies in the chunks from the first to the second, linked by next; what is
 *            unread lies in the last one: it moves along when that is full. A chunk is aligned to 64 KiB and holds objects that start
 *            within its first 64 KiB, so an object's address names its chunk.
 * Threads    arena_*, span_hold: its owner · span_release: any · chunk_pool_*: any, a short lock per chunk (not per job)
 * Never      moves what was read or laid out. */
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
    char *unread, *end;         /* received and not yet read; a NUL stands at end. Its owner moves unread on */
    char *top;                  /* from here on the last chunk is laid out */
};

void arena_open(struct arena *arena, struct chunk_pool *pool);
/* Lets go of everything; what spans still hold stays. */
void arena_close(struct arena *arena);
/* Lays out size bytes, aligned to 16; never NULL for size 0. May move what is unread. NULL: no memory. */
void *arena_alloc(struct arena *arena, size_t size);
/* Where the next bytes are to be received: room for at least least of them behind the unread ones, *len in all. What is unread is the
 * beginning of one thing, and least what it still needs at least: if it is larger than a chunk, it gets one to itself, which only the rest
 * of it fills. May move what is unread. NULL: no memory. */
char *arena_room(struct arena *arena, size_t least, size_t *len);
/* So many bytes were received there. */
void arena_took(struct arena *arena, size_t len);
/* Lets go of what was read and laid out so far; what is unread stays. Goes on in the last chunk, from its beginning if no span holds it. */
void arena_advance(struct arena *arena);

/* The chunks from one object to another that came later. */
struct span {
    struct chunk *first, *last; /* first NULL: holds nothing */
};

/* Takes a count on each chunk between the two, both inclusive; both must still be held by the arena. */
struct span span_hold(const void *first_object, const void *last_object);
/* Gives the counts back and empties span. */
void span_release(struct span *span);

#endif
