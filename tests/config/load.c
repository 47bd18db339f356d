/* SPDX-License-Identifier: MIT */
#include "config/scratch.h"

#include <sys/stat.h>

static quern_config *config;
static struct lines lines;

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

static void accepts(const char *json)
{
    if (scratch_load(config, json, &lines) != QUERN_OK) fail_msg("%s: %s", json, lines.text[0]);
    assert_int_equal(lines.count, 0);
}

/* Refused for exactly one reason. */
static void refuses(const char *json, const char *line)
{
    assert_int_equal(scratch_load(config, json, &lines), QUERN_E_CONFIG);
    assert_string_equal(lines.text[0], line);
    assert_int_equal(lines.count, 1);
}

static void a_file_overlays_what_is_set(void **state)
{
    (void)state;
    accepts(
        "{\"threads\": 3, \"stream\": \"orders\", \"trim\": false, \"log_format\": \"json\", \"required_groups\": [\"a\"]}");
    accepts("{\"threads\": \"auto\", \"claim_idle_ms\": 700, \"heartbeat_ms\": null}");
    assert_int_equal(config->threads, 0);
    assert_int_equal(config->lease_ms, 700);
    assert_string_equal(config->stream, "orders");
    assert_false(config->trim);
    assert_string_equal(config->required_groups.texts[0], "a");
}

static void the_parameters_of_streamix_queue_are_taken_by_its_names(void **state)
{
    (void)state;
    accepts("{\"redis_url\": \"redis://of.that.name:6379/0\", \"stream\": \"app.events\", \"group\": \"app.workers\", "
            "\"consumer\": \"worker-1\", \"retry_limit\": 5, \"batch_size\": 10, \"block_ms\": 5000, "
            "\"claim_idle_ms\": 60000}");
    assert_string_equal(config->redis, "redis://of.that.name:6379/0");
    assert_int_equal(config->lease_ms, 60000);
    refuses("{\"redis_url\": \"redis://a\", \"redis\": \"redis://:hunter2@b\"}",
            "redis_url: is another name of redis, which is there too; remove one of them");
}

static void all_problems_are_told_at_once_and_nothing_changes(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "thread: there is no such key; did you mean threads?",
        "lease_ms: \"long\" is not a whole number; use a whole number, 100 to 86400000",
        "batch_size: 257 is out of range; use a whole number, 1 to 256",
        "stream: null is not a text; use a name of UTF-8 without spaces and control characters, 1 to 512 bytes",
        "trim: 1 is neither true nor false; use true or false",
        "required_groups[1]: \"a:b\" has a colon; use a name without spaces, control characters and ':', not failed, "
        "scheduled, "
        "unique, published or bell, 1 to 256 bytes",
        "workers: a list without workers has nothing to do; use a JSON list such as [{\"event\": \"file.deflate\", \"module\": "
        "\"deflate\"}], 1 to 1024 of them",
    };
    assert_int_equal(
        scratch_load(config,
                     "{\"thread\": 2, \"lease_ms\": \"long\", \"batch_size\": 257, \"drain_ms\": 1, \"stream\": null,"
                     " \"trim\": 1, \"required_groups\": [\"x\", \"a:b\"], \"workers\": []}",
                     &lines),
        QUERN_E_CONFIG);
    assert_int_equal(lines.count, COUNT_OF(expected));
    for (size_t i = 0; i < lines.count; i++) assert_string_equal(lines.text[i], expected[i]);
    assert_int_equal(config->drain_ms, 25000);
    accepts("{}");
    assert_int_equal(quern_config_problems(config, NULL, NULL), 0);
}

