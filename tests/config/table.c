/* SPDX-License-Identifier: MIT */
#include "config/scratch.h"

#include <jansson.h>

#include "base/log.h"
#include "config/value.h"

static void a_new_configuration_has_every_default(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    quern_config *config = quern_config_new();
    assert_non_null(config);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(value_now(config, rows[i].name), rows[i].fallback ? rows[i].fallback : "(not set)");
    quern_config_free(config);
}

static void the_members_are_what_the_texts_say(void **state)
{
    (void)state;
    quern_config *config = quern_config_new();
    assert_null(config->redis);
    assert_null(config->consumer);
    assert_string_equal(config->stream, "app.events");
    assert_string_equal(config->group, "app.workers");
    assert_int_equal(config->threads, 0);
    assert_int_equal(config->heartbeat_ms, 0);
    assert_int_equal(config->prefetch_bytes, 64 << 20);
    assert_true(config->trim);
    assert_true(config->publish_marked);
    assert_false(config->until_empty);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->log_format, LOG_FORMAT_TEXT);
    assert_int_equal(config->required_groups.count, 0);
    assert_null(config->required_groups.texts[0]);
    assert_int_equal(config->workers.count, 0);
    quern_config_free(config);
}

static void no_two_keys_share_a_name_or_a_member(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(config_find(rows[i].name), &rows[i]);
        if (rows[i].alias) assert_ptr_equal(config_find(rows[i].alias), &rows[i]);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(rows[i].at, rows[j].at);
    }
}

static void a_row_is_complete(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char right[CONFIG_RIGHT_SIZE];
        config_right(&rows[i], right);
        assert_true(strlen(right) + 1 < sizeof right);
        assert_true(strlen(rows[i].sentence) > 10);
        assert_null(strchr(rows[i].sentence, '|')); /* it becomes a cell of the README's table */
        assert_int_equal(rows[i].type == CONFIG_CHOICE, rows[i].choices != NULL);
    }
}

static void an_option_may_have_dashes(void **state)
{
    (void)state;
    assert_ptr_equal(config_find_option("lease-ms"), config_find("lease_ms"));
    assert_ptr_equal(config_find_option("claim-idle_ms"), config_find("lease_ms"));
    assert_ptr_equal(config_find_option("redis-url"), config_find("redis"));
    assert_null(config_find_option("lease--ms"));
    assert_null(config_find("lease-ms"));
}

static void a_typo_finds_what_was_meant(void **state)
{
    (void)state;
    assert_string_equal(config_nearest("lease_sm", 0, NULL, 1), "lease_ms");
    assert_string_equal(config_nearest("Thread", 0, NULL, 2), "threads");
    assert_string_equal(config_nearest("claim_idel_ms", 0, NULL, 2), "lease_ms");
    assert_null(config_nearest("claim_idel_ms", CONFIG_PER_EVENT, NULL, 2));
    assert_string_equal(config_nearest("optons", CONFIG_PER_EVENT, (const char *const[]){"options", NULL}, 2), "options");
    assert_string_equal(config_nearest("drain", 0, NULL, 1), "drain_ms");
    assert_null(config_nearest("colour", 0, NULL, 2));
    assert_null(config_nearest("a name that is much longer than any key of the table", 0, NULL, 2));
}

static json_t *shipped(void)
{
    json_error_t error;
    json_t *json = json_load_file(QUERN_SOURCE_DIR "/config/quern.json", JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    return json;
}

static void quern_json_has_every_key_at_its_default_and_no_other(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    quern_config *config = quern_config_new();
    json_t *file = shipped();
    assert_int_equal(json_object_size(file), count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].type == CONFIG_WORKERS) continue; /* an example: an empty list would be refused */
        json_t *value = value_show(&rows[i], (const char *)config + rows[i].at);
        if (!json_equal(value, json_object_get(file, rows[i].name))) fail_msg("config/quern.json: %s", rows[i].name);
        json_decref(value);
    }
    json_decref(file);
    quern_config_free(config);
}

static void quern_json_loads(void **state)
{
    (void)state;
    quern_error error;
    quern_config *config = quern_config_new();
    assert_int_equal(quern_config_load(config, QUERN_SOURCE_DIR "/config/quern.json", &error), QUERN_OK);
    assert_int_equal(config->workers.count, 1);
    assert_string_equal(config->workers.at[0].event, "file.deflate");
    assert_string_equal(config->workers.at[0].module, "deflate");
    assert_int_equal(config_check(config, &error), QUERN_OK);
    quern_config_free(config);
}

static void expect_line(void *user, const char *text)
{
    size_t count, *at = user;
    const struct config_row *row = config_rows(&count) + (*at)++;
    size_t len = strlen(row->name);
    assert_memory_equal(text, "--", 2);
    assert_memory_equal(text + 2, row->name, len);
    assert_int_equal(text[2 + len], ' ');
    assert_non_null(strstr(text, row->sentence));
    assert_non_null(strstr(text, row->fallback ? "(default " : "(not set"));
    assert_int_equal(text[strlen(text) - 1], ')');
}

static void help_has_one_line_per_key(void **state)
{
    (void)state;
    size_t lines = 0, count;
    config_rows(&count);
    config_help(expect_line, &lines);
    assert_int_equal(lines, count);
}

static void keep_threads(void *user, const char *text)
{
    if (!strncmp(text, "--lease_ms ", 11)) snprintf(user, 256, "%s", text);
}

static void a_line_of_help_reads_well(void **state)
{
    (void)state;
    char line[256] = "";
    config_help(keep_threads, line);
    assert_string_equal(
        line, "--lease_ms N                          how long a job is ours without renewal (default 30000; 100 to 86400000; "
              "also --claim_idle_ms)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_configuration_has_every_default),
        cmocka_unit_test(the_members_are_what_the_texts_say),
        cmocka_unit_test(no_two_keys_share_a_name_or_a_member),
        cmocka_unit_test(a_row_is_complete),
        cmocka_unit_test(an_option_may_have_dashes),
        cmocka_unit_test(a_typo_finds_what_was_meant),
        cmocka_unit_test(quern_json_has_every_key_at_its_default_and_no_other),
        cmocka_unit_test(quern_json_loads),
        cmocka_unit_test(help_has_one_line_per_key),
        cmocka_unit_test(a_line_of_help_reads_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
