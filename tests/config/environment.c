/* SPDX-License-Identifier: MIT */
#include "config/scratch.h"

static quern_config *config;
static quern_error error;

static int make(void **state)
{
    (void)state;
    clearenv();
    config = quern_config_new();
    return config ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    quern_config_free(config);
    return 0;
}

static void variables_set_keys(void **state)
{
    (void)state;
    setenv("QUERN_THREADS", "3", 1);
    setenv("QUERN_REDIS", "unix:///run/r.sock", 1);
    setenv("QUERN_CLAIM_IDLE_MS", "700", 1);
    setenv("QUERN_REQUIRED_GROUPS", "[\"a\"]", 1);
    setenv("QUERN_TRIM", "false", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_OK);
    assert_int_equal(config->threads, 3);
    assert_string_equal(config->redis, "unix:///run/r.sock");
    assert_int_equal(config->lease_ms, 700);
    assert_int_equal(config->required_groups.count, 1);
    assert_false(config->trim);
    assert_int_equal(quern_config_environment(NULL, &error), QUERN_E_ARGUMENT);
}

static void the_parameters_of_streamix_queue_are_variables_too(void **state)
{
    (void)state;
    setenv("QUERN_REDIS_URL", "redis://of.that.name:6379/1", 1);
    setenv("QUERN_CONSUMER", "me", 1);
    setenv("QUERN_RETRY_LIMIT", "5", 1);
    setenv("QUERN_BATCH_SIZE", "10", 1);
    setenv("QUERN_BLOCK_MS", "1000", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_OK);
    assert_string_equal(config->redis, "redis://of.that.name:6379/1");
    setenv("QUERN_REDIS", "redis://other", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, "QUERN_REDIS_URL: is another name of QUERN_REDIS, which is set too; unset one of them");
}

static void a_variable_that_is_wrong_changes_nothing(void **state)
{
    (void)state;
    setenv("QUERN_STREAM", "orders", 1);
    setenv("QUERN_THREADS", "none", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, "QUERN_THREADS: \"none\" is not a whole number; use auto, or a whole number, 1 to 1024");
    assert_string_equal(config->stream, "app.events");
}

static void an_empty_variable_is_as_good_as_none(void **state)
{
    (void)state;
    setenv("QUERN_THREADS", "", 1);
    setenv("QUERN_STREAM", "", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_OK);
    assert_string_equal(config->stream, "app.events");
}

static void a_key_and_its_alias_cannot_both_be_set(void **state)
{
    (void)state;
    setenv("QUERN_LEASE_MS", "500", 1);
    setenv("QUERN_CLAIM_IDLE_MS", "600", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_E_CONFIG);
    assert_string_equal(error.text,
                        "QUERN_CLAIM_IDLE_MS: is another name of QUERN_LEASE_MS, which is set too; unset one of them");
}

static void names_of_others_are_left_alone(void **state)
{
    (void)state;
    static const char *const others[] = {
        "QUERN_ID",           "QUERN_EVENT",      "QUERN_RETRIES",      "QUERN_ENTRY",       "QUERN_DELIVERIES", "QUERN_HOLDER",
        "QUERN_SERVICE_HOST", "QUERN_PORT",       "QUERN_SERVICE_PORT", "QUERN_PORT_80_TCP", "QUERN_",           "QUERN",
        "QUERNTHREAD",        "QUERN_SOURCE_DIR", "QUERN_SANITIZE"};
    for (size_t i = 0; i < COUNT_OF(others); i++) setenv(others[i], "x", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_OK);
}

static void a_typo_is_refused_instead_of_ignored(void **state)
{
    (void)state;
    static const char *const typos[][2] = {
        {"QUERN_THREAD", "QUERN_THREAD: there is no such key; did you mean QUERN_THREADS?"},
        {"QUERN_LAESE_MS", "QUERN_LAESE_MS: there is no such key; did you mean QUERN_LEASE_MS?"},
        {"QUERN_stream", "QUERN_stream: there is no such key; did you mean QUERN_STREAM?"},
    };
    for (size_t i = 0; i < COUNT_OF(typos); i++) {
        clearenv();
        setenv(typos[i][0], "5", 1);
        assert_int_equal(quern_config_environment(config, &error), QUERN_E_CONFIG);
        assert_string_equal(error.text, typos[i][1]);
    }
}

static void the_redis_url_is_in_no_error(void **state)
{
    (void)state;
    setenv("QUERN_REDIS", "redis://:hunter2@host\x01", 1);
    assert_int_equal(quern_config_environment(config, &error), QUERN_E_CONFIG);
    assert_null(strstr(error.text, "hunter2"));
    assert_null(config->redis);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(variables_set_keys),
        TEST(the_parameters_of_streamix_queue_are_variables_too),
        TEST(a_variable_that_is_wrong_changes_nothing),
        TEST(an_empty_variable_is_as_good_as_none),
        TEST(a_key_and_its_alias_cannot_both_be_set),
        TEST(names_of_others_are_left_alone),
        TEST(a_typo_is_refused_instead_of_ignored),
        TEST(the_redis_url_is_in_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
