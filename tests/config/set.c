/* SPDX-License-Identifier: MIT */
#include "config/scratch.h"

static quern_config *config;

static int make(void **state)
{
    (void)state;
    config = quern_config_new();
    return config ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    quern_config_free(config);
    return 0;
}

static void accepts(const char *key, const char *value)
{
    quern_error error = {0};
    if (quern_config_set(config, key, value, &error) != QUERN_OK) fail_msg("%s = %s: %s", key, value, error.text);
}

/* Refused with this text, and nothing changed. */
static void refuses(const char *key, const char *value, const char *text)
{
    quern_error error = {0};
    char *before = quern_config_get(config, key);
    assert_int_equal(quern_config_set(config, key, value, &error), QUERN_E_CONFIG);
    if (text) assert_string_equal(error.text, text);
    assert_string_equal(value_now(config, key), before ? before : "(not set)");
    free(before);
}

/* A value of the row that is not its default. */
static const char *other_value(const struct config_row *row)
{
    static const char *const values[CONFIG_TYPES] = {
        [CONFIG_TEXT] = "/a/path of b",
        [CONFIG_NAME] = "größe",
        [CONFIG_GROUP] = "reports",
        [CONFIG_START] = "1700-3",
        [CONFIG_NUMBER] = "65537",
        [CONFIG_THREADS] = "7",
        [CONFIG_BOOL] = NULL,
        [CONFIG_CHOICE] = NULL,
        [CONFIG_GROUPS] = "[\"a\",\"b\"]",
        [CONFIG_QUEUES] = "[{\"stream\":\"a\"},{\"stream\":\"b\",\"group\":\"g\",\"retry_limit\":9}]",
        [CONFIG_WORKERS] = "[{\"event\":\"*\",\"module\":\"burn\",\"options\":{\"us\":5},\"timeout_ms\":9}]",
    };
    if (row->type == CONFIG_BOOL) return !strcmp(row->fallback, "true") ? "false" : "true";
    if (row->type == CONFIG_CHOICE) return strrchr(row->choices, '|') + 1;
    if (row->type == CONFIG_NUMBER && row->max < 65537) return "200";
    return values[row->type];
}

static void what_is_set_is_what_is_got_for_every_key(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        accepts(rows[i].name, other_value(&rows[i]));
        assert_string_equal(value_now(config, rows[i].name), other_value(&rows[i]));
        if (rows[i].alias) assert_string_equal(value_now(config, rows[i].alias), other_value(&rows[i]));
    }
    for (size_t i = 0; i < count; i++) { /* and no key has written into another */
        assert_string_equal(value_now(config, rows[i].name), other_value(&rows[i]));
        accepts(rows[i].name, rows[i].fallback ? rows[i].fallback : "");
        assert_string_equal(value_now(config, rows[i].name), rows[i].fallback ? rows[i].fallback : "(not set)");
    }
}

static void numbers_are_taken_from_edge_to_edge(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        if (rows[i].type != CONFIG_NUMBER && rows[i].type != CONFIG_THREADS) continue;
        const int64_t inside[] = {rows[i].min, rows[i].max}, outside[] = {rows[i].min - 1, rows[i].max + 1};
        for (size_t edge = 0; edge < 2; edge++) {
            snprintf(text, sizeof text, "%lld", (long long)inside[edge]);
            accepts(rows[i].name, text);
            assert_string_equal(value_now(config, rows[i].name), text);
            snprintf(text, sizeof text, "%lld", (long long)outside[edge]);
            refuses(rows[i].name, text, NULL);
        }
    }
}

static void texts_are_taken_from_edge_to_edge(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char text[5000];
        if (rows[i].type > CONFIG_GROUP) continue;
        memset(text, 'x', sizeof text);
        text[rows[i].max + 1] = 0;
        refuses(rows[i].name, text, NULL);
        text[rows[i].max] = 0;
        accepts(rows[i].name, text);
        accepts(rows[i].name, "x");
        if (rows[i].fallback) refuses(rows[i].name, "", NULL);
    }
}

static void a_refusal_says_what_would_be_right(void **state)
{
    (void)state;
    refuses("threads", "0", "threads: 0 is out of range; use auto, or a whole number, 1 to 1024");
    refuses("threads", "many", "threads: \"many\" is not a whole number; use auto, or a whole number, 1 to 1024");
    refuses("claim_idle_ms", "1.5", "claim_idle_ms: 1.5 is not a whole number; use a whole number, 100 to 86400000");
    refuses("heartbeat_ms", "9", "heartbeat_ms: 9 is out of range; use a whole number, 10 to 43200000, or null");
    refuses("lease_ms", "99999999999999999999", NULL);
    refuses("lease_ms", "\"500\"", NULL);
    refuses("trim", "yes", "trim: \"yes\" is neither true nor false; use true or false");
    refuses("log_level", "loud", "log_level: \"loud\" is not among the choices; use one of error|warning|info|debug");
    refuses("log_level", "erro", NULL);
    refuses("start", "yesterday",
            "start: \"yesterday\" is no place in a stream; use 0, $, or an entry id such as 1700000000000-0");
    refuses("start", "1-", NULL);
    refuses("stream", "a b", NULL);
    refuses("stream", "a\nb", NULL);
    refuses("stream", "a\xff", NULL);
    refuses("group", "a:b", NULL);
    refuses("group", "failed", NULL);
    refuses("required_groups", "a,b",
            "required_groups: \"a,b\" is not a list; use a JSON list of group names, 0 to 64 of them");
    refuses("required_groups", "[\"a\", 5]", NULL);
    refuses("workers", "[]", NULL);
    refuses("workers", "[{\"event\":\"x\"}]", "workers[0].module: is missing; use a name such as \"deflate\"");
}

