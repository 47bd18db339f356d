/* SPDX-License-Identifier: MIT */
#include "config/scratch.h"

#include "config/policy.h"

static quern_config *config;
static quern_error error;

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

static quern_verdict run(quern_job *job, void *thread, void *user)
{
    (void)job;
    (void)thread;
    (void)user;
    return QUERN_DONE;
}

static int on(const char *event, const char *policy)
{
    return quern_config_on(
        config, &(quern_handler){.size = sizeof(quern_handler), .event = event, .run = run, .user = config, .policy = policy},
        &error);
}

static void a_handler_is_copied_with_its_texts(void **state)
{
    (void)state;
    char event[] = "sum", policy[] = "{\"timeout_ms\": 5}";
    assert_int_equal(on(event, policy), QUERN_OK);
    memset(event, 'x', sizeof event - 1);
    memset(policy, 'x', sizeof policy - 1);
    assert_int_equal(on("*", NULL), QUERN_OK);
    assert_int_equal(config->handlers.count, 2);
    assert_string_equal(config->handlers.at[0].event, "sum");
    assert_string_equal(config->handlers.at[0].policy, "{\"timeout_ms\": 5}");
    assert_ptr_equal(config->handlers.at[0].run, run);
    assert_ptr_equal(config->handlers.at[0].user, config);
    assert_null(config->handlers.at[1].policy);
}

static void an_event_has_one_handler(void **state)
{
    (void)state;
    assert_int_equal(on("sum", NULL), QUERN_OK);
    assert_int_equal(on("sum", NULL), QUERN_E_ARGUMENT);
    assert_string_equal(error.text, "handler of \"sum\": the event has a handler already; add one per event");
    assert_int_equal(config->handlers.count, 1);
}

static void what_is_incomplete_is_refused(void **state)
{
    (void)state;
    char long_event[258];
    memset(long_event, 'e', 257);
    long_event[257] = 0;
    assert_int_equal(on(NULL, NULL), QUERN_E_ARGUMENT);
    assert_int_equal(on("", NULL), QUERN_E_ARGUMENT);
    assert_int_equal(on("a\nb", NULL), QUERN_E_ARGUMENT);
    assert_int_equal(on("a\xff", NULL), QUERN_E_ARGUMENT);
    assert_int_equal(on(long_event, NULL), QUERN_E_ARGUMENT);
    assert_int_equal(on(long_event + 1, NULL), QUERN_OK);
    quern_handler handler = {.size = sizeof handler, .event = "x"};
    assert_int_equal(quern_config_on(config, &handler, &error), QUERN_E_ARGUMENT);
    assert_non_null(strstr(error.text, "run is NULL"));
    handler.run = run;
    handler.size = 0;
    assert_int_equal(quern_config_on(config, &handler, &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_config_on(config, NULL, &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_config_on(NULL, &handler, NULL), QUERN_E_ARGUMENT);
    assert_int_equal(config->handlers.count, 1);
}

static void a_wrong_policy_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"timeout\": 5}", "handler of \"x\": policy: timeout: there is no such key; did you mean timeout_ms?"},
        {"{\"lease_ms\": 500}", "handler of \"x\": policy: lease_ms: holds for all events and cannot be set for one; set it "
                                "outside the worker or handler"},
        {"{\"timeout_ms\": null}",
         "handler of \"x\": policy: timeout_ms: null is not a whole number; use a whole number, 0 to 604800000"},
        {"[]", "handler of \"x\": policy: not an object; use one such as {\"timeout_ms\": 60000}"},
        {"{\"timeout_ms\": }",
         "handler of \"x\": policy: not JSON at character 16; use an object such as {\"timeout_ms\": 60000}"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(on("x", wrong[i][0]), QUERN_E_CONFIG);
        assert_string_equal(error.text, wrong[i][1]);
    }
    assert_int_equal(config->handlers.count, 0);
}

static void a_policy_is_the_configuration_overlaid(void **state)
{
    (void)state;
    struct policy policy = {.timeout_ms = -1};
    assert_int_equal(quern_config_set(config, "timeout_ms", "9000", &error), QUERN_OK);
    assert_int_equal(policy_read(config, "{\"timeout_ms\": false}", &policy, &error), QUERN_E_CONFIG);
    assert_int_equal(policy.timeout_ms, -1);
    assert_int_equal(policy_read(config, NULL, &policy, &error), QUERN_OK);
    assert_int_equal(policy.timeout_ms, 9000);
    assert_int_equal(policy_read(config, "{\"timeout_ms\": 0}", &policy, &error), QUERN_OK);
    assert_int_equal(policy.timeout_ms, 0);
    assert_int_equal(policy_read(config, "{}", &policy, &error), QUERN_OK);
    assert_int_equal(policy.timeout_ms, 9000);
}

static void see(void *user, const quern_notice *notice)
{
    (void)user;
    (void)notice;
}

static void hear(void *user, int level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static void a_copy_shares_nothing_with_its_original(void **state)
{
    (void)state;
    quern_config_observe(config, QUERN_NOTICE_ALL, see, &error);
    quern_config_log(config, hear, config);
    assert_int_equal(on("sum", "{}"), QUERN_OK);
    assert_int_equal(quern_config_set(config, "redis", "unix:///a", &error), QUERN_OK);
    assert_int_equal(quern_config_set(config, "ignored_groups", "[\"a\",\"b\"]", &error), QUERN_OK);
    assert_int_equal(quern_config_set(config, "workers", "[{\"event\":\"e\",\"module\":\"m\"}]", &error), QUERN_OK);
    quern_config *copy = config_copy(config);
    assert_int_equal(quern_config_set(config, "redis", "unix:///b", &error), QUERN_OK);
    assert_int_equal(quern_config_set(config, "ignored_groups", "[]", &error), QUERN_OK);
    assert_int_equal(quern_config_set(config, "threads", "5", &error), QUERN_OK);
    drop(NULL);
    config = copy;
    assert_string_equal(copy->redis, "unix:///a");
    assert_int_equal(copy->threads, 0);
    assert_int_equal(copy->ignored_groups.count, 2);
    assert_string_equal(copy->ignored_groups.texts[1], "b");
    assert_null(copy->ignored_groups.texts[2]);
    assert_string_equal(copy->workers.at[0].module, "m");
    assert_string_equal(copy->handlers.at[0].event, "sum");
    assert_string_equal(copy->handlers.at[0].policy, "{}");
    assert_ptr_equal(copy->observer, see);
    assert_ptr_equal(copy->observer_user, &error);
    assert_ptr_equal(copy->logger, hear);
}

static void a_load_keeps_handlers_and_callbacks(void **state)
{
    (void)state;
    struct lines lines;
    quern_config_observe(config, QUERN_NOTICE_ALL, see, &error);
    assert_int_equal(on("sum", NULL), QUERN_OK);
    assert_int_equal(scratch_load(config, "{\"threads\": 2}", &lines), QUERN_OK);
    assert_int_equal(config->handlers.count, 1);
    assert_ptr_equal(config->observer, see);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handler_is_copied_with_its_texts),     TEST(an_event_has_one_handler),
        TEST(what_is_incomplete_is_refused),          TEST(a_wrong_policy_is_refused),
        TEST(a_policy_is_the_configuration_overlaid), TEST(a_copy_shares_nothing_with_its_original),
        TEST(a_load_keeps_handlers_and_callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
