/* SPDX-License-Identifier: MIT */
#include "job/codec.h"

#include <jansson.h>

#include "job/message.h"
#include "support/unit.h"

static void any_whole_json_value_is_json_and_nothing_else(void **state)
{
    static const struct {
        quern_bytes text;
        bool is_json;
    } table[] = {
        {{"{}", 2}, true},
        {{"[]", 2}, true},
        {{"null", 4}, true},
        {{"true", 4}, true},
        {{"\"text\"", 6}, true},
        {{"-1.5e3", 6}, true},
        {{" \r\n\t{ \"a\" : [ 1 , 2 ] } ", 24}, true},
        {{"\"\\u0000\"", 8}, true},
        {{"\"\xc3\xb6\"", 4}, true},
        {{"9007199254740993", 16}, true},
        {{"", 0}, false},
        {{NULL, 0}, false},
        {{" ", 1}, false},
        {{"{", 1}, false},
        {{"{} {}", 5}, false},
        {{"{}x", 3}, false},
        {{"{}\0", 3}, false},
        {{"1\0", 2}, false},
        {{"1\0002", 3}, false},
        {{"nul", 3}, false},
        {{"NaN", 3}, false},
        {{"'a'", 3}, false},
        {{"[1,]", 4}, false},
        {{"{\"a\":1,}", 8}, false},
        {{"01", 2}, false},
        {{"\"\xff\"", 3}, false},
        {{"\"\xed\xa0\x80\"", 5}, false},
        {{"\"a\nb\"", 5}, false},
        {{"1e999", 5}, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        quern_error err = {0};
        int code = codec_check_json(table[i].text, &err);
        if (code != (table[i].is_json ? QUERN_OK : QUERN_E_ARGUMENT)) fail_msg("row %zu: %d %s", i, code, err.text);
        if (!table[i].is_json) assert_non_null(strstr(err.text, "not JSON: "));
    }
}

static void whole_numbers_of_any_size_are_json_where_only_that_is_asked(void **state)
{
    static const struct {
        const char *text;
        bool is_json;
    } table[] = {
        {"{}", true},
        {"[18446744073709551616, -123456789012345678901234567890, 10, 0.005]", true},
        {"[99999999999999999999, 01]", false},
        {"99999999999999999999 1", false},
        {"1e999", false}, /* a record that holds it would be read by nobody */
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (codec_is_json(bytes_of(table[i].text)) != table[i].is_json) fail_msg("row %zu", i);
}

static void an_error_says_where(void **state)
{
    (void)state;
    quern_error err = {0};
    assert_null(codec_parse(bytes_of("{\n  \"a\": tru\n}"), &err));
    assert_non_null(strstr(err.text, "line 2"));
    assert_null(codec_parse(bytes_of("["), NULL));
}

static void nesting_without_end_is_an_error_and_no_crash(void **state)
{
    (void)state;
    size_t len = 4000000;
    char *deep = malloc(len);
    memset(deep, '[', len);
    assert_int_equal(QUERN_E_ARGUMENT, codec_check_json((quern_bytes){deep, len}, NULL));
    free(deep);
}

static void what_is_parsed_is_what_was_said(void **state)
{
    (void)state;
    struct json_t *value = codec_parse(bytes_of("{\"n\":9007199254740993,\"t\":\"a\\u0000b\"}"), NULL);
    assert_non_null(value);
    assert_int_equal(9007199254740993, json_integer_value(json_object_get(value, "n")));
    assert_int_equal(3, json_string_length(json_object_get(value, "t")));
    codec_drop(value);
    codec_drop(NULL);
}

static void the_data_of_an_object_is_handed_on_as_it_is_written(void **state)
{
    static const char *const values[] = {
        "null", "true", "\"a\\u0000b\"", "9007199254740993", "0.1", "1e2", "{\"b\": 1,\"a\":[{}, []]}", "\"\xc3\xb6\""};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char text[200];
        struct message message = {0};
        quern_error err = {0};
        snprintf(text, sizeof text, "{\"event\":\"e\",\"data\":%s}", values[i]);
        assert_int_equal(QUERN_OK, codec_read_object(&message, bytes_of(text), &err));
        assert_true(bytes_is(message.data, values[i]));
        message_free(&message);
    }
}

static void a_name_that_is_spelled_with_escapes_is_found_too(void **state)
{
    static const char text[] = "{\"event\":\"e\",\"d\\u0061ta\":[1, 2]}";
    struct message message = {0};
    quern_error err = {0};
    (void)state;
    assert_int_equal(QUERN_OK, codec_read_object(&message, bytes_of(text), &err));
    assert_true(bytes_is(message.data, "[1,2]"));
    message_free(&message);
}

static void the_depth_is_that_of_lists_and_objects_outside_texts(void **state)
{
    static const struct {
        const char *text;
        size_t depth;
    } table[] = {{"", 0},
                 {"7", 0},
                 {"\"[[[\"", 0},
                 {"[]", 1},
                 {"{}", 1},
                 {"[[],[],{}]", 2},
                 {"{\"[\": [{\"a\": \"}]\"}]}", 3},
                 {"[\"\\\"[[\", [1]]", 2},
                 {"[\"\\\\\", [[1]]]", 3},
                 {"]]][", 1}};
    quern_error err;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (codec_depth(bytes_of(table[i].text)) != table[i].depth) fail_msg("%s", table[i].text);
    assert_int_equal(QUERN_OK, codec_check_depth(bytes_of("[[1]]"), 2, &err));
    assert_int_equal(QUERN_OK, codec_check_depth(bytes_of("[[1]]"), 0, &err));
    assert_int_equal(QUERN_E_ARGUMENT, codec_check_depth(bytes_of("[[[1]]]"), 2, &err));
    assert_string_equal("nested 3 deep; json_depth_max is 2", err.text);
}

static void what_is_written_is_what_jansson_would_write(void **state)
{
    static const char *const texts[] = {"{}", "7", "\"a\"", "[1,[2,{\"b\":null}],\"\u00e4\"]",
                                        "{\"a\":{\"b\":[true,false]},\"c\":1.5}"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        json_t *value = codec_parse(bytes_of(texts[i]), NULL);
        char *text = codec_text(value, JSON_COMPACT | JSON_ENCODE_ANY),
             *other = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(other, text);
        free(other);
        free(text);
        codec_drop(value);
    }
    assert_null(codec_text(NULL, JSON_COMPACT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_whole_json_value_is_json_and_nothing_else),
        cmocka_unit_test(an_error_says_where),
        cmocka_unit_test(whole_numbers_of_any_size_are_json_where_only_that_is_asked),
        cmocka_unit_test(nesting_without_end_is_an_error_and_no_crash),
        cmocka_unit_test(the_depth_is_that_of_lists_and_objects_outside_texts),
        cmocka_unit_test(what_is_written_is_what_jansson_would_write),
        cmocka_unit_test(what_is_parsed_is_what_was_said),
        cmocka_unit_test(the_data_of_an_object_is_handed_on_as_it_is_written),
        cmocka_unit_test(a_name_that_is_spelled_with_escapes_is_found_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