static void workers_are_read(void **state)
{
    (void)state;
    accepts("{\"workers\": [{\"event\": \"a\", \"module\": \"exec\", \"options\": {\"command\": [\"x\"]}, \"timeout_ms\": 5},"
            "{\"event\": \"*\", \"module\": \"burn\"}]}");
    assert_int_equal(config->workers.count, 2);
    assert_string_equal(config->workers.at[0].options, "{\"command\":[\"x\"]}");
    assert_string_equal(config->workers.at[0].policy, "{\"timeout_ms\":5}");
    assert_string_equal(config->workers.at[1].event, "*");
    assert_string_equal(config->workers.at[1].options, "{}");
    assert_string_equal(config->workers.at[1].policy, "{}");
    accepts("{\"workers\": null}");
    assert_int_equal(config->workers.count, 0);
}

static void every_problem_of_every_worker_is_told(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "workers[0].module: 5 is not a name; use 1 to 256 bytes of UTF-8 without control characters, such as \"deflate\"",
        "workers[0].timeout: there is no such key; did you mean timeout_ms?",
        "workers[1].event: is missing; use a name such as \"file.deflate\"",
        "workers[1].options: a list is not an object; use {\"option\": value}, or leave it out",
        "workers[1].lease_ms: holds for all events and cannot be set for one; set it outside the worker or handler",
        "workers[1].timeout_ms: -1 is out of range; use a whole number, 0 to 604800000",
        "workers[2]: \"burn\" is not a worker; use {\"event\": \"file.deflate\", \"module\": \"deflate\"}",
        "workers[3].colour: there is no such key for one event; remove it",
        "workers[3].event: the event of workers[0] again; name each event once",
    };
    assert_int_equal(scratch_load(config,
                                  "{\"workers\": [{\"event\": \"a\", \"module\": 5, \"timeout\": 1},"
                                  "{\"module\": \"m\", \"options\": [], \"lease_ms\": 500, \"timeout_ms\": -1}, \"burn\","
                                  "{\"event\": \"a\", \"module\": \"m\", \"colour\": 1}]}",
                                  &lines),
                     QUERN_E_CONFIG);
    assert_int_equal(lines.count, COUNT_OF(expected));
    for (size_t i = 0; i < lines.count; i++) assert_string_equal(lines.text[i], expected[i]);
}

static void broken_json_is_told_with_its_place(void **state)
{
    (void)state;
    refuses("{\n  \"threads\": 3\n  \"trim\": true\n}",
            "line 3, column 8: this is not JSON; look for a comma, a colon or a quote that is missing or too many");
    refuses("{\"threads\": 3", "line 1, column 13: the text ends too early; close what is open: an object, a list or a text");
    refuses("", "line 1, column 0: the text ends too early; close what is open: an object, a list or a text");
    refuses("{} {}", "line 1, column 4: something follows the end of the object; remove it");
    refuses("{\"stream\": \"\xff\"}", "line 1, column 12: this is not UTF-8; save the file as UTF-8");
    refuses("{\"threads\": 99999999999999999999}", "line 1, column 32: the number is too large for any key; use a smaller one");
    refuses("[1]", "is a JSON list; use an object: {\"key\": value, ...}");
}

static void a_key_that_is_there_twice_is_told_with_the_other_problems(void **state)
{
    (void)state;
    assert_int_equal(scratch_load(config, "{\"threads\": 3,\n \"threads\": 4, \"colour\": 1}", &lines), QUERN_E_CONFIG);
    assert_int_equal(lines.count, 2);
    assert_string_equal(lines.text[0], "threads: line 2, column 10: this key is there twice; remove one of them");
    assert_string_equal(lines.text[1], "colour: there is no such key; remove it");
    refuses("{\"lease_ms\": 500, \"claim_idle_ms\": 500}",
            "claim_idle_ms: is another name of lease_ms, which is there too; remove one of them");
}

static void lists_within_lists_without_end_are_refused(void **state)
{
    (void)state;
    char deep[8192] = "{\"workers\": ";
    memset(deep + strlen(deep), '[', 6000);
    assert_int_equal(scratch_load(config, deep, &lines), QUERN_E_CONFIG);
    assert_non_null(strstr(lines.text[0], "too deep"));
}

