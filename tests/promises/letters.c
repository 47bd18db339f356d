/* SPDX-License-Identifier: MIT */

/* promises/letters: dead letters can be listed and read whole, whoever wrote them. */
#include <stdlib.h>
#include <string.h>

#include "support/seen.h"

static const char full_record[] =
    "{\"original_id\": \"job-1\", \"original_event\": \"e\", \"source_stream_id\": \"1-1\", \"retries\": 3, \"error\": "
    "\"b\\u0000oo\", "
    "\"reason\": \"poison\", \"group\": \"g\", \"deliveries\": 4, \"original_data\": {\"n\": 1.10}}";

/* As streamix-queue writes it: nothing more than its schema. */
static const char short_record[] =
    "{\"original_id\": \"job-2\", \"original_event\": \"e\", \"original_data\": {}, \"source_stream_id\": \"1-2\", "
    "\"retries\": 3, \"error\": \"boo\"}";

static void bury(struct redis *redis, const char *entry, const char *id, const char *data)
{
    redis_ask(redis, "XADD", "jobs:failed", entry, "id", id, "event", "e", "retries", "3", "timestamps",
              "{\"created_at\": \"2026-01-01T00:00:00Z\", \"updated_at\": \"2026-01-01T00:00:00Z\"}", "data", data);
}

static void letters_are_listed_newest_first_and_what_they_do_not_tell_is_null(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    assert_int_equal(json_array_size(seen_dead(seen, 100)), 0);
    bury(redis, "1000-0", "letter-1", full_record);
    bury(redis, "2000-0", "letter-2", short_record);
    bury(redis, "3000-0", "letter-3", "no JSON at all");
    redis_ask(redis, "XADD", "jobs:failed", "4000-0", "what", "\xff");
    bury(redis, "5000-0", "\xff\x80", "{\"original_id_hex\": \"ff81\", \"retries\": \"many\", \"error\": [], \"reason\": 7}");
    bury(redis, "6000-0", "letter-6", "[1, 2]");
    json_t *list = seen_dead(seen, 100);
    assert_int_equal(json_array_size(list), 6);
    const json_t *full = seen_row(list, 5), *brief = seen_row(list, 4), *odd = seen_row(list, 1);
    assert_string_equal(seen_text(full, "entry"), "1000-0");
    assert_string_equal(seen_text(full, "id"), "letter-1");
    assert_string_equal(seen_text(full, "original_id"), "job-1");
    assert_string_equal(seen_text(full, "reason"), "poison");
    assert_string_equal(seen_text(full, "group"), "g");
    assert_int_equal(seen_number(full, "retries"), 3);
    assert_int_equal(seen_number(full, "deliveries"), 4);
    assert_int_equal(json_string_length(json_object_get(full, "error")), 4);
    assert_string_equal(seen_text(full, "died_at"), "1970-01-01T00:00:01.000000+00:00");
    assert_string_equal(seen_text(brief, "original_id"), "job-2");
    assert_string_equal(seen_text(brief, "error"), "boo");
    assert_true(seen_null(brief, "reason") && seen_null(brief, "group") && seen_null(brief, "deliveries"));
    for (size_t i = 2; i < 4; i++)
        assert_true(seen_null(seen_row(list, i), "original_id") && seen_null(seen_row(list, i), "retries"));
    assert_true(seen_null(odd, "id") && seen_null(odd, "original_id") && seen_null(odd, "retries") && seen_null(odd, "error"));
    assert_string_equal(seen_text(odd, "id_hex"), "ff80");
    assert_string_equal(seen_text(odd, "original_id_hex"), "ff81");
    assert_string_equal(seen_text(seen_row(seen_dead(seen, 1), 0), "entry"), "6000-0");
}

