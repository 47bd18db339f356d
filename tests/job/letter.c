/* SPDX-License-Identifier: MIT */
#include "job/letter.h"

#include <jansson.h>

#include "support/unit.h"

enum { TEXTS_MAX = 16 };

static const struct letter_facts facts = {"rejected", "in general", "s", "g", "c-1", INT64_C(1767323045678901)};
static quern_error err;

/* A job of one entry with these names and values. */
static struct quern_job job_of(const quern_bytes *texts, size_t count, bool is_private)
{
    static struct reply fields[TEXTS_MAX];
    static struct reply list;
    static struct quern_job job;
    struct entry entry = {.id = {1700000000123, 7}, .fields = &list};
    for (size_t i = 0; i < count; i++) fields[i] = (struct reply){REPLY_TEXT, (uint32_t)texts[i].len, {.text = texts[i].at}};
    list = (struct reply){REPLY_ARRAY, (uint32_t)count, {.items = fields}};
    job = (struct quern_job){.started_ns = NS_PER_S, .ended_ns = NS_PER_S + 1234567};
    atomic_init(&job.deliveries, 1);
    job.is_unreadable = message_read(&job.message, &entry, is_private, 100, &err);
    return job;
}

#define JOB(is_private, ...) \
    job_of((const quern_bytes[]){__VA_ARGS__}, sizeof((const quern_bytes[]){__VA_ARGS__}) / sizeof(quern_bytes), is_private)
#define T(text) UNIT_BYTES(text)

/* The letter's data, parsed. */
static json_t *record_of(struct quern_job job)
{
    struct letter letter;
    if (letter_write(&job, &facts, &letter, &err)) fail_msg("%s", err.text);
    json_t *record = json_loads(letter.data, JSON_ALLOW_NUL, NULL);
    if (!record) fail_msg("no JSON: %s", letter.data);
    letter_free(&letter);
    message_free(&job.message);
    free(job.error);
    return record;
}

static const char *text_of(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    return text ? text : "(no text)";
}

static void a_letter_has_the_schema_of_a_job_and_its_own_id(void **state)
{
    (void)state;
    struct quern_job job =
        JOB(false, T("id"), T("the-job"), T("event"), T("e"), T("data"), T("1"), T("retries"), T("2"), T("timestamps"),
            T("{\"created_at\":\"2026-01-02T03:04:05Z\",\"updated_at\":\"2026-01-02T03:04:05Z\"}"));
    struct letter letter;
    assert_int_equal(QUERN_OK, letter_write(&job, &facts, &letter, &err));
    assert_true(bytes_is(letter.event, "e"));
    assert_string_equal("2", letter.retries);
    assert_int_equal(36, strlen(letter.id));
    assert_string_not_equal("the-job", letter.id);
    assert_string_equal(
        "{\"created_at\":\"2026-01-02T03:04:05.000000+00:00\",\"updated_at\":\"2026-01-02T03:04:05.678901+00:00\"}",
        letter.timestamps);
    assert_false(letter.has_fields);
    letter_free(&letter);
    message_free(&job.message);
}

static void a_record_says_what_the_job_was_and_why_it_is_dead(void **state)
{
    (void)state;
    json_t *record = record_of(JOB(false, T("id"), T("the-job"), T("event"), T("e"), T("data"), T("{}"), T("retries"), T("2")));
    assert_string_equal("the-job", text_of(record, "original_id"));
    assert_string_equal("e", text_of(record, "original_event"));
    assert_string_equal("1700000000123-7", text_of(record, "source_stream_id"));
    assert_string_equal("rejected", text_of(record, "reason"));
    assert_string_equal("in general", text_of(record, "error"));
    assert_string_equal("g", text_of(record, "group"));
    assert_string_equal("c-1", text_of(record, "consumer"));
    assert_int_equal(2, json_integer_value(json_object_get(record, "retries")));
    assert_int_equal(1, json_integer_value(json_object_get(record, "deliveries")));
    assert_true(json_real_value(json_object_get(record, "duration_ms")) == 1.234);
    assert_true(json_is_null(json_object_get(record, "signal")) && json_is_null(json_object_get(record, "backtrace")));
    assert_true(json_is_object(json_object_get(record, "original_data")));
    json_decref(record);
}

static void a_private_entry_says_where_it_came_from(void **state)
{
    (void)state;
    json_t *record =
        record_of(JOB(true, T("id"), T("j"), T("event"), T("e"), T("data"), T("1"), T("quern_entry"), T("5-6"),
                      T("quern_first_seen"), T("1767323045678"), T("quern_deliveries"), T("3"), T("quern_retries"), T("4")));
    assert_string_equal("5-6", text_of(record, "source_stream_id"));
    assert_string_equal("2026-01-02T03:04:05.678000+00:00", text_of(record, "first_seen"));
    assert_int_equal(4, json_integer_value(json_object_get(record, "deliveries")));
    assert_int_equal(4, json_integer_value(json_object_get(record, "retries")));
    json_decref(record);
}

/* In the letter's own text: a parser might have changed what it means. */
static void json_data_stays_as_it_was_byte_for_byte(void **state)
{
    static const char *const texts[] = {"{ \"b\" : 1.0,  \"b\":12345678901234567 }", "1.10", "[]", "\"\\u00e9\"", "null"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct letter letter;
        char wanted[100];
        struct quern_job job = JOB(false, T("event"), T("e"), T("data"), bytes_of(texts[i]));
        assert_int_equal(QUERN_OK, letter_write(&job, &facts, &letter, &err));
        snprintf(wanted, sizeof wanted, ",\"original_data\":%s}", texts[i]);
        assert_non_null(strstr(letter.data, wanted));
        letter_free(&letter);
        message_free(&job.message);
    }
}