static void a_password_is_in_no_problem(void **state)
{
    (void)state;
    static const char *const files[] = {
        "{\"redis\": \"redis://:hunter2@host\n\"}",
        "{\"redis\": \"redis://:hunter2@host}",
        "{\"redis\": \"redis://:hunter2@host\" 5}",
        "{\"redis\": [\"redis://:hunter2@host\"]}",
        "{\"redis\": \"redis://:hunter2@ho\\u0001st\"}",
        "{\"redis\": \"redis://:hunter2\\q\"}",
        "{\"redis://:hunter2@host\": 1}",
        "{\"rediss\": \"redis://:hunter2@host\"}",
        "{\"redis_url\": \"redis://:hunter2@host\n\"}",
        "{\"redis_url\": [\"redis://:hunter2@host\"]}",
        "{\"redis\": hunter2}",
        "{\"redis\": \"\\uhunter2\"}",
        "{\"redis://:hunter2@host\": 1, \"redis://:hunter2@host\": 2}",
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        assert_int_equal(scratch_load(config, files[i], &lines), QUERN_E_CONFIG);
        for (size_t j = 0; j < lines.count; j++) assert_null(strstr(lines.text[j], "hunter"));
    }
}

static void control_characters_reach_no_terminal(void **state)
{
    (void)state;
    refuses("{\"log_level\": \"\\u001b[2J\\u009b\"}",
            "log_level: \"?[2J??\" is not among the choices; use one of error|warning|info|debug");
    refuses("{\"\\u001b[2J\": 1}", "(a key with odd characters): there is no such key; remove it");
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
    (void)state;
    quern_error error;
    assert_int_equal(quern_config_load(config, "/nowhere/quern.json", &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, "/nowhere/quern.json: cannot be read: No such file or directory; name a file that exists "
                                    "and may be read");
    assert_int_equal(quern_config_problems(config, NULL, NULL), 1);
    assert_int_equal(quern_config_load(config, "/", &error), QUERN_E_CONFIG);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(quern_config_load(config, NULL, &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_config_load(NULL, "/", &error), QUERN_E_ARGUMENT);
}

static void a_pipe_does_not_make_us_wait(void **state)
{
    (void)state;
    struct scratch scratch;
    quern_error error;
    scratch_write(&scratch, "", 0);
    unlink(scratch.path);
    assert_int_equal(mkfifo(scratch.path, 0600), 0);
    assert_int_equal(quern_config_load(config, scratch.path, &error), QUERN_E_CONFIG);
    unlink(scratch.path);
    assert_non_null(strstr(error.text, "not a regular file"));
}

/* A file of so many bytes: an object and spaces. */
static int load_of_size(size_t len, quern_error *error)
{
    struct scratch scratch;
    char *bytes = malloc(len);
    memset(bytes, ' ', len);
    memcpy(bytes, "{}", 2);
    scratch_write(&scratch, bytes, len);
    free(bytes);
    int code = quern_config_load(config, scratch.path, error);
    unlink(scratch.path);
    return code;
}

static void a_file_may_have_a_mebibyte(void **state)
{
    (void)state;
    quern_error error;
    assert_int_equal(load_of_size(1048576, &error), QUERN_OK);
    assert_int_equal(load_of_size(1048577, &error), QUERN_E_CONFIG);
    assert_non_null(strstr(error.text, "larger than 1 MiB"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_overlays_what_is_set),
        TEST(the_parameters_of_streamix_queue_are_taken_by_its_names),
        TEST(all_problems_are_told_at_once_and_nothing_changes),
        TEST(workers_are_read),
        TEST(every_problem_of_every_worker_is_told),
        TEST(broken_json_is_told_with_its_place),
        TEST(a_key_that_is_there_twice_is_told_with_the_other_problems),
        TEST(lists_within_lists_without_end_are_refused),
        TEST(a_password_is_in_no_problem),
        TEST(control_characters_reach_no_terminal),
        TEST(a_file_that_cannot_be_read_says_why),
        TEST(a_pipe_does_not_make_us_wait),
        TEST(a_file_may_have_a_mebibyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
