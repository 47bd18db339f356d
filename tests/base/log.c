/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <jansson.h>

#include "support/unit.h"

static char lines[64][LOG_LINE_MAX];
static int levels[64];
static unsigned count;
static int64_t now_ns;

static void keep(void *user, int level, const char *line)
{
    assert_ptr_equal(lines, user);
    levels[count] = level;
    snprintf(lines[count++], LOG_LINE_MAX, "%s", line);
}

static int64_t tell_time(void)
{
    return now_ns;
}

static struct log *make(enum log_format format, enum log_level level)
{
    count = 0;
    now_ns = NS_PER_S;
    struct log *log = log_open(&(struct log_options){level, format, keep, lines, tell_time});
    assert_non_null(log);
    return log;
}

/* One line is one line, of plain bytes, in its bound. */
static void is_one_line(const char *line)
{
    assert_in_range(strlen(line), 1, LOG_LINE_MAX - 1);
    for (const char *at = line; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) fail_msg("a control character in: %s", line);
    assert_true(bytes_is_utf8(bytes_of(line)));
}

/* The line of one field in text format, from "x=" on. */
static const char *as_text(quern_bytes value)
{
    struct log *log = make(LOG_FORMAT_TEXT, LOG_INFO);
    log_event(log, LOG_INFO, "e", LOG_BYTES("x", value));
    log_close(log);
    is_one_line(lines[0]);
    const char *at = strstr(lines[0], " x=");
    assert_non_null(at);
    return at + 3;
}

/* Its one field in JSON format, read back by a parser that is not ours. */
static json_t *as_json(const char *line)
{
    json_error_t why;
    is_one_line(line);
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!object) fail_msg("%s in: %s", why.text, line);
    assert_true(json_is_object(object));
    return object;
}

static void text_is_escaped_where_it_could_forge(void **state)
{
    static const struct {
        quern_bytes value;
        const char *shown;
    } table[] = {
        {{"plain", 5}, "plain"},
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"two words", 9}, "\"two words\""},
        {{"a=b", 3}, "\"a=b\""},
        {{"a\nlevel=error", 13}, "\"a\\u000alevel=error\""},
        {{"\r", 1}, "\"\\u000d\""},
        {{"\x1b[2J", 4}, "\"\\u001b[2J\""},
        {{"say \"hi\"", 8}, "\"say \\\"hi\\\"\""},
        {{"\"", 1}, "\"\\\"\""},
        {{"back\\slash", 10}, "\"back\\\\slash\""},
        {{"\x7f", 1}, "\"\\u007f\""},
        {{"a\0b", 3}, "\"a\\u0000b\""},
        {{"gr\xc3\xb6\xc3\x9f\x65", 7}, "gr\xc3\xb6\xc3\x9f\x65"},
        {{"\xc2\x9b"
          "2J",
          4},
         "\"\\u009b2J\""}, /* a C1 control */
        {{"a\xe2\x80\xae"
          "b",
          5},
         "\"a\\u202eb\""},                       /* right-to-left override */
        {{"\xe2\x81\xa6", 3}, "\"\\u2066\""},    /* an isolate */
        {{"\xe2\x80\xa8", 3}, "\"\\u2028\""},    /* a line separator */
        {{"\xd8\x9c", 2}, "\"\\u061c\""},        /* the Arabic mark */
        {{"\xff\xc3", 2}, "\"\\u00ff\\u00c3\""}, /* not UTF-8 */
        {{"\xf0\x9f\x98\x80", 4}, "\xf0\x9f\x98\x80"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) assert_string_equal(table[i].shown, as_text(table[i].value));
}

