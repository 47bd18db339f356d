/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include "support/unit.h"

static void numbers_are_read_to_the_edges_of_64_bits(void **state)
{
    static const struct {
        const char *text;
        bool is_number;
        uint64_t value;
    } table[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"007", true, 7},
        {"4294967296", true, UINT64_C(4294967296)},
        {"9223372036854775808", true, UINT64_C(9223372036854775808)},
        {"18446744073709551614", true, UINT64_MAX - 1},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"184467440737095516150", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
        {"a", false, 0},
        {"/", false, 0},
        {":", false, 0},
        {"\xd9\xa1", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint64_t value = 42;
        if (bytes_number(bytes_of(table[i].text), &value) != table[i].is_number) fail_msg("'%s'", table[i].text);
        assert_true(value == (table[i].is_number ? table[i].value : 42));
    }
    assert_false(bytes_number((quern_bytes){NULL, 0}, &(uint64_t){0}));
    assert_false(bytes_number(UNIT_BYTES("1\0"), &(uint64_t){0}));
}

static void utf8_is_judged_as_the_standard_does(void **state)
{
    static const struct {
        quern_bytes text;
        bool is_utf8;
    } table[] = {
        {{"", 0}, true},
        {{NULL, 0}, true},
        {{"plain", 5}, true},
        {{"a\0b", 3}, true},
        {{"\x7f", 1}, true},
        {{"\xc2\x80", 2}, true},         /* U+0080 */
        {{"\xdf\xbf", 2}, true},         /* U+07FF */
        {{"\xe0\xa0\x80", 3}, true},     /* U+0800 */
        {{"\xed\x9f\xbf", 3}, true},     /* U+D7FF */
        {{"\xee\x80\x80", 3}, true},     /* U+E000 */
        {{"\xef\xbf\xbf", 3}, true},     /* U+FFFF */
        {{"\xf0\x90\x80\x80", 4}, true}, /* U+10000 */
        {{"\xf4\x8f\xbf\xbf", 4}, true}, /* U+10FFFF */
        {{"x\xe2\x82\xacy", 5}, true},
        {{"\x80", 1}, false}, /* a tail without a head */
        {{"\xbf", 1}, false},
        {{"\xc0\x80", 2}, false}, /* overlong */
        {{"\xc0\xaf", 2}, false},
        {{"\xc1\xbf", 2}, false},
        {{"\xe0\x80\x80", 3}, false},
        {{"\xe0\x9f\xbf", 3}, false},
        {{"\xf0\x80\x80\x80", 4}, false},
        {{"\xf0\x8f\xbf\xbf", 4}, false},
        {{"\xed\xa0\x80", 3}, false}, /* surrogates */
        {{"\xed\xbf\xbf", 3}, false},
        {{"\xf4\x90\x80\x80", 4}, false}, /* beyond U+10FFFF */
        {{"\xf5\x80\x80\x80", 4}, false},
        {{"\xf8\x88\x80\x80\x80", 5}, false},
        {{"\xfe", 1}, false},
        {{"\xff", 1}, false},
        {{"\xc3", 1}, false}, /* truncated */
        {{"\xe2\x82", 2}, false},
        {{"\xe2", 1}, false},
        {{"\xf0\x9f\x98", 3}, false},
        {{"\xf0\x9f", 2}, false},
        {{"\xc3(", 2}, false}, /* a head without its tail */
        {{"\xe2(\xa1", 3}, false},
        {{"\xe2\x82(", 3}, false},
        {{"\xf0\x9f\x98(", 4}, false},
        {{"ok\xffok", 5}, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (bytes_is_utf8(table[i].text) != table[i].is_utf8) fail_msg("row %zu", i);
}

/* Every character there is, by an encoder of the test's own; and no surrogate. */
static void every_character_is_utf8(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        char text[4];
        size_t len = 0;
        if (c >= 0x10000) text[len++] = (char)(0xf0 | c >> 18);
        if (c >= 0x10000 || c >= 0x800) text[len++] = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 63) : 0xe0 | c >> 12);
        text[len++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 63) : 0xc0 | c >> 6);
        text[len++] = (char)(0x80 | (c & 63));
        bool is_surrogate = c >= 0xd800 && c < 0xe000;
        if (bytes_is_utf8((quern_bytes){text, len}) == is_surrogate) fail_msg("U+%04X", c);
        if (bytes_is_utf8((quern_bytes){text, len - 1})) fail_msg("U+%04X, cut", c);
    }
}

static void copies_end_with_a_nul_and_keep_those_within(void **state)
{
    (void)state;
    char *copy = bytes_copy(UNIT_BYTES("a\0b"));
    assert_memory_equal("a\0b", copy, 4);
    free(copy);
    copy = bytes_copy((quern_bytes){NULL, 0});
    assert_string_equal("", copy);
    free(copy);
}

static void nothing_and_empty_are_equal_and_prefixes_are_not(void **state)
{
    (void)state;
    assert_true(bytes_is((quern_bytes){NULL, 0}, ""));
    assert_true(bytes_is(UNIT_BYTES("abc"), "abc"));
    assert_false(bytes_is(UNIT_BYTES("abc"), "ab"));
    assert_false(bytes_is(UNIT_BYTES("ab"), "abc"));
    assert_false(bytes_is(UNIT_BYTES("ab\0"), "ab"));
    assert_int_equal(0, bytes_of(NULL).len);
}

static void hex_has_two_digits_per_byte(void **state)
{
    (void)state;
    char *hex = bytes_hex(UNIT_BYTES("\0\x0f\xa0\xff"));
    assert_string_equal("000fa0ff", hex);
    free(hex);
    hex = bytes_hex((quern_bytes){NULL, 0});
    assert_string_equal("", hex);
    free(hex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_to_the_edges_of_64_bits),
        cmocka_unit_test(utf8_is_judged_as_the_standard_does),
        cmocka_unit_test(every_character_is_utf8),
        cmocka_unit_test(copies_end_with_a_nul_and_keep_those_within),
        cmocka_unit_test(hex_has_two_digits_per_byte),
        cmocka_unit_test(nothing_and_empty_are_equal_and_prefixes_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
