/* SPDX-License-Identifier: MIT */
#include "job/message.h"

#include "support/resp.h"

enum { FIELDS_MAX = 8 };
#define STAMPS     "{\"created_at\":\"2026-01-02T03:04:05.678901+00:00\",\"updated_at\":\"2026-01-02T03:04:05.678901+00:00\"}"
#define CREATED_MS INT64_C(1767323045678)

/* One entry, from the bytes Redis would send to the message. */
struct read {
    struct chunk_pool *pool;
    struct reader *reader;
    struct span span;
    struct message message;
    quern_error err;
    int code;
};

static struct read read_texts(const quern_bytes *texts, size_t count, bool is_private)
{
    static struct read read; /* not on the stack: a stood-in id points into the message itself, which the caller copies */
    read = (struct read){.pool = chunk_pool_open(0)};
    struct resp resp = {0};
    const struct reply *reply;
    struct entry entry;
    resp_entry(&resp, "1700000000123-7", texts, count);
    read.reader = reader_open(read.pool);
    assert_int_equal(1, resp_read(read.reader, resp.bytes, resp.len, &reply));
    assert_true(entry_read(reply, &entry));
    read.span = entry_hold(reply);
    read.code = message_read(&read.message, &entry, is_private, FIELDS_MAX, &read.err);
    resp_free(&resp);
    return read;
}

/* The reply goes: what still points into it is a use after free, which the sanitizer sees. */
static void reply_goes(struct read *read)
{
    reader_close(read->reader);
    read->reader = NULL;
    span_release(&read->span);
}

static void done_with(struct read *read)
{
    message_free(&read->message);
    reply_goes(read);
    chunk_pool_close(read->pool);
}

/* Up to 16 texts, ended by NULL. */
static struct read read_entry(bool is_private, const char *const *texts)
{
    quern_bytes bytes[16];
    size_t count = 0;
    for (; texts[count]; count++) bytes[count] = bytes_of(texts[count]);
    return read_texts(bytes, count, is_private);
}
#define READ(...)         read_entry(false, (const char *const[]){__VA_ARGS__, NULL})
#define READ_PRIVATE(...) read_entry(true, (const char *const[]){__VA_ARGS__, NULL})

static void says(quern_bytes bytes, const char *text)
{
    if (!bytes_is(bytes, text)) fail_msg("'%.*s' is not '%s'", (int)bytes.len, bytes.at ? bytes.at : "", text);
    if (bytes.at) assert_int_equal(0, bytes.at[bytes.len]); /* the promised NUL */
}

/* ── what can be read ────────────────────────────────────────────────────────────────────────────────────────────── */

static uint64_t key_of(const char *const *texts)
{
    struct read read = read_entry(false, texts);
    uint64_t key = read.message.key;
    assert_int_equal(QUERN_OK, read.code);
    done_with(&read);
    return key;
}

static void the_key_of_either_shape_is_the_same(void **state)
{
    (void)state;
    uint64_t key = key_of((const char *const[]){"event", "e", "data", "1", "key", "customer-7", NULL});
    assert_true(key != 0);
    assert_true(key == key_of((const char *const[]){"job", "{\"event\": \"e\", \"data\": 1, \"key\": \"customer-7\"}", NULL}));
    assert_true(key != key_of((const char *const[]){"event", "e", "data", "1", "key", "customer-8", NULL}));
    assert_true(0 == key_of((const char *const[]){"event", "e", "data", "1", NULL}));
}

#define BATCH "01234567-89ab-4def-8123-456789abcdef"

static void is_of_batch(const char *const *texts, const char *group, const char *batch)
{
    struct read read = read_entry(true, texts);
    assert_int_equal(QUERN_OK, read.code);
    assert_true(message_detach(&read.message));
    reply_goes(&read);
    quern_bytes found = message_batch(&read.message, group);
    if (batch)
        says(found, batch);
    else
        assert_null(found.at);
    done_with(&read);
}

