/* SPDX-License-Identifier: MIT */
#include "wire/entry.h"

#include "support/resp.h"

static void ids_make_the_round_trip(void **state)
{
    static const struct entry_id edges[] = {
        {0, 0}, {0, 1}, {1, 0}, {9, 10}, {INT64_MAX, 1}, {UINT64_MAX, UINT64_MAX}, {1700000000000, 0}};
    (void)state;
    uint64_t seed = 9;
    char text[ENTRY_ID_SIZE];
    for (size_t i = 0; i < 20000; i++) {
        struct entry_id id = {unit_random(&seed) >> i % 64, unit_random(&seed) >> i / 64 % 64}, back;
        if (i < COUNT_OF(edges)) id = edges[i];
        size_t len = entry_id_text(id, text);
        assert_int_equal(strlen(text), len);
        assert_true(entry_id_read(bytes_of(text), &back));
        assert_true(back.ms == id.ms && back.seq == id.seq);
        assert_int_equal(0, entry_id_compare(id, back));
    }
    assert_int_equal(41, entry_id_text((struct entry_id){UINT64_MAX, UINT64_MAX}, text));
    assert_string_equal("18446744073709551615-18446744073709551615", text);
}

static void ids_are_ordered_by_time_then_number(void **state)
{
    static const struct entry_id in_order[] = {{0, 0}, {0, 1},         {0, UINT64_MAX}, {1, 0},
                                               {2, 0}, {INT64_MAX, 7}, {UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX}};
    (void)state;
    for (size_t a = 0; a < COUNT_OF(in_order); a++)
        for (size_t b = 0; b < COUNT_OF(in_order); b++)
            assert_int_equal((a > b) - (a < b), entry_id_compare(in_order[a], in_order[b]));
}

static void what_is_no_id_is_refused_and_changes_nothing(void **state)
{
    static const char *const table[] = {"",
                                        "-",
                                        "1",
                                        "1-",
                                        "-1",
                                        "1--1",
                                        "1-1-1",
                                        "a-1",
                                        "1-a",
                                        " 1-1",
                                        "1-1 ",
                                        "+1-1",
                                        "1-*",
                                        "18446744073709551616-0",
                                        "0-18446744073709551616",
                                        "*",
                                        "$"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct entry_id id = {5, 6};
        if (entry_id_read(bytes_of(table[i]), &id)) fail_msg("'%s'", table[i]);
        assert_true(id.ms == 5 && id.seq == 6);
    }
    assert_false(entry_id_read((quern_bytes){NULL, 0}, &(struct entry_id){0}));
}

static void entries_of_another_shape_are_refused(void **state)
{
    static const struct {
        const char *text;
        bool is_entry;
    } table[] = {
        {"*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", true},
        {"*2\r\n$3\r\n1-2\r\n*0\r\n", true},
        {"*2\r\n$3\r\n1-2\r\n*-1\r\n", true},
        {"*2\r\n$3\r\n1-2\r\n$-1\r\n", true},
        {"*2\r\n+1-2\r\n*0\r\n", true},
        {"*1\r\n$3\r\n1-2\r\n", false},
        {"*3\r\n$3\r\n1-2\r\n*0\r\n*0\r\n", false},
        {"*0\r\n", false},
        {"*-1\r\n", false},
        {":1\r\n", false},
        {"*2\r\n:1\r\n*0\r\n", false},
        {"*2\r\n*0\r\n*0\r\n", false},
        {"*2\r\n$-1\r\n*0\r\n", false},
        {"*2\r\n$3\r\nabc\r\n*0\r\n", false},
        {"*2\r\n$3\r\n1-2\r\n:5\r\n", false},
        {"*2\r\n$3\r\n1-2\r\n$1\r\nx\r\n", false},
    };
    (void)state;
    struct chunk_pool *pool = chunk_pool_open(1);
    struct reader *reader = reader_open(pool);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct reply *reply;
        struct entry entry;
        assert_int_equal(1, resp_read(reader, table[i].text, strlen(table[i].text), &reply));
        if (entry_read(reply, &entry) != table[i].is_entry) fail_msg("%s", table[i].text);
        if (table[i].is_entry) assert_true(entry.id.ms == 1 && entry.id.seq == 2);
    }
    reader_close(reader);
    chunk_pool_close(pool);
}

/* A value that is an error may be viewed too, however far behind the others it came. */
static void an_error_among_the_values_is_held_too(void **state)
{
    enum { LARGE = 30000 };
    (void)state;
    struct chunk_pool *pool = chunk_pool_open(0);
    struct reader *reader = reader_open(pool);
    struct resp resp = {0};
    char *large = malloc(LARGE + 1);
    const struct reply *reply;
    struct entry entry;
    assert_non_null(large);
    memset(large, 'e', LARGE);
    large[LARGE] = 0;
    resp_head(&resp, '*', 2);
    resp_bulk(&resp, bytes_of("1-1"));
    resp_head(&resp, '*', 6);
    for (int i = 0; i < 3; i++) {
        resp_bulk(&resp, bytes_of("name"));
        resp_line(&resp, '-', large);
    }
    assert_int_equal(1, resp_read(reader, resp.bytes, resp.len, &reply));
    assert_true(entry_read(reply, &entry));
    struct span span = entry_hold(reply);
    reader_close(reader);
    for (uint32_t i = 1; i < 6; i += 2) assert_true(bytes_is(reply_bytes(&entry.fields->items[i]), large));
    span_release(&span);
    assert_int_equal(0, chunk_pool_used_bytes(pool));
    chunk_pool_close(pool);
    resp_free(&resp);
    free(large);
}

/* Fields that fill several chunks, the last of them of each kind: the reply goes, what the entry says stays. */
static void what_is_held_of_an_entry_stays(void **state)
{
    enum { LARGE = 90000 };
    (void)state;
    static char large[LARGE];
    memset(large, 'v', sizeof large);
    const quern_bytes nil = {NULL, 0}, wide = {large, sizeof large}, empty = {"", 0}, small = {"small", 5};
    const quern_bytes shapes[][4] = {{small, wide, small, empty},
                                     {wide, small, wide, wide},
                                     {small, wide, wide, nil},
                                     {wide, nil, wide, nil},
                                     {small, empty, nil, nil}};
    for (size_t row = 0; row < COUNT_OF(shapes); row++) {
        struct chunk_pool *pool = chunk_pool_open(0); /* what is let go of is freed at once: the sanitizer sees a late look */
        struct reader *reader = reader_open(pool);
        struct resp resp = {0};
        const struct reply *reply;
        struct entry entry;
        resp_entry(&resp, "7-8", shapes[row], 4);
        assert_int_equal(1, resp_read(reader, resp.bytes, resp.len, &reply));
        assert_true(entry_read(reply, &entry));
        struct span span = entry_hold(reply);
        reader_close(reader);
        assert_true(bytes_is(entry.id_text, "7-8"));
        for (uint32_t i = 0; i < 4; i++) assert_true(bytes_equal(shapes[row][i], reply_bytes(&entry.fields->items[i])));
        span_release(&span);
        assert_int_equal(0, chunk_pool_used_bytes(pool));
        chunk_pool_close(pool);
        resp_free(&resp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_make_the_round_trip),
        cmocka_unit_test(ids_are_ordered_by_time_then_number),
        cmocka_unit_test(what_is_no_id_is_refused_and_changes_nothing),
        cmocka_unit_test(entries_of_another_shape_are_refused),
        cmocka_unit_test(an_error_among_the_values_is_held_too),
        cmocka_unit_test(what_is_held_of_an_entry_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
