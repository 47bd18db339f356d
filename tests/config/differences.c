/* SPDX-License-Identifier: MIT */
#include "config/differences.h"

#include "config/scratch.h"

static quern_config *running, *asked;
static quern_error error;

static int make(void **state)
{
    (void)state;
    running = quern_config_new();
    asked = quern_config_new();
    memset(&error, 0, sizeof error);
    return running && asked ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    quern_config_free(running);
    quern_config_free(asked);
    return 0;
}

static void set(quern_config *config, const char *key, const char *value)
{
    quern_error why;
    if (quern_config_set(config, key, value, &why)) fail_msg("%s", why.text);
}

/* A value of the row that is not its default. */
static const char *other_value(const struct config_row *row)
{
    static const char *const values[CONFIG_TYPES] = {
        [CONFIG_TEXT] = "/a/path",
        [CONFIG_NAME] = "name",
        [CONFIG_GROUP] = "reports",
        [CONFIG_START] = "1700-3",
        [CONFIG_NUMBER] = "97",
        [CONFIG_THREADS] = "7",
        [CONFIG_GROUPS] = "[\"other\"]",
        [CONFIG_QUEUES] = "[\"other\"]",
        [CONFIG_WORKERS] = "[{\"event\":\"*\",\"module\":\"burn\"}]",
    };
    if (row->type == CONFIG_BOOL) return !strcmp(row->fallback, "true") ? "false" : "true";
    if (row->type == CONFIG_CHOICE) return strrchr(row->choices, '|') + 1;
    return row->type == CONFIG_NUMBER && row->min > 97 ? "99999" : values[row->type];
}

static void refuses(const char *text)
{
    assert_int_equal(config_differences(running, asked, &error), QUERN_E_CONFIG);
    assert_string_equal(error.text, text);
    assert_int_equal(error.code, QUERN_E_CONFIG);
}

static void what_is_the_same_has_no_differences(void **state)
{
    (void)state;
    assert_int_equal(config_differences(running, asked, &error), QUERN_OK);
    assert_int_equal(config_differences(running, running, NULL), QUERN_OK);
    set(running, "required_groups", "[\"a\",\"b\"]");
    set(asked, "required_groups", "[\"a\",\"b\"]");
    set(running, "consumer", "c");
    set(asked, "consumer", "c");
    assert_int_equal(config_differences(running, asked, &error), QUERN_OK);
    assert_int_equal(error.code, 0);
}

static void each_key_of_the_table_can_change_if_it_is_live_and_only_then(void **state)
{
    static const char *const live[] = {"threads",
                                       "timeout_ms",
                                       "timeout_grace_ms",
                                       "retry_limit",
                                       "retry_base_ms",
                                       "retry_factor",
                                       "retry_max_ms",
                                       "max_running",
                                       "unhandled",
                                       "drain_ms",
                                       "module_path",
                                       "log_level",
                                       "workers",
                                       /* and what a pool has nothing of */ "publish_ms",
                                       "publish_marked",
                                       "publish_shape",
                                       "publish_queue_max",
                                       "publish_queue_bytes",
                                       "unique_by",
                                       "unique_ms",
                                       "batch_ms",
                                       "max_pending",
                                       "on_max_pending",
                                       NULL};
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_live = false;
        for (const char *const *name = live; *name; name++) is_live |= !strcmp(*name, rows[i].name);
        set(asked, rows[i].name, other_value(&rows[i]));
        int code = config_differences(running, asked, &error);
        if (code != (is_live ? QUERN_OK : QUERN_E_CONFIG)) fail_msg("%s: %d", rows[i].name, code);
        if (!is_live) assert_non_null(strstr(error.text, rows[i].name));
        set(asked, rows[i].name, rows[i].fallback ? rows[i].fallback : "");
    }
}

static void a_difference_is_told_with_both_values(void **state)
{
    (void)state;
    set(asked, "lease_ms", "60000");
    set(asked, "retry_limit", "9"); /* can change: not told */
    refuses("cannot change while the pool runs: lease_ms (is 30000, asked 60000)");
    set(asked, "stream", "größe");
    set(asked, "heartbeat_ms", "50");
    set(running, "ignored_groups", "[\"a\"]");
    refuses("cannot change while the pool runs: stream (is \"app.events\", asked \"gr\\u00F6\\u00DFe\"), "
            "lease_ms (is 30000, asked 60000), heartbeat_ms (is null, asked 50), ignored_groups (is [\"a\"], asked [])");
}

static void the_value_of_a_secret_is_not_told(void **state)
{
    (void)state;
    set(running, "redis", "redis://:open-sesame@a");
    set(asked, "redis", "redis://:swordfish@a");
    refuses("cannot change while the pool runs: redis (differs)");
    set(asked, "redis", "");
    refuses("cannot change while the pool runs: redis (differs)");
}

static void a_long_value_is_shortened(void **state)
{
    char name[201], text[sizeof error.text];
    (void)state;
    memset(name, 'x', 200);
    name[200] = 0;
    set(asked, "group", name);
    snprintf(text, sizeof text, "cannot change while the pool runs: group (is \"app.workers\", asked \"%.59s...)", name);
    refuses(text);
}

static void where_values_have_no_room_every_key_is_still_named_or_counted(void **state)
{
    (void)state;
    size_t count, named = 0, fixed = 0, more = 0;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) set(asked, rows[i].name, other_value(&rows[i]));
    assert_int_equal(config_differences(running, asked, &error), QUERN_E_CONFIG);
    for (size_t i = 0; i < count; i++) fixed += !(rows[i].flags & (CONFIG_LIVE | CONFIG_PUBLISHER));
    for (const char *at = strchr(error.text, ':'); at && strncmp(at, ", and ", 6); at = strchr(at + 1, ',')) named++;
    const char *rest = strstr(error.text, ", and ");
    if (rest) sscanf(rest, ", and %zu more", &more);
    assert_true(named > 25);
    assert_int_equal(named + more, fixed);
    assert_null(strchr(error.text, '('));
}

int main(void)
{
#define WITH_CONFIGS(test) cmocka_unit_test_setup_teardown(test, make, drop)
    const struct CMUnitTest tests[] = {
        WITH_CONFIGS(what_is_the_same_has_no_differences),
        WITH_CONFIGS(each_key_of_the_table_can_change_if_it_is_live_and_only_then),
        WITH_CONFIGS(a_difference_is_told_with_both_values),
        WITH_CONFIGS(the_value_of_a_secret_is_not_told),
        WITH_CONFIGS(a_long_value_is_shortened),
        WITH_CONFIGS(where_values_have_no_room_every_key_is_still_named_or_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