static void json_gives_back_what_was_said(void **state)
{
    static const char *const table[] = {"plain",
                                        "",
                                        "two words",
                                        "a=b",
                                        "a\nb",
                                        "\x1b[2J",
                                        "say \"hi\"",
                                        "back\\slash",
                                        "\x7f",
                                        "gr\xc3\xb6\xc3\x9f\x65",
                                        "a\xe2\x80\xae"
                                        "b",
                                        "\xf0\x9f\x98\x80"};
    (void)state;
    struct log *log = make(LOG_FORMAT_JSON, LOG_INFO);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        log_event(log, LOG_WARNING, "named", LOG_TEXT("x", table[i]), LOG_INT("n", -5));
        json_t *object = as_json(lines[i]);
        assert_string_equal(table[i], json_string_value(json_object_get(object, "x")));
        assert_string_equal("named", json_string_value(json_object_get(object, "event")));
        assert_string_equal("warning", json_string_value(json_object_get(object, "level")));
        assert_int_equal(-5, json_integer_value(json_object_get(object, "n")));
        int64_t unix_ms;
        const char *time = json_string_value(json_object_get(object, "time"));
        assert_int_equal(0, clock_parse_iso(time, strlen(time), &unix_ms));
        json_decref(object);
    }
    log_close(log);
}

static void a_level_that_is_not_wanted_is_not_written(void **state)
{
    (void)state;
    for (int wanted = LOG_ERROR; wanted <= LOG_DEBUG; wanted++) {
        struct log *log = make(LOG_FORMAT_TEXT, (enum log_level)wanted);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++)
            log_event(log, (enum log_level)level, "e", LOG_INT("n", level));
        assert_int_equal(wanted + 1, count);
        for (int level = LOG_ERROR; level <= wanted; level++) assert_int_equal(level, levels[level]);
        log_close(log);
    }
    log_event(NULL, LOG_ERROR, "nobody_listens", LOG_INT("n", 1));
}

static void equal_lines_are_counted_instead_of_written(void **state)
{
    (void)state;
    struct log *log = make(LOG_FORMAT_TEXT, LOG_INFO);
    for (int i = 0; i < 1000; i++) {
        log_event(log, LOG_INFO, "same", LOG_TEXT("x", "y"));
        log_event(log, LOG_INFO, "other", LOG_INT("n", 1));
    }
    assert_int_equal(2, count);
    log_close(log);
}

static void says(unsigned at, const char *what)
{
    if (at >= count || !strstr(lines[at], what))
        fail_msg("line %u is not of %s: %s", at, what, at < count ? lines[at] : "none");
}

static void repeat(struct log *log, enum log_level level, const char *name, int times)
{
    while (times--) log_event(log, level, name, LOG_TEXT("x", "y"));
}

static void the_next_of_its_kind_says_how_many_were_held_back(void **state)
{
    (void)state;
    struct log *log = make(LOG_FORMAT_TEXT, LOG_INFO);
    repeat(log, LOG_INFO, "same", 5);
    now_ns += 4999 * NS_PER_MS;
    repeat(log, LOG_INFO, "same", 1);
    assert_int_equal(1, count);
    now_ns += NS_PER_MS;
    repeat(log, LOG_INFO, "same", 1);
    assert_int_equal(2, count);
    says(1, "event=same x=y repeated=5");
    log_flush(log);
    assert_int_equal(2, count);
    log_close(log);
}

/* Whatever is said next, and also where nothing is. */
static void what_was_held_back_is_written_where_none_of_its_kind_comes(void **state)
{
    (void)state;
    struct log *log = make(LOG_FORMAT_TEXT, LOG_INFO);
    repeat(log, LOG_WARNING, "lost", 4);
    now_ns += 4999 * NS_PER_MS;
    repeat(log, LOG_INFO, "other", 1);
    assert_int_equal(2, count);
    now_ns += NS_PER_MS;
    repeat(log, LOG_INFO, "other", 1);
    assert_int_equal(3, count);
    says(2, "level=warning event=lost x=y repeated=2");
    assert_int_equal(LOG_WARNING, levels[2]);
    log_flush(log);
    assert_int_equal(4, count);
    says(3, "level=info event=other x=y");
    assert_null(strstr(lines[3], "repeated")); /* it is the only one */
    log_flush(log);
    assert_int_equal(4, count);
    repeat(log, LOG_INFO, "other", 1); /* it was written just now */
    assert_int_equal(4, count);
    log_set_level(log, LOG_WARNING);
    log_flush(log);
    assert_int_equal(4, count);
    log_set_level(log, LOG_INFO);
    now_ns += 5000 * NS_PER_MS;
    repeat(log, LOG_INFO, "other", 1);
    assert_int_equal(5, count);
    log_close(log);
}