static void the_batch_is_that_of_the_group_in_either_shape(void **state)
{
    static const char *const flat[] = {"event", "e", "data", "1", "batch", "g:" BATCH, NULL},
                             *const object[] = {"job", "{\"event\": \"e\", \"batch\": \"g:" BATCH "\", \"data\": 1}", NULL},
                             *const others[][8] = {
                                 {"event", "e", "data", "1"},
                                 {"event", "e", "data", "1", "batch", ""},
                                 {"event", "e", "data", "1", "batch", "g"},
                                 {"event", "e", "data", "1", "batch", "g:7"},
                                 {"event", "e", "data", "1", "batch", "g " BATCH},
                                 {"event", "e", "data", "1", "batch", "g:" BATCH "0"},
                                 {"job", "{\"event\": \"e\", \"batch\": 7, \"data\": {\"batch\": \"g:" BATCH "\"}}"}};
    (void)state;
    is_of_batch(flat, "g", BATCH);
    is_of_batch(object, "g", BATCH);
    is_of_batch(flat, "h", NULL);
    is_of_batch(flat, "g:0", NULL);
    is_of_batch(flat, "", NULL);
    for (size_t i = 0; i < COUNT_OF(others); i++) is_of_batch(others[i], "g", NULL);
}

static void one_field_per_key_is_read(void **state)
{
    (void)state;
    struct read read =
        READ("id", "job-1", "event", "sum", "data", "[1, 2]", "retries", "3", "timestamps", STAMPS, "colour", "red");
    assert_int_equal(QUERN_OK, read.code);
    says(read.message.id, "job-1");
    says(read.message.event, "sum");
    says(read.message.data, "[1, 2]");
    assert_int_equal(3, read.message.retries);
    assert_int_equal(CREATED_MS, message_created_ms(&read.message));
    says(message_field(&read.message, "colour"), "red");
    says(message_field(&read.message, "retries"), "3");
    assert_null(message_field(&read.message, "col").at);
    assert_string_equal("1700000000123-7", read.message.entry_text);
    assert_null(read.message.first_entry.at);
    done_with(&read);
}

static void a_single_field_with_the_whole_object_is_read(void **state)
{
    static const char *const objects[] = {
        "{\"id\":\"job-1\",\"event\":\"sum\",\"data\":[1,2],\"retries\":3,\"timestamps\":" STAMPS ",\"colour\":\"red\"}",
        "{\"timestamps\": " STAMPS " , \"retries\" : \"3\", \"data\": [ 1 ,\n2 ], \"event\":\"s\\u0075m\", \"id\":\"job-1\" }",
        " \r\n\t{\"id\":\"job-1\",\"event\":\"sum\",\"data\":[1,2],\"retries\":3,\"timestamps\":" STAMPS "}\n",
    };
    static const char *const names[] = {"message", "data", "id", "timestamps", ""};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        for (size_t n = 0; n < COUNT_OF(names); n++) {
            struct read read = READ(names[n], objects[i]);
            if (read.code) fail_msg("%s: %s", objects[i], read.err.text);
            says(read.message.id, "job-1");
            says(read.message.event, "sum");
            says(read.message.data, i == 1 ? "[ 1 ,\n2 ]" : "[1,2]"); /* as it is written */
            assert_int_equal(3, read.message.retries);
            assert_int_equal(CREATED_MS, message_created_ms(&read.message));
            says(message_field(&read.message, names[n]), objects[i]);
            done_with(&read);
        }
}

static void what_is_missing_comes_from_the_entry(void **state)
{
    (void)state;
    struct read flat = READ("event", "sum", "data", ""), single = READ("m", "{\"event\":\"sum\",\"data\":null}");
    struct read *both[] = {&flat, &single};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(QUERN_OK, both[i]->code);
        says(both[i]->message.id, "1700000000123-7");
        assert_int_equal(0, both[i]->message.retries);
        assert_int_equal(1700000000123, message_created_ms(&both[i]->message));
        says(both[i]->message.data, i ? "null" : "");
        done_with(both[i]);
    }
}

static void times_are_read_as_people_write_them(void **state)
{
    static const struct {
        const char *stamps;
        int64_t created_ms;
    } table[] = {
        {"{\"created_at\":\"1970-01-01T00:00:01Z\"}", 1000},
        {"{ \"updated_at\" : \"1970-01-01T00:00:09Z\" , \"created_at\" : \"1970-01-01T01:00:01.5+01:00\" }", 1500},
        {"{\"created_at\":\"1970-01-01T00:00:00.123456789Z\",\"more\":1}", 123},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct read read = READ("event", "e", "data", "1", "timestamps", table[i].stamps);
        if (read.code) fail_msg("%s: %s", table[i].stamps, read.err.text);
        assert_int_equal(table[i].created_ms, message_created_ms(&read.message));
        done_with(&read);
    }
}

