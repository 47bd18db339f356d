/* SPDX-License-Identifier: MIT */
#include "job/packed.h"

#include <stdlib.h>
#include <string.h>

#include "support/unit.h"

#define T(text) UNIT_BYTES(text)

static bool is_field(const struct packed *packed, uint32_t i, quern_bytes text)
{
    const struct reply *field = reply_item(&packed->fields, i);
    return bytes_equal(reply_bytes(field), text) && field->text[field->count] == 0;
}

static void a_list_of_texts_is_read_with_a_nul_behind_each(void **state)
{
    struct packed packed;
    (void)state;
    assert_true(packed_read(&packed, T("\x94\xa2id\xa1j\xa4"
                                       "data\xa3\xff\x00\x01")));
    assert_int_equal(packed.fields.count, 4);
    assert_true(is_field(&packed, 0, T("id")) && is_field(&packed, 1, T("j")));
    assert_true(is_field(&packed, 2, T("data")) && is_field(&packed, 3, T("\xff\x00\x01")));
    packed_free(&packed);
    assert_true(packed_read(&packed, T("\x90")));
    assert_int_equal(packed.fields.count, 0);
    packed_free(&packed);
}

static void texts_and_lists_of_every_length_are_read(void **state)
{
    static const char *const heads[] = {"\xd9\x28", "\xda\x00\x28", "\xdb\x00\x00\x00\x28",
                                        "\xc4\x28", "\xc5\x00\x28", "\xc6\x00\x00\x00\x28"};
    static const size_t lens[] = {2, 3, 5, 2, 3, 5};
    static const char body[41] = "0123456789012345678901234567890123456789";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        char text[64] = "\x92\xa1n";
        struct packed packed;
        memcpy(text + 3, heads[i], lens[i]);
        memcpy(text + 3 + lens[i], body, 40);
        assert_true(packed_read(&packed, (quern_bytes){text, 3 + lens[i] + 40}));
        assert_true(is_field(&packed, 1, T("0123456789012345678901234567890123456789")));
        packed_free(&packed);
    }
    struct packed packed;
    assert_true(packed_read(&packed, T("\xdc\x00\x02\xa1n\xa1v")));
    packed_free(&packed);
    assert_true(packed_read(&packed, T("\xdd\x00\x00\x00\x02\xa1n\xa1v")));
    packed_free(&packed);
}

/* Also each beginning of a good one; read where nothing lies behind it, so that a sanitizer sees a step too far. */
static void anything_else_is_no_job(void **state)
{
    static const quern_bytes texts[] = {T(""),
                                        T("\xc0"),
                                        T("\x91\xa1n"),
                                        T("\x92\xa1n\x01"),
                                        T("\x92\xa1n\xa1v\x00"),
                                        T("\x81\xa1n\xa1v"),
                                        T("\x92\xa1n\xc0"),
                                        T("\xdd\xff\xff\xff\xfe\xa1n"),
                                        T("\x92\xa1n\xdb\xff\xff\xff\xffv"),
                                        T("text")};
    static const quern_bytes whole = T("\xdc\x00\x02\xd9\x01n\xda\x00\x01v");
    struct packed packed;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) assert_false(packed_read(&packed, texts[i]));
    assert_false(packed_read(&packed, (quern_bytes){NULL, 0}));
    for (size_t len = 0; len < whole.len; len++) {
        char *part = malloc(len + !len);
        assert_non_null(part);
        memcpy(part, whole.at, len);
        assert_false(packed_read(&packed, (quern_bytes){part, len}));
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_texts_is_read_with_a_nul_behind_each),
        cmocka_unit_test(texts_and_lists_of_every_length_are_read),
        cmocka_unit_test(anything_else_is_no_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