static void what_was_held_back_is_written_before_it_is_forgotten(void **state)
{
    enum { OTHERS = 20 };
    (void)state;
    struct log *log = make(LOG_FORMAT_JSON, LOG_INFO);
    repeat(log, LOG_WARNING, "lost", 3);
    for (int i = 0; i < OTHERS; i++) {
        now_ns += NS_PER_MS;
        log_event(log, LOG_INFO, "numbered", LOG_INT("n", i));
    }
    assert_int_equal(1 + OTHERS + 1, count);
    int told = 0;
    for (unsigned i = 1; i < count; i++) {
        json_t *object = as_json(lines[i]);
        if (!strcmp(json_string_value(json_object_get(object, "event")), "lost")) {
            assert_string_equal("y", json_string_value(json_object_get(object, "x")));
            assert_int_equal(1, json_integer_value(json_object_get(object, "repeated")));
            told++;
        }
        json_decref(object);
    }
    assert_int_equal(1, told);
    log_close(log);
}

static void lines_that_differ_are_all_written(void **state)
{
    (void)state;
    struct log *log = make(LOG_FORMAT_TEXT, LOG_INFO);
    for (int i = 0; i < 50; i++) log_event(log, LOG_INFO, "numbered", LOG_INT("n", i));
    assert_int_equal(50, count);
    log_close(log);
}

/* Whatever is too much for a line, in either format: the line ends well, and its first fields are there. */
static void a_line_over_its_bound_stays_well_formed(void **state)
{
    static const char *const fillings[] = {"x",  "\n", "\"", "\\", "\xc3\xb6", "\xe2\x80\xae", "\xff", "\xf0\x9f\x98\x80",
                                           "\0", "a b"};
    (void)state;
    char filled[2000];
    for (size_t row = 0; row < COUNT_OF(fillings); row++) {
        for (size_t len = 0; len<sizeof filled; len += len> 380 && len < 420 ? 1 : 37) {
            size_t step = fillings[row][0] ? strlen(fillings[row]) : 1;
            for (size_t i = 0; i < len; i++) filled[i] = fillings[row][i % step];
            for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
                struct log *log = make((enum log_format)format, LOG_INFO);
                quern_bytes value = {filled, len};
                log_event(log, LOG_INFO, "long", LOG_INT("n", 7), LOG_BYTES("a", value), LOG_BYTES("b", value),
                          LOG_BYTES("c", value), LOG_BYTES("d", value), LOG_INT("last", INT64_MIN));
                is_one_line(lines[0]);
                if (format == LOG_FORMAT_JSON) {
                    json_t *object = as_json(lines[0]);
                    assert_int_equal(7, json_integer_value(json_object_get(object, "n")));
                    json_decref(object);
                }
                log_close(log);
            }
        }
    }
}

static void the_level_can_change(void **state)
{
    (void)state;
    struct log *log = make(LOG_FORMAT_TEXT, LOG_WARNING);
    log_event(log, LOG_INFO, "before");
    assert_int_equal(0, count);
    log_set_level(log, LOG_INFO);
    log_event(log, LOG_INFO, "between");
    log_event(log, LOG_DEBUG, "between");
    assert_int_equal(1, count);
    log_set_level(log, LOG_ERROR);
    log_event(log, LOG_WARNING, "after");
    assert_int_equal(1, count);
    log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped_where_it_could_forge),
        cmocka_unit_test(json_gives_back_what_was_said),
        cmocka_unit_test(a_level_that_is_not_wanted_is_not_written),
        cmocka_unit_test(equal_lines_are_counted_instead_of_written),
        cmocka_unit_test(the_next_of_its_kind_says_how_many_were_held_back),
        cmocka_unit_test(what_was_held_back_is_written_where_none_of_its_kind_comes),
        cmocka_unit_test(what_was_held_back_is_written_before_it_is_forgotten),
        cmocka_unit_test(lines_that_differ_are_all_written),
        cmocka_unit_test(a_line_over_its_bound_stays_well_formed),
        cmocka_unit_test(the_level_can_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