static void other_data_is_a_text_or_hex(void **state)
{
    (void)state;
    json_t *record = record_of(JOB(false, T("event"), T("e"), T("data"), T("plain \0 text")));
    assert_int_equal(12, json_string_length(json_object_get(record, "original_data")));
    json_decref(record);
    record = record_of(JOB(false, T("event"), T("e"), T("data"), T("42\0"))); /* no JSON, though parsers pass over it */
    assert_int_equal(3, json_string_length(json_object_get(record, "original_data")));
    json_decref(record);
    record = record_of(JOB(false, T("event"), T("e"), T("data"), T("\xff\x00\x01")));
    assert_string_equal("ff0001", text_of(record, "original_data_hex"));
    assert_null(json_object_get(record, "original_data"));
    json_decref(record);
    record = record_of(JOB(false, T("event"), T("e"), T("data"), T("123"), T("data_type"), T("bytes")));
    assert_string_equal("123", text_of(record, "original_data")); /* bytes that look like JSON */
    assert_true(json_is_false(json_object_get(record, "original_data_is_json")));
    json_decref(record);
    record = record_of(JOB(false, T("event"), T("e"), T("data"), T("\"text\"")));
    assert_null(json_object_get(record, "original_data_is_json"));
    json_decref(record);
}

static void a_publishers_other_fields_are_kept(void **state)
{
    (void)state;
    json_t *record = record_of(JOB(true, T("event"), T("e"), T("color"), T("red"), T("data"), T("1"), T("data_type"), T("json"),
                                   T("quern_entry"), T("5-6"), T("quern_own"), T("\xff")));
    const json_t *more = json_object_get(record, "original_more");
    assert_int_equal(3, json_array_size(more));
    assert_string_equal("color", text_of(json_array_get(more, 0), "name"));
    assert_string_equal("red", text_of(json_array_get(more, 0), "value"));
    assert_string_equal("quern_own", text_of(json_array_get(more, 2), "name"));
    assert_string_equal("ff", text_of(json_array_get(more, 2), "value_hex"));
    json_decref(record);
    record = record_of(JOB(false, T("event"), T("e"), T("data"), T("1")));
    assert_null(json_object_get(record, "original_more"));
    json_decref(record);
    record = record_of(JOB(false, T("all"), T("{\"event\": \"e\", \"data\": 1}")));
    assert_null(json_object_get(record, "original_more"));
    json_decref(record);
    record = record_of(JOB(true, T("all"), T("{\"event\": \"e\", \"key\": \"k\", \"data\": 1, \"n\": {\"m\": 1}}"),
                           T("quern_entry"), T("5-6")));
    more = json_object_get(record, "original_more");
    assert_int_equal(2, json_array_size(more));
    assert_string_equal("k", text_of(json_array_get(more, 0), "value"));
    assert_string_equal("{\"m\":1}", text_of(json_array_get(more, 1), "value"));
    json_decref(record);
}

static void an_entry_that_cannot_be_read_shows_all_its_fields(void **state)
{
    (void)state;
    json_t *record =
        record_of(JOB(true, T("event"), T("\xc3"), T("what"), T("ever"), T("\xff"), T(""), T("quern_entry"), T("5-6")));
    const json_t *fields = json_object_get(record, "original_fields");
    assert_int_equal(3, json_array_size(fields)); /* our note is not one of them */
    assert_string_equal("event", text_of(json_array_get(fields, 0), "name"));
    assert_string_equal("c3", text_of(json_array_get(fields, 0), "value_hex"));
    assert_string_equal("ever", text_of(json_array_get(fields, 1), "value"));
    assert_string_equal("ff", text_of(json_array_get(fields, 2), "name_hex"));
    assert_string_equal("", text_of(json_array_get(fields, 2), "value"));
    assert_string_equal("c3", text_of(record, "original_event_hex"));
    assert_true(json_is_null(json_object_get(record, "original_data")) && json_is_null(json_object_get(record, "original_id")));
    json_decref(record);
}

static void words_that_were_cut_are_made_whole(void **state)
{
    (void)state;
    struct quern_job job = JOB(false, T("event"), T("e"), T("data"), T("1"));
    job.error = strdup("caf\xc3\xa9 \xff caf\xc3");
    json_t *record = record_of(job);
    assert_string_equal("caf\xc3\xa9 ? caf?", text_of(record, "error"));
    json_decref(record);
}

static void what_is_too_large_for_a_text_goes_along_as_fields(void **state)
{
    (void)state;
    char *data = malloc(LETTER_JSON_MAX + 1);
    assert_non_null(data);
    memset(data, '1', LETTER_JSON_MAX);
    struct quern_job job = JOB(false, T("event"), T("e"), T("data"), ((quern_bytes){data, LETTER_JSON_MAX}));
    struct letter letter;
    assert_int_equal(QUERN_OK, letter_write(&job, &facts, &letter, &err));
    assert_true(letter.has_fields);
    assert_true(strlen(letter.data) < 1000);
    assert_non_null(strstr(letter.data, "\"original_data\":null"));
    letter_free(&letter);
    message_free(&job.message);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_has_the_schema_of_a_job_and_its_own_id),
        cmocka_unit_test(a_record_says_what_the_job_was_and_why_it_is_dead),
        cmocka_unit_test(a_private_entry_says_where_it_came_from),
        cmocka_unit_test(json_data_stays_as_it_was_byte_for_byte),
        cmocka_unit_test(other_data_is_a_text_or_hex),
        cmocka_unit_test(a_publishers_other_fields_are_kept),
        cmocka_unit_test(an_entry_that_cannot_be_read_shows_all_its_fields),
        cmocka_unit_test(words_that_were_cut_are_made_whole),
        cmocka_unit_test(what_is_too_large_for_a_text_goes_along_as_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
