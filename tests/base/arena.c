/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdatomic.h>

#include "support/unit.h"

static struct chunk_pool *pool;
static struct arena arena;

static int make(void **state)
{
    (void)state;
    pool = chunk_pool_open(4);
    arena_open(&arena, pool);
    return pool ? 0 : -1;
}

/* Every chunk must have come back. */
static int drop(void **state)
{
    (void)state;
    arena_close(&arena);
    int64_t used = chunk_pool_used_bytes(pool);
    chunk_pool_close(pool);
    return used == 0 ? 0 : -1;
}

/* An object whose bytes say who it is. */
static char *object(size_t size, char mark)
{
    char *at = arena_alloc(&arena, size);
    assert_non_null(at);
    memset(at, mark, size);
    return at;
}

static void is_whole(const char *at, size_t size, char mark)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != mark) fail_msg("byte %zu of %zu is %d, not %d", i, size, at[i], mark);
}

/* So many bytes come, a room's worth at a time; afterwards they lie together, unread. */
static void receive(size_t size, char mark)
{
    while (size) {
        size_t len;
        char *at = arena_room(&arena, size, &len);
        assert_non_null(at);
        assert_true(at == arena.end && len >= size);
        if (len > 1 + size / 2) len = 1 + size / 2;
        memset(at, mark, len);
        arena_took(&arena, len);
        assert_int_equal(0, *arena.end);
        size -= len;
    }
}

/* What is unread, of that size, is read: it stays where it is. */
static char *read_all(size_t size, char mark)
{
    char *at = arena.unread;
    assert_int_equal(size, arena.end - at);
    is_whole(at, size, mark);
    arena.unread = arena.end;
    return at;
}

static void objects_are_aligned_and_apart(void **state)
{
    (void)state;
    uint64_t seed = 11;
    const char *before = NULL;
    for (int i = 0; i < 20000; i++) {
        size_t size = unit_random(&seed) % 200;
        char *at = arena_alloc(&arena, size);
        assert_non_null(at);
        assert_int_equal(0, (uintptr_t)at % 16);
        bool same_chunk = before && (uintptr_t)at / CHUNK_BYTES == (uintptr_t)before / CHUNK_BYTES;
        if (same_chunk) assert_true(at + size <= before && at != before);
        memset(at, 'x', size);
        before = at;
    }
}

static void every_size_around_a_chunk_can_be_had(void **state)
{
    (void)state;
    for (size_t size = CHUNK_BYTES - 400; size < CHUNK_BYTES + 200; size++) {
        char *before = object(3, 'b'), *big = object(size, 'B'), *after = object(size % 7, 'a');
        struct span span = span_hold(big, big);
        is_whole(before, 3, 'b');
        is_whole(big, size, 'B');
        is_whole(after, size % 7, 'a');
        arena_advance(&arena);
        is_whole(big, size, 'B');
        span_release(&span);
    }
}

static void every_size_around_a_chunk_can_be_received(void **state)
{
    (void)state;
    for (size_t size = CHUNK_BYTES - 400; size < CHUNK_BYTES + 200; size++) {
        receive(size, 'R');
        char *got = read_all(size, 'R'), *after = object(40, 'a');
        struct span span = span_hold(got, after);
        arena_advance(&arena);
        is_whole(got, size, 'R');
        is_whole(after, 40, 'a');
        span_release(&span);
    }
}

static void what_is_unread_goes_along_and_what_was_read_stays(void **state)
{
    enum { PIECE = 900 };
    (void)state;
    uint64_t seed = 3;
    struct span span = {0};
    const char *kept = NULL;
    for (int i = 0; i < 3000; i++) {
        receive(PIECE, (char)i);
        size_t laid = unit_random(&seed) % 3 ? unit_random(&seed) % 2000 : unit_random(&seed) % (2 * CHUNK_BYTES);
        char *beside = object(laid, 'n');
        char *got = read_all(PIECE, (char)i);
        is_whole(beside, laid, 'n');
        if (kept) is_whole(kept, PIECE, (char)(i - 1));
        span_release(&span);
        span = span_hold(beside, got);
        kept = got;
        if (i % 3 == 0) arena_advance(&arena);
    }
    span_release(&span);
}

static void a_span_keeps_what_lies_over_several_chunks(void **state)
{
    enum { OBJECTS = 300, SIZE = 1500 };
    (void)state;
    char *at[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) at[i] = object(SIZE, (char)i);
    struct span span = span_hold(at[10], at[OBJECTS - 10]), one = span_hold(at[20], at[20]);
    arena_advance(&arena);
    for (int i = 0; i < 1000; i++) object(SIZE, 'z');
    arena_close(&arena);
    for (int i = 10; i <= OBJECTS - 10; i++) is_whole(at[i], SIZE, (char)i);
    span_release(&span);
    assert_null(span.first);
    is_whole(at[20], SIZE, 20);
    assert_int_equal(CHUNK_BYTES, chunk_pool_used_bytes(pool));
    span_release(&one);
    span_release(&one); /* empty: nothing happens */
    assert_int_equal(0, chunk_pool_used_bytes(pool));
}

