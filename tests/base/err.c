/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include "support/unit.h"

static void a_text_longer_than_its_place_is_cut(void **state)
{
    (void)state;
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    quern_error err;
    memset(&err, 0x55, sizeof err);
    assert_int_equal(QUERN_E_FULL, err_set(&err, QUERN_E_FULL, "%s", longer));
    assert_int_equal(503, strlen(err.text));
    assert_int_equal(QUERN_E_FULL, err.code);
}

static void what_steers_a_terminal_does_not_reach_a_text(void **state)
{
    (void)state;
    quern_error err;
    for (int c = 1; c < 256; c++) {
        err_set(&err, QUERN_E_SERVER, "a%cb", c);
        bool is_control = c < 0x20 || c >= 0x7f; /* a single byte above is no character */
        assert_int_equal((unsigned char)err.text[1], is_control ? '?' : c);
        assert_int_equal(3, strlen(err.text));
    }
    err_set(&err, QUERN_E_SERVER, "one\r\ntwo\x1b[2J\ttab");
    assert_string_equal("one??two?[2J?tab", err.text);
    err_set(&err, QUERN_E_SERVER, "\302\2332J\342\200\256 gr\303\274\303\237e \342\200\246 \303");
    assert_string_equal("?2J? gr\303\274\303\237e \342\200\246 ?", err.text);
}

static void nobody_need_listen(void **state)
{
    (void)state;
    assert_int_equal(QUERN_E_BUSY, err_set(NULL, QUERN_E_BUSY, "%s", "nothing is written"));
}

static void each_code_says_whether_another_try_helps(void **state)
{
    static const struct {
        int code;
        const char *name;
        int is_retriable;
    } table[] = {{QUERN_OK, "QUERN_OK", 0},
                 {QUERN_E_ARGUMENT, "QUERN_E_ARGUMENT", 0},
                 {QUERN_E_CONFIG, "QUERN_E_CONFIG", 0},
                 {QUERN_E_CONNECT, "QUERN_E_CONNECT", 1},
                 {QUERN_E_AUTH, "QUERN_E_AUTH", 0},
                 {QUERN_E_SERVER, "QUERN_E_SERVER", 0},
                 {QUERN_E_TIMEOUT, "QUERN_E_TIMEOUT", 1},
                 {QUERN_E_FULL, "QUERN_E_FULL", 0},
                 {QUERN_E_GONE, "QUERN_E_GONE", 0},
                 {QUERN_E_BUSY, "QUERN_E_BUSY", 1},
                 {QUERN_E_MEMORY, "QUERN_E_MEMORY", 1},
                 {QUERN_E_UNKNOWN, "QUERN_E_UNKNOWN", 0},
                 {QUERN_E_UNKNOWN + 1, "(no such code)", 0},
                 {-1, "(no such code)", 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        quern_error err;
        err_set(&err, table[i].code, "x");
        assert_string_equal(table[i].name, quern_code_name(table[i].code));
        assert_int_equal(table[i].is_retriable, err.is_retriable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_longer_than_its_place_is_cut),
        cmocka_unit_test(what_steers_a_terminal_does_not_reach_a_text),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(each_code_says_whether_another_try_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