static void one_letter_is_found_by_its_entry_its_id_or_its_jobs_id(void **state)
{
    static const char *const ids[] = {"1000-0", "letter-1", "job-1"};
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    seen_group(redis);
    bury(redis, "1000-0", "letter-1", full_record);
    bury(redis, "1001-0", "\xff\x80", "{\"original_id_hex\": \"ff81\"}");
    bury(redis, "1002-0", "7-7", "[]");
    redis_ask(redis, "XADD", "jobs:failed", "1003-0", "data", "{\"original_id\": \"job-4\"}");
    redis_ask(redis, "XADD", "jobs:failed", "1004-0", "all",
              "{\"id\": \"in one\", \"event\": \"e\", \"data\": {\"original_id\": \"job-5\"}}");
    for (int i = 0; i < 200; i++) bury(redis, "*", "other", short_record);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(seen_text(seen_letter(seen, ids[i]), "entry"), "1000-0");
        assert_string_equal(seen_text(json_object_get(seen->answer, "data"), "original_id"), "job-1");
    }
    assert_string_equal(seen_text(seen_letter(seen, "\xff\x80"), "entry"), "1001-0");
    assert_string_equal(seen_text(seen_letter(seen, "\xff\x81"), "entry"), "1001-0");
    assert_string_equal(seen_text(seen_letter(seen, "job-4"), "entry"), "1003-0");
    assert_string_equal(seen_text(seen_letter(seen, "job-5"), "id"), "in one");
    assert_string_equal(seen_text(seen_letter(seen, "7-7"), "entry"), "1002-0"); /* looks like an entry, and is an id */
    assert_int_equal(json_array_size(seen_dead(seen, 1000)), 205);
    char *newest = strdup(seen_text(seen_row(seen->answer, 0), "entry"));
    assert_string_equal(seen_text(seen_letter(seen, "job-2"), "entry"), newest);
    free(newest);
    seen_refused(seen, quern_queue_letter(seen->config, "nobody", &seen->error), QUERN_E_GONE, "nobody");
    seen_refused(seen, quern_queue_letter(seen->config, "9-9", &seen->error), QUERN_E_GONE, "jobs:failed");
    seen_refused(seen, quern_queue_letter(seen->config, "", &seen->error), QUERN_E_ARGUMENT, "id");
    seen_refused(seen, quern_queue_letter(seen->config, NULL, &seen->error), QUERN_E_ARGUMENT, "id");
}

static void a_letter_is_shown_whole_and_its_data_as_it_was_written(void **state)
{
    struct seen *seen = *state;
    struct redis *redis = &seen->scene->redis;
    bury(redis, "1000-0", "letter-1", full_record);
    redis_ask(redis, "XADD", "jobs:failed", "2000-0", "data", "no JSON", "\xff", "\xfe", "extra", "", "extra", "twice");
    char *whole = quern_queue_letter(seen->config, "1000-0", &seen->error);
    assert_non_null(whole);
    assert_non_null(strstr(whole, full_record)); /* 1.10 stays 1.10 */
    seen_take(seen, whole);
    const json_t *fields = json_object_get(seen->answer, "fields");
    assert_int_equal(json_array_size(fields), 4);
    assert_string_equal(seen_text(seen_row(fields, 3), "name"), "timestamps");
    fields = json_object_get(seen_letter(seen, "2000-0"), "fields");
    assert_true(seen_null(seen->answer, "data"));
    assert_int_equal(json_array_size(fields), 4);
    assert_string_equal(seen_text(seen_row(fields, 0), "value"), "no JSON");
    assert_string_equal(seen_text(seen_row(fields, 1), "name_hex"), "ff");
    assert_string_equal(seen_text(seen_row(fields, 1), "value_hex"), "fe");
    assert_string_equal(seen_text(seen_row(fields, 3), "value"), "twice");
}

static void the_letters_of_another_stream_are_looked_at_where_it_is_named(void **state)
{
    struct seen *seen = *state;
    redis_ask(&seen->scene->redis, "XADD", "graves", "1-1", "id", "there", "event", "e", "data", short_record);
    seen_set(seen, "dead_letter_stream", "graves");
    assert_string_equal(seen_text(seen_row(seen_dead(seen, 9), 0), "id"), "there");
    assert_string_equal(seen_text(seen_letter(seen, "job-2"), "id"), "there");
    seen_group(&seen->scene->redis);
    assert_int_equal(seen_number(seen_stats(seen), "dead"), 1);
}

int main(void)
{
#define SEEN(test) cmocka_unit_test_setup_teardown(test, seen_open, seen_close)
    const struct CMUnitTest tests[] = {
        SEEN(letters_are_listed_newest_first_and_what_they_do_not_tell_is_null),
        SEEN(one_letter_is_found_by_its_entry_its_id_or_its_jobs_id),
        SEEN(a_letter_is_shown_whole_and_its_data_as_it_was_written),
        SEEN(the_letters_of_another_stream_are_looked_at_where_it_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