static void large_objects_lie_between_small_ones(void **state)
{
    enum { LARGE = 5 * CHUNK_BYTES + 17 };
    (void)state;
    char *first = object(10, 'f'), *large = object(LARGE, 'L'), *last = object(10, 'l');
    struct span all = span_hold(first, last), middle = span_hold(large, large);
    arena_close(&arena);
    is_whole(first, 10, 'f');
    is_whole(last, 10, 'l');
    span_release(&all);
    is_whole(large, LARGE, 'L');
    assert_in_range(chunk_pool_used_bytes(pool), LARGE, LARGE + 1000);
    span_release(&middle);
    assert_int_equal(0, chunk_pool_used_bytes(pool));
}

static void a_large_object_is_not_kept_by_advancing(void **state)
{
    (void)state;
    object(10 * CHUNK_BYTES, 'L');
    arena_advance(&arena);
    assert_int_equal(CHUNK_BYTES, chunk_pool_used_bytes(pool)); /* the one behind it, which goes on */
}

static void a_million_allocations_do_not_grow(void **state)
{
    (void)state;
    uint64_t seed = 5;
    int64_t most = 0;
    struct span held[4] = {{0}};
    for (int i = 0; i < 1000000; i++) {
        char *at = arena_alloc(&arena, unit_random(&seed) % 300);
        assert_non_null(at);
        if (i % 100) continue;
        struct span *span = &held[i / 100 % 4]; /* four spans at a time, each over one reply */
        span_release(span);
        *span = span_hold(at, at);
        arena_advance(&arena);
        if (chunk_pool_used_bytes(pool) > most) most = chunk_pool_used_bytes(pool);
    }
    for (int i = 0; i < 4; i++) span_release(&held[i]);
    assert_in_range(most, CHUNK_BYTES, 6 * CHUNK_BYTES);
}

struct relay {
    struct span *spans;
    char **at;
    _Atomic int made, wrong;
};

enum { RELAYED = 20000, RELAY_BYTES = 777 };

/* One thread lays out and lends, the other looks and lets go. */
static void relay(void *given, unsigned number)
{
    struct relay *relay = given;
    int64_t deadline_ns = unit_deadline_ns();
    for (int i = 0; i < RELAYED; i++) {
        if (number == 0) {
            char *at = arena_alloc(&arena, RELAY_BYTES);
            if (!at) break;
            memset(at, (char)i, RELAY_BYTES);
            relay->at[i] = at;
            relay->spans[i] = span_hold(at, at);
            atomic_store(&relay->made, i + 1);
            if (i % 50 == 0) arena_advance(&arena);
        } else {
            while (atomic_load(&relay->made) <= i && !unit_is_over(deadline_ns)) sched_yield();
            relay->wrong += relay->at[i][0] != (char)i || relay->at[i][RELAY_BYTES - 1] != (char)i;
            span_release(&relay->spans[i]);
        }
    }
}

static void a_span_may_be_released_on_another_thread(void **state)
{
    (void)state;
    struct relay given = {.spans = calloc(RELAYED, sizeof *given.spans), .at = calloc(RELAYED, sizeof *given.at)};
    unit_together(2, relay, &given);
    assert_int_equal(0, given.wrong);
    arena_close(&arena);
    assert_int_equal(0, chunk_pool_used_bytes(pool));
    free(given.spans);
    free(given.at);
}

static void chunks_come_back_and_are_used_again(void **state)
{
    (void)state;
    char *first = object(100, 'a');
    arena_close(&arena);
    assert_ptr_equal(first, object(100, 'b'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_are_aligned_and_apart, make, drop),
        cmocka_unit_test_setup_teardown(every_size_around_a_chunk_can_be_had, make, drop),
        cmocka_unit_test_setup_teardown(every_size_around_a_chunk_can_be_received, make, drop),
        cmocka_unit_test_setup_teardown(what_is_unread_goes_along_and_what_was_read_stays, make, drop),
        cmocka_unit_test_setup_teardown(a_span_keeps_what_lies_over_several_chunks, make, drop),
        cmocka_unit_test_setup_teardown(large_objects_lie_between_small_ones, make, drop),
        cmocka_unit_test_setup_teardown(a_large_object_is_not_kept_by_advancing, make, drop),
        cmocka_unit_test_setup_teardown(a_million_allocations_do_not_grow, make, drop),
        cmocka_unit_test_setup_teardown(a_span_may_be_released_on_another_thread, make, drop),
        cmocka_unit_test_setup_teardown(chunks_come_back_and_are_used_again, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
