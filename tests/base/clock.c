/* SPDX-License-Identifier: MIT */
#include <limits.h>

#include "support/unit.h"

static int parse(const char *text, int64_t *unix_ms)
{
    return clock_parse_iso(text, strlen(text), unix_ms);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        int64_t unix_us = (int64_t)(unit_random(&seed) % UINT64_C(253402300800000000)), unix_ms; /* to the end of 9999 */
        char text[CLOCK_ISO_SIZE];
        clock_iso(unix_us, text);
        assert_int_equal(32, strlen(text));
        assert_int_equal(0, parse(text, &unix_ms));
        assert_true(unix_ms == unix_us / 1000);
    }
}

static void times_are_written_in_utc_with_microseconds(void **state)
{
    (void)state;
    char text[CLOCK_ISO_SIZE];
    clock_iso(INT64_C(1767323045678901), text);
    assert_string_equal("2026-01-02T03:04:05.678901+00:00", text);
    clock_iso(0, text);
    assert_string_equal("1970-01-01T00:00:00.000000+00:00", text);
    clock_iso(INT64_C(951782400000007), text);
    assert_string_equal("2000-02-29T00:00:00.000007+00:00", text);
}

/* The quick look says yes to what the parser reads and clock_iso() would write, and to nothing else: any one byte is changed. */
static void the_plain_form_is_what_is_written_and_nothing_else(void **state)
{
    (void)state;
    char text[CLOCK_ISO_SIZE];
    int64_t ms;
    uint64_t seed = 4;
    for (int i = 0; i < 20000; i++) {
        clock_iso((int64_t)(unit_random(&seed) % UINT64_C(253402300799999999)), text);
        assert_true(clock_is_plain_iso(text));
        text[unit_random(&seed) % CLOCK_PLAIN_LEN] =
            (char)(unit_random(&seed) % 4 ? '0' + unit_random(&seed) % 10 : unit_random(&seed));
        if (clock_is_plain_iso(text)) assert_int_equal(0, parse(text, &ms));
        bool is_of_form = strspn(text, "0123456789") == 4 && text[4] == '-' && text[7] == '-' && text[10] == 'T' &&
                          text[13] == ':' && text[16] == ':' && text[19] == '.' && strspn(text + 20, "0123456789") == 6 &&
                          strcmp(text + 26, "+00:00") == 0;
        if (is_of_form) assert_int_equal(parse(text, &ms) == 0, clock_is_plain_iso(text));
    }
}

static void good_times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_ms;
    } table[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00z", 0},
        {"1970-01-01t00:00:00Z", 0},
        {"1970-01-01 00:00:00Z", 0},
        {"1970-01-01T00:00:00+00:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T02:30:00+02:30", 0},
        {"1969-12-31T19:00:00-05:00", 0},
        {"1970-01-01T00:00:00.1Z", 100},
        {"1970-01-01T00:00:00.12Z", 120},
        {"1970-01-01T00:00:00.123Z", 123},
        {"1970-01-01T00:00:00.1239Z", 123},
        {"1970-01-01T00:00:00.12399Z", 123},
        {"1970-01-01T00:00:00.123999Z", 123},
        {"1970-01-01T00:00:00.0019999Z", 1},
        {"1970-01-01T00:00:00.00199999Z", 1},
        {"1970-01-01T00:00:00.001999999Z", 1},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2026-01-02T03:04:05.678901+00:00", INT64_C(1767323045678)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int64_t unix_ms = 5;
        if (parse(table[i].text, &unix_ms)) fail_msg("refused: %s", table[i].text);
        if (unix_ms != table[i].unix_ms) fail_msg("%s: read as %lld", table[i].text, (long long)unix_ms);
    }
}

static void wrong_times_are_refused_and_change_nothing(void **state)
{
    static const char *const table[] = {
        "",
        "2026",
        "2026-01-01",
        "2026-01-01T00:00",
        "2026-01-01T00:00:00",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.0123456789Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+0000",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00+00",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00Z ",
        " 2026-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "+026-01-01T00:00:00Z",
        "-026-01-01T00:00:00Z",
        "20260101T000000Z",
        "2026-01-01X00:00:00Z",
        "2026-01-01T0a:00:00Z",
        "now",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int64_t unix_ms = 12345;
        if (parse(table[i], &unix_ms) == 0) fail_msg("accepted: %s as %lld", table[i], (long long)unix_ms);
        assert_int_equal(12345, unix_ms);
    }
}

static void a_time_is_never_read_past_its_end(void **state)
{
    static const char text[] = "2026-01-02T03:04:05.678901+00:00";
    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char *exact = malloc(len + 1); /* the sanitizer sees a look behind it */
        int64_t unix_ms;
        memcpy(exact, text, len);
        exact = realloc(exact, len ? len : 1);
        assert_int_equal(-1, clock_parse_iso(exact, len, &unix_ms));
        free(exact);
    }
}

static void deadlines_saturate(void **state)
{
    (void)state;
    assert_true(clock_deadline_ns(1000, 1) == 1000 + NS_PER_MS);
    assert_true(clock_deadline_ns(1000, 0) == 1000);
    assert_true(clock_deadline_ns(1000, -1) == CLOCK_NEVER);
    assert_true(clock_deadline_ns(1000, INT64_MAX) == CLOCK_NEVER);
    assert_true(clock_deadline_ns(0, INT64_MAX / NS_PER_MS) == INT64_MAX / NS_PER_MS * NS_PER_MS);
    assert_true(clock_deadline_ns(0, INT64_MAX / NS_PER_MS + 1) == CLOCK_NEVER);
    assert_true(clock_deadline_ns(CLOCK_NEVER - 1, 1) == CLOCK_NEVER);
}

static void poll_is_told_rounded_up_and_never_too_much(void **state)
{
    (void)state;
    assert_int_equal(-1, clock_poll_ms(CLOCK_NEVER));
    assert_int_equal(0, clock_poll_ms(0));
    assert_int_equal(0, clock_poll_ms(clock_now_ns()));
    assert_int_equal(INT_MAX, clock_poll_ms(CLOCK_NEVER - 1));
    int ms = clock_poll_ms(clock_now_ns() + 5000 * NS_PER_MS);
    assert_in_range(ms, 1, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(times_are_written_in_utc_with_microseconds),
        cmocka_unit_test(the_plain_form_is_what_is_written_and_nothing_else),
        cmocka_unit_test(good_times_are_read),
        cmocka_unit_test(wrong_times_are_refused_and_change_nothing),
        cmocka_unit_test(a_time_is_never_read_past_its_end),
        cmocka_unit_test(deadlines_saturate),
        cmocka_unit_test(poll_is_told_rounded_up_and_never_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
