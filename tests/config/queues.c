/* SPDX-License-Identifier: MIT */
#include "config/queues.h"

#include "config/scratch.h"

static quern_config *config;
static struct lines lines;
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

static void refuses(const char *queues, const char *line)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"queues\": %s}", queues);
    assert_int_equal(QUERN_E_CONFIG, scratch_load(config, text, &lines));
    assert_string_equal(line, lines.text[0]);
    assert_int_equal(1, lines.count);
}

static void what_is_wrong_with_a_queue_is_said(void **state)
{
    (void)state;
    refuses("[]",
            "queues: a list without queues has nothing to do; use a JSON list such as [\"urgent\", {\"stream\": \"daily\", "
            "\"retry_limit\": 9}], 1 to 32 of them");
    refuses("\"urgent\"", "queues: \"urgent\" is not a list; use a JSON list such as [\"urgent\", {\"stream\": \"daily\", "
                          "\"retry_limit\": 9}], 1 to 32 of them");
    refuses("[7]", "queues[0]: 7 is no queue; use a stream's name, or {\"stream\": \"app.urgent\", \"retry_limit\": 9}");
    refuses("[{\"group\": \"g\"}]", "queues[0].stream: is missing; use a name such as \"app.urgent\"");
    refuses("[\"a b\"]",
            "queues[0]: \"a b\" has a space; use a name of UTF-8 without spaces and control characters, 1 to 512 bytes");
    refuses("[{\"stream\": \"a\", \"weight\": 0}]", "queues[0].weight: 0 is no weight; use a whole number, 1 to 1000");
    refuses("[{\"stream\": \"a\", \"weight\": 2}, \"b\"]", "queues[1].weight: is missing; give every queue a weight (then they "
                                                           "share the threads), or none (then a queue is served "
                                                           "while those before it are empty)");
    refuses("[{\"stream\": \"a\", \"threads\": 2}]",
            "queues[0].threads: holds for all queues and cannot be set for one; set it outside the list");
    refuses("[{\"stream\": \"a\", \"retry_limt\": 2}]",
            "queues[0].retry_limt: there is no such key; did you mean retry_limit?");
    refuses("[{\"stream\": \"a\", \"retry_limit\": -2}]",
            "queues[0].retry_limit: -2 is out of range; use a whole number, -1 to 1000000");
}

static void set(const char *key, const char *value)
{
    if (quern_config_set(config, key, value, &error)) fail_msg("%s", error.text);
}

static void each_has_what_holds_for_all_and_its_own_over_it(void **state)
{
    (void)state;
    struct served served;
    set("group", "g");
    set("retry_limit", "4");
    set("queues", "[\"a\", {\"stream\": \"b\", \"group\": \"h\", \"retry_limit\": 9, \"max_pending\": 10, \"trim\": false}]");
    assert_int_equal(QUERN_OK, served_open(config, &served, &error));
    assert_int_equal(2, served.count);
    assert_string_equal("a", served.at[0]->stream);
    assert_string_equal("g", served.at[0]->group);
    assert_true(served.at[0]->retry_limit == 4 && served.at[0]->trim && served.at[0]->weight == 0);
    assert_string_equal("b", served.at[1]->stream);
    assert_string_equal("h", served.at[1]->group);
    assert_true(served.at[1]->retry_limit == 9 && served.at[1]->max_pending == 10 && !served.at[1]->trim);
    assert_int_equal(0, served.at[1]->queues.count);
    served_close(&served);
}

static void without_the_key_there_is_the_one_of_stream_and_group(void **state)
{
    (void)state;
    struct served served;
    assert_int_equal(QUERN_OK, served_open(config, &served, &error));
    assert_int_equal(1, served.count);
    assert_string_equal("app.events", served.at[0]->stream);
    served_close(&served);
}

static void a_stream_that_is_given_means_that_one(void **state)
{
    (void)state;
    set("queues", "[\"a\", {\"stream\": \"b\", \"group\": \"h\"}]");
    assert_null(served_one(config, &error));
    assert_string_equal("stream: which of queues is meant? set it (--stream) to one of them: a, b", error.text);
    set("stream", "b");
    quern_config *one = served_one(config, &error);
    assert_non_null(one);
    assert_string_equal("h", one->group);
    quern_config_free(one);
    set("stream", "c");
    assert_null(served_one(config, &error));
    assert_string_equal("stream: \"c\" is none of queues (a, b); name one of them", error.text);
    assert_int_equal(QUERN_E_CONFIG, config_check(config, &error));
}

static void disagrees(const char *queues, const char *text)
{
    set("queues", queues);
    assert_int_equal(QUERN_E_CONFIG, config_check(config, &error));
    assert_string_equal(text, error.text);
}

static void queues_that_disagree_are_refused(void **state)
{
    (void)state;
    disagrees("[\"a\", {\"stream\": \"a\", \"group\": \"app.workers\"}]",
              "queues[1]: the stream a and the group app.workers of queues[0] again; name each once");
    disagrees("[\"a\", {\"stream\": \"b\", \"dead_letter_stream\": \"a\"}]",
              "queues[1].dead_letter_stream: \"a\" is the stream of queues[0], where dead jobs would run again; use another, "
              "or null");
    disagrees("[\"a\", \"a:failed\"]",
              "queues[0].dead_letter_stream: \"a:failed\" is the stream of queues[1], where dead jobs would run "
              "again; use another");
    disagrees("[\"a\", {\"stream\": \"b\", \"dead_letter_stream\": \"b\"}]",
              "dead_letter_stream: \"b\" is the stream itself, so that dead jobs would run again; use another, or null");
    disagrees("[\"a\", {\"stream\": \"b\", \"group\": \"h\", \"ignored_groups\": [\"h\"]}]",
              "ignored_groups: \"h\" is the group of this pool, whose own jobs would be trimmed; remove it there");
}

#define CONFIG(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG(what_is_wrong_with_a_queue_is_said),
        CONFIG(each_has_what_holds_for_all_and_its_own_over_it),
        CONFIG(without_the_key_there_is_the_one_of_stream_and_group),
        CONFIG(a_stream_that_is_given_means_that_one),
        CONFIG(queues_that_disagree_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