/* ── what cannot ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void each_wrong_field_is_named(void **state)
{
    static const struct {
        const char *texts[12];
        const char *said;
    } table[] = {
        {{"data", "1"}, "event is missing"},
        {{"id", "a", "data", "1"}, "event is missing"},
        {{"event", "e"}, "data is missing"},
        {{"event", "e", "retries", "1"}, "data is missing"},
        {{"event", "", "data", "1"}, "event is empty"},
        {{"id", "", "event", "e", "data", "1"}, "id is empty"},
        {{"event", "e", "data", "1", "retries", ""}, "retries"},
        {{"event", "e", "data", "1", "retries", "-1"}, "retries"},
        {{"event", "e", "data", "1", "retries", "1.0"}, "retries"},
        {{"event", "e", "data", "1", "retries", "one"}, "retries"},
        {{"event", "e", "data", "1", "retries", "1000000001"}, "retries"},
        {{"event", "e", "data", "1", "retries", "18446744073709551616"}, "retries"},
        {{"event", "e", "data", "1", "timestamps", ""}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "now"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "{}"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "[]"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "{\"created_at\":1}"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "{\"created_at\":\"yesterday\"}"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "{\"updated_at\":\"2026-01-01T00:00:00Z\"}"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps", "{\"created_at\":\"2026-01-01T00:00:00Z\",\"updated_at\":7}"}, "timestamps"},
        {{"event", "e", "data", "1", "timestamps",
          "{\"created_at\":\"2026-13-01T00:00:00.000000+00:00\",\"updated_at\":\"2026-01-01T00:00:00.000000+00:00\"}"},
         "timestamps"},
        {{"event", "e", "data", "1", "timestamps",
          "{\"created_at\":\"2026-01-01T00:00:00.000000+00:00\",\"updated_at\":\"2026-01-01T99:00:00.000000+00:00\"}"},
         "timestamps"},
        {{"message", "{"}, "JSON"},
        {{"message", "{\"event\":\"e\",\"data\":1} x"}, "JSON"},
        {{"message", "{}"}, "event is missing"},
        {{"message", "{\"event\":\"e\"}"}, "data is missing"},
        {{"message", "{\"data\":1}"}, "event is missing"},
        {{"message", "{\"event\":\"\",\"data\":1}"}, "event is empty"},
        {{"message", "{\"event\":5,\"data\":1}"}, "event is not a text"},
        {{"message", "{\"event\":null,\"data\":1}"}, "event is not a text"},
        {{"message", "{\"id\":5,\"event\":\"e\",\"data\":1}"}, "id is not a text"},
        {{"message", "{\"id\":\"\",\"event\":\"e\",\"data\":1}"}, "id is empty"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"retries\":-1}"}, "retries"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"retries\":1.5}"}, "retries"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"retries\":true}"}, "retries"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"retries\":\"x\"}"}, "retries"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"retries\":1000000001}"}, "retries"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"timestamps\":\"now\"}"}, "timestamps"},
        {{"message", "{\"event\":\"e\",\"data\":1,\"timestamps\":null}"}, "timestamps"},
        {{"message", "[\"event\",\"data\"]"}, "event is missing"},
        {{"message", ""}, "event is missing"},
        {{"message", "{\"event\":\"e\",\"data\":1}", "other", "x"}, "event is missing"},
        {{"message", "{\"event\":\"\xff\",\"data\":1}"}, "JSON"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct read read = read_entry(false, table[i].texts);
        if (read.code != QUERN_E_ARGUMENT) fail_msg("row %zu (%s): code %d", i, table[i].said, read.code);
        if (!strstr(read.err.text, table[i].said)) fail_msg("row %zu: '%s', not '%s'", i, read.err.text, table[i].said);
        assert_string_equal("1700000000123-7", read.message.entry_text); /* enough to settle it */
        done_with(&read);
    }
}

static void an_entry_without_fields_or_with_too_many_is_refused(void **state)
{
    (void)state;
    quern_bytes texts[2 * FIELDS_MAX + 2];
    for (size_t i = 0; i < COUNT_OF(texts); i++) texts[i] = bytes_of(i % 2 ? "1" : "x");
    texts[0] = bytes_of("event");
    texts[2] = bytes_of("data");
    struct read read = read_texts(texts, 2 * FIELDS_MAX, false);
    assert_int_equal(QUERN_OK, read.code);
    done_with(&read);
    read = read_texts(texts, 2 * FIELDS_MAX + 2, false);
    assert_int_equal(QUERN_E_ARGUMENT, read.code);
    assert_non_null(strstr(read.err.text, "9 fields; 8 is the most"));
    done_with(&read);
    read = read_texts(texts, 0, false);
    assert_int_equal(QUERN_E_ARGUMENT, read.code);
    done_with(&read);
    struct entry gone = {.id = {1, 2}, .fields = &(struct reply){.type = REPLY_NIL}};
    assert_int_equal(QUERN_E_ARGUMENT, message_read(&read.message, &gone, false, FIELDS_MAX, &read.err));
    assert_int_equal(0, read.message.fields_count);
    assert_non_null(strstr(read.err.text, "gone from its stream"));
}