static void a_key_that_does_not_exist_is_named_with_the_one_that_was_meant(void **state)
{
    (void)state;
    quern_error error;
    assert_int_equal(quern_config_set(config, "leese_ms", "500", &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, "leese_ms: there is no such key; did you mean lease_ms?");
    assert_int_equal(quern_config_set(config, "colour", "red", &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, "colour: there is no such key; remove it");
    assert_int_equal(quern_config_set(config, "redis://:secret@host", "x", &error), QUERN_E_CONFIG);
    assert_null(strstr(error.text, "secret"));
    assert_null(quern_config_get(config, "colour"));
}

static void arguments_that_are_missing_are_refused(void **state)
{
    (void)state;
    quern_error error;
    assert_int_equal(quern_config_set(NULL, "threads", "1", &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_config_set(config, NULL, "1", NULL), QUERN_E_ARGUMENT);
    assert_int_equal(quern_config_set(config, "threads", NULL, &error), QUERN_E_ARGUMENT);
    assert_null(quern_config_get(config, NULL));
    assert_null(quern_config_get(NULL, "threads"));
    assert_int_equal(quern_config_problems(NULL, NULL, NULL), 0);
    quern_config_free(NULL);
}

static void the_redis_url_is_in_no_error(void **state)
{
    (void)state;
    quern_error error;
    assert_int_equal(quern_config_set(config, "redis", "redis://:hunter2@host\n", &error), QUERN_E_CONFIG);
    assert_null(strstr(error.text, "hunter2"));
    assert_int_equal(quern_config_set(config, "redis_url", "redis://:hunter2@host\n", &error), QUERN_E_CONFIG);
    assert_null(strstr(error.text, "hunter2"));
    assert_int_equal(quern_config_set(config, "redis_url", "redis://host", &error), QUERN_OK);
    assert_string_equal(config->redis, "redis://host");
    assert_int_equal(quern_config_set(config, "redis", "redis://:hunter2@\xff", &error), QUERN_E_CONFIG);
    assert_null(strstr(error.text, "hunter2"));
    accepts("redis", "redis://:hunter2@host");
    assert_string_equal(value_now(config, "redis"), "redis://:hunter2@host");
}

static void an_empty_text_unsets_what_may_be_unset(void **state)
{
    (void)state;
    accepts("consumer", "mill");
    accepts("consumer", "");
    assert_null(config->consumer);
    accepts("heartbeat_ms", "500");
    accepts("heartbeat_ms", "null");
    assert_int_equal(config->heartbeat_ms, 0);
    refuses("lease_ms", "", NULL);
    refuses("lease_ms", "null", NULL);
}

static void heartbeat_and_block_follow_the_lease(void **state)
{
    (void)state;
    assert_int_equal(config_heartbeat_ms(config), 5000);
    assert_int_equal(config_block_ms(config), 2000);
    accepts("lease_ms", "300");
    assert_int_equal(config_heartbeat_ms(config), 50);
    assert_int_equal(config_block_ms(config), 75);
    accepts("heartbeat_ms", "40");
    assert_int_equal(config_heartbeat_ms(config), 40);
}

static void keys_that_disagree_are_found(void **state)
{
    (void)state;
    quern_error error;
    assert_int_equal(config_check(config, &error), QUERN_OK);
    accepts("lease_ms", "1000");
    accepts("heartbeat_ms", "499");
    assert_int_equal(config_check(config, &error), QUERN_OK);
    accepts("heartbeat_ms", "500");
    assert_int_equal(config_check(config, &error), QUERN_E_CONFIG);
    assert_string_equal(error.text,
                        "heartbeat_ms: 500 is half of lease_ms (1000) or more: one late renewal would lose jobs; use "
                        "less than 500, or null for a sixth");
    accepts("heartbeat_ms", "");
    accepts("ignored_groups", "[\"app.workers\"]");
    assert_int_equal(config_check(config, &error), QUERN_E_CONFIG);
    accepts("ignored_groups", "[\"audit\"]");
    assert_int_equal(config_check(config, &error), QUERN_OK);
    accepts("required_groups", "[\"mail\", \"audit\"]");
    assert_int_equal(config_check(config, &error), QUERN_E_CONFIG);
    accepts("required_groups", "[]");
    accepts("backoff_ms", "200");
    accepts("backoff_max_ms", "100");
    assert_int_equal(config_check(config, &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, "backoff_ms: 200 is more than backoff_max_ms (100), the longest pause; use at most that");
    accepts("backoff_ms", "100");
    assert_int_equal(config_check(config, &error), QUERN_OK);
}

static void the_shortest_lease_has_a_heartbeat_that_fits(void **state)
{
    (void)state;
    accepts("lease_ms", "100");
    assert_int_equal(config_check(config, NULL), QUERN_OK);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_set_is_what_is_got_for_every_key),
        TEST(numbers_are_taken_from_edge_to_edge),
        TEST(texts_are_taken_from_edge_to_edge),
        TEST(a_refusal_says_what_would_be_right),
        TEST(a_key_that_does_not_exist_is_named_with_the_one_that_was_meant),
        TEST(arguments_that_are_missing_are_refused),
        TEST(the_redis_url_is_in_no_error),
        TEST(an_empty_text_unsets_what_may_be_unset),
        TEST(heartbeat_and_block_follow_the_lease),
        TEST(keys_that_disagree_are_found),
        TEST(the_shortest_lease_has_a_heartbeat_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