/* ── the private stream ──────────────────────────────────────────────────────────────────────────────────────────── */

static void what_release_wrote_is_ours_only_in_the_private_stream(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "event", "e",         "data", "1", "quern_entry", "5-6", "quern_first_seen", "77", "quern_deliveries",
        "4",     "quern_new", "x",    NULL};
    struct read read = read_entry(true, texts);
    assert_int_equal(QUERN_OK, read.code);
    says(read.message.first_entry, "5-6");
    assert_int_equal(77, read.message.first_seen_ms);
    assert_int_equal(4, read.message.deliveries_before);
    done_with(&read);
    read = read_entry(false, texts); /* anybody may write such fields */
    assert_int_equal(QUERN_OK, read.code);
    assert_null(read.message.first_entry.at);
    assert_int_equal(0, read.message.first_seen_ms);
    assert_int_equal(0, read.message.deliveries_before);
    says(message_field(&read.message, "quern_entry"), "5-6");
    done_with(&read);
}

static void what_is_missing_comes_from_the_first_entry_also_at_a_retry(void **state)
{
    (void)state;
    struct read read = READ_PRIVATE("event", "e", "data", "1", "quern_entry", "1600000000456-3");
    assert_int_equal(QUERN_OK, read.code);
    assert_true(message_detach(&read.message));
    reply_goes(&read);
    says(read.message.id, "1600000000456-3");
    assert_int_equal(1600000000456, message_created_ms(&read.message));
    done_with(&read);
    read = READ_PRIVATE("event", "e", "data", "1");
    says(read.message.id, "1700000000123-7");
    assert_int_equal(1700000000123, message_created_ms(&read.message));
    done_with(&read);
}

static void fields_that_were_packed_are_unreadable_unless_the_name_is_a_publishers(void **state)
{
    (void)state;
    struct read read = READ_PRIVATE("quern_packed", "\x92", "quern_entry", "1600000000456-3");
    assert_int_equal(QUERN_E_ARGUMENT, read.code);
    assert_non_null(strstr(read.err.text, "more fields than can be moved"));
    says(read.message.first_entry, "1600000000456-3");
    done_with(&read);
    read = READ_PRIVATE("quern_packed", "mine", "event", "e", "data", "1", "quern_entry", "1600000000456-3");
    assert_int_equal(QUERN_OK, read.code);
    says(message_field(&read.message, "quern_packed"), "mine");
    done_with(&read);
}

static void a_released_job_keeps_the_shape_it_had(void **state)
{
    (void)state;
    struct read read = READ_PRIVATE("message", "{\"event\":\"e\",\"data\":1}", "quern_entry", "5-6", "quern_deliveries", "2");
    assert_int_equal(QUERN_OK, read.code);
    says(read.message.event, "e");
    says(read.message.first_entry, "5-6");
    done_with(&read);
    read = READ_PRIVATE("quern_mine", "{\"event\":\"e\",\"data\":1}", "quern_entry", "5-6"); /* a name like ours is not ours */
    assert_int_equal(QUERN_OK, read.code);
    says(read.message.event, "e");
    done_with(&read);
    read = READ_PRIVATE("event", "e", "data", "1", "quern_deliveries", "many", "quern_first_seen", "-1");
    assert_int_equal(QUERN_OK, read.code); /* ours, and wrong: not believed */
    assert_int_equal(0, read.message.deliveries_before);
    assert_int_equal(0, read.message.first_seen_ms);
    done_with(&read);
}

/* ── leaving the reply ───────────────────────────────────────────────────────────────────────────────────────────── */

static void a_detached_message_needs_its_reply_no_more(void **state)
{
    static const char *const shapes[][16] = {
        {"id", "job-1", "event", "sum", "data", "[1]", "retries", "3", "timestamps", STAMPS, "colour", "red"},
        {"event", "sum", "data", "[1]", "colour", "red"},
        {"event", "x", "event", "sum", "data", "0", "data", "[1]", "colour", "red", "colour", "late"}, /* the last counts */
        {"message", "{\"id\":\"job-1\",\"event\":\"sum\",\"data\":[1],\"retries\":3,\"timestamps\":" STAMPS "}", "quern_entry",
         "5-6", "quern_deliveries", "2"},
        {"event", "sum", "data", "[1]", "", "", "colour", "red", "quern_entry", "5-6"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct read read = read_entry(true, shapes[i]);
        if (read.code) fail_msg("row %zu: %s", i, read.err.text);
        int64_t created_ms = message_created_ms(&read.message);
        char *id = bytes_copy(read.message.id);
        bool has_first = read.message.first_entry.at != NULL;
        assert_true(message_detach(&read.message));
        const char *copied = read.message.copied;
        assert_true(message_detach(&read.message) && read.message.copied == copied); /* once is enough */
        reply_goes(&read);
        assert_int_equal(0, chunk_pool_used_bytes(read.pool));
        says(read.message.id, id);
        says(read.message.event, "sum");
        says(read.message.data, "[1]");
        assert_int_equal(created_ms, message_created_ms(&read.message));
        if (has_first) says(read.message.first_entry, "5-6");
        for (uint32_t f = 0; f < read.message.fields_count; f++) {
            says(reply_bytes(&read.message.fields[f]), shapes[i][f]);
            assert_non_null(reply_bytes(&read.message.fields[f]).at);
        }
        free(id);
        done_with(&read);
    }
}

/* ── garbage ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static quern_bytes pick(uint64_t *seed, char *room, size_t max)
{
    static const char *const known[] = {"id",
                                        "event",
                                        "data",
                                        "retries",
                                        "timestamps",
                                        "message",
                                        "quern_entry",
                                        "quern_deliveries",
                                        "quern_first_seen",
                                        "{\"event\":\"e\",\"data\":1}",
                                        "{\"event\":\"e\"",
                                        STAMPS,
                                        "3",
                                        "-3",
                                        ""};
    static const char letters[] = "{}[]\":,\\u0 edvntaimsr_123.-T+Z";
    if (unit_random(seed) % 2) return bytes_of(known[unit_random(seed) % COUNT_OF(known)]);
    if (unit_random(seed) % 40 == 0) return (quern_bytes){NULL, 0};
    size_t len = unit_random(seed) % max;
    for (size_t i = 0; i < len; i++)
        room[i] = unit_random(seed) % 8 ? letters[unit_random(seed) % (sizeof letters - 1)] : (char)unit_random(seed);
    return (quern_bytes){room, len};
}

static void no_entry_stops_the_mill(void **state)
{
    enum { INPUTS = 30000, TEXT_MAX = 60 };
    (void)state;
    uint64_t seed = 20260102;
    int good = 0;
    for (int i = 0; i < INPUTS; i++) {
        char room[2 * FIELDS_MAX + 2][TEXT_MAX];
        quern_bytes texts[2 * FIELDS_MAX + 2];
        size_t count = unit_random(&seed) % COUNT_OF(texts);
        for (size_t t = 0; t < count; t++) texts[t] = pick(&seed, room[t], TEXT_MAX);
        struct read read = read_texts(texts, count, i % 2);
        if (read.code == QUERN_OK) {
            good++;
            assert_true(read.message.event.len > 0 && read.message.data.at && read.message.id.len > 0);
            assert_true(message_detach(&read.message));
            reply_goes(&read);
            (void)message_created_ms(&read.message);
            assert_int_equal(0, read.message.data.at[read.message.data.len]);
        } else {
            assert_int_equal(QUERN_E_ARGUMENT, read.code);
        }
        done_with(&read);
    }
    assert_true(good > INPUTS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_field_per_key_is_read),
        cmocka_unit_test(the_key_of_either_shape_is_the_same),
        cmocka_unit_test(the_batch_is_that_of_the_group_in_either_shape),
        cmocka_unit_test(a_single_field_with_the_whole_object_is_read),
        cmocka_unit_test(what_is_missing_comes_from_the_entry),
        cmocka_unit_test(times_are_read_as_people_write_them),
        cmocka_unit_test(each_wrong_field_is_named),
        cmocka_unit_test(an_entry_without_fields_or_with_too_many_is_refused),
        cmocka_unit_test(what_release_wrote_is_ours_only_in_the_private_stream),
        cmocka_unit_test(what_is_missing_comes_from_the_first_entry_also_at_a_retry),
        cmocka_unit_test(fields_that_were_packed_are_unreadable_unless_the_name_is_a_publishers),
        cmocka_unit_test(a_released_job_keeps_the_shape_it_had),
        cmocka_unit_test(a_detached_message_needs_its_reply_no_more),
        cmocka_unit_test(no_entry_stops_the_mill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
