/* SPDX-License-Identifier: MIT */

/* promises/dead: a job that cannot be done is kept as a dead letter that says what it was and why it is dead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/letters.h"
#include "support/mill.h"

#define CREATED "2024-01-31T10:00:00.000000+00:00"
#define STAMPS  "{\"created_at\": \"2024-01-31T10:00:00Z\", \"updated_at\": \"2024-01-31T11:00:00Z\"}"

/* ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Says the verdict that its event names; "late" says retry when its timeout is over. */
static quern_verdict obey(quern_job *job, void *thread, void *user)
{
    quern_bytes event = quern_job_event(job);
    (void)thread, (void)user;
    burn_us(2000);
    if (!strcmp(event.at, "dead")) return QUERN_DEAD;
    if (!strcmp(event.at, "spoken")) quern_job_error(job, "in its \"own\" words\n\377");
    if (!strcmp(event.at, "json")) return quern_job_json(job), QUERN_DONE;
    while (!strcmp(event.at, "late") && !quern_job_cancelled(job)) wait_breathe();
    return !strcmp(event.at, "good") ? QUERN_DONE : !strcmp(event.at, "spoken") ? QUERN_DEAD : QUERN_RETRY;
}

static struct mill *obeying(struct scene *scene, struct mill *mill)
{
    static const char *const events[] = {"dead", "spoken", "json", "good", "failing"};
    (void)scene;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        mill_on(mill, &(quern_handler){.event = events[i], .run = obey});
    mill_on(mill, &(quern_handler){.event = "late", .run = obey, .policy = "{\"timeout_ms\": 30}"});
    mill_start(mill);
    return mill;
}

#define obeying_with(scene, ...) obeying(scene, mill_new(scene, "retry_base_ms", "0", __VA_ARGS__))

/* XADD of these fields; the entry's id goes into entry. */
static char entry[64];
#define add(scene, ...) keep_entry(redis_ask(&(scene)->redis, "XADD", "jobs", "*", __VA_ARGS__))
static void keep_entry(const struct answer *answer)
{
    assert_int_equal(answer->kind, '$');
    snprintf(entry, sizeof entry, "%s", answer->text);
}

/* A whole job of this event, created long ago. */
static void add_job(struct scene *scene, const char *event, const char *data)
{
    add(scene, "id", "job-1", "event", event, "data", data, "retries", "0", "timestamps", STAMPS);
}

static void wait_dead(struct mill *mill, int letters)
{
    wait_for(mill_stat(mill, "jobs", "dead") == letters);
    assert_int_equal(redis_number(mill->redis, "XLEN", "jobs:failed"), letters);
    assert_int_equal(redis_pending(mill->redis, "jobs", "g") + redis_pending(mill->redis, "jobs:g:retry", "g"), 0);
    assert_int_equal(mill_stat(mill, "jobs", "left_pending"), 0);
}

/* ── letters ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct wanted {
    const char *reason, *error, *id, *event; /* id, event NULL: it had none */
    int retries, deliveries, least_ms;
    const char *created; /* NULL: about now */
};

static void is_about_now(const char *iso)
{
    struct tm day = {0};
    assert_int_equal(strlen(iso), 32);
    assert_string_equal(iso + 26, "+00:00");
    assert_non_null(strptime(iso, "%Y-%m-%dT%H:%M:%S", &day));
    long long away_s = (long long)timegm(&day) - (long long)time(NULL);
    assert_in_range(away_s + 60, 0, 61);
}

static void has_stamps(const struct dead_letter *letter, const char *created)
{
    json_t *stamps = json_loads(letter->timestamps, 0, NULL);
    assert_int_equal(json_object_size(stamps), 2);
    if (created)
        assert_string_equal(json_string_value(json_object_get(stamps, "created_at")), created);
    else
        is_about_now(json_string_value(json_object_get(stamps, "created_at")));
    is_about_now(json_string_value(json_object_get(stamps, "updated_at")));
    json_decref(stamps);
}

static void is_uuid(const char *id)
{
    assert_int_equal(strlen(id), 36);
    assert_int_equal(id[14], '4');
    for (int i = 0; i < 36; i++)
        assert_true(i == 8 || i == 13 || i == 18 || i == 23 ? id[i] == '-' : strchr("0123456789abcdef", id[i]) != NULL);
}

static void is_word_or_null(const struct dead_letter *letter, const char *name, const char *word)
{
    if (word)
        assert_string_equal(letter_word(letter, name), word);
    else
        assert_true(json_is_null(json_object_get(letter->data, name)));
}

static const char *consumer_of(struct mill *mill, char name[200])
{
    char *text = quern_pool_stats(mill->pool);
    json_t *stats = json_loads(text, 0, NULL);
    snprintf(name, 200, "%s", json_string_value(json_object_get(stats, "consumer")));
    json_decref(stats);
    quern_free(text);
    return name;
}

/* The members that every record has; what shows the data is left to the test. */
static void is_letter(struct mill *mill, const struct dead_letter *letter, const struct wanted *wanted)
{
    char retries[16], consumer[200];
    assert_int_equal(letter->fields, 5);
    is_uuid(letter->id);
    assert_string_equal(letter->event, wanted->event ? wanted->event : "quern.unreadable");
    snprintf(retries, sizeof retries, "%d", wanted->retries);
    assert_string_equal(letter->retries, retries);
    has_stamps(letter, wanted->created);
    is_word_or_null(letter, "original_id", wanted->id);
    is_word_or_null(letter, "original_event", wanted->event);
    assert_string_equal(letter_word(letter, "source_stream_id"), entry);
    assert_int_equal(letter_number(letter, "retries"), wanted->retries);
    assert_string_equal(letter_word(letter, "reason"), wanted->reason);
    assert_string_equal(letter_word(letter, "error"), wanted->error);
    assert_string_equal(letter_word(letter, "stream"), "jobs");
    assert_string_equal(letter_word(letter, "group"), "g");
    assert_string_equal(letter_word(letter, "consumer"), consumer_of(mill, consumer));
    assert_int_equal(letter_number(letter, "deliveries"), wanted->deliveries ? wanted->deliveries : 1);
    is_about_now(letter_word(letter, "first_seen"));
    assert_in_range(letter_number(letter, "duration_ms"), wanted->least_ms, wanted->least_ms ? PATIENCE_MS : 0);
    is_word_or_null(letter, "signal", NULL);
    is_word_or_null(letter, "backtrace", NULL);
}

enum { MEMBERS = 15, MEMBERS_UNREADABLE = 16 };

/* Beside them only what is said of data that is no JSON, and a publisher's other fields. */
static void has_members(const struct dead_letter *letter, size_t members)
{
    const json_t *is_json = json_object_get(letter->data, "original_data_is_json");
    const json_t *more = json_object_get(letter->data, "original_more");
    assert_true(!is_json || json_is_false(is_json));
    assert_true(!more || json_array_size(more) > 0);
    assert_int_equal(json_object_size(letter->data), members + (is_json != NULL) + (more != NULL));
}

/* The newest letter, of a job of add_job() with this data. */
static void buries(struct mill *mill, const char *data, const struct wanted *wanted)
{
    static const char key[] = "\"original_data\":";
    long long letters = redis_number(mill->redis, "XLEN", "jobs:failed");
    struct dead_letter letter = letter_at(mill->redis, "jobs:failed", (size_t)letters - 1);
    is_letter(mill, &letter, wanted);
    has_members(&letter, MEMBERS);
    const char *at = strstr(letter.text, key);
    assert_non_null(at);
    at += sizeof key - 1;
    assert_int_equal(strncmp(at, data, strlen(data)), 0);
    assert_true(at[strlen(data)] == '}' || at[strlen(data)] == ',');
    letter_drop(&letter);
}

/* ── each reason ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_job_that_has_failed_too_often_has_a_letter(void **state)
{
    struct mill *mill = obeying_with(*state, "retry_limit", "2", NULL);
    add_job(*state, "failing", "{\"a\": 1}");
    wait_dead(mill, 1);
    buries(mill, "{\"a\": 1}",
           &(struct wanted){.reason = "retries_exhausted",
                            .error = "its handler said retry",
                            .id = "job-1",
                            .event = "failing",
                            .created = CREATED,
                            .retries = 2,
                            .deliveries = 3,
                            .least_ms = 2});
    mill_stop(mill);
}

static void a_job_whose_handler_rejects_it_has_a_letter(void **state)
{
    struct mill *mill = obeying_with(*state, NULL);
    struct wanted wanted = {"rejected", "its handler said dead", "job-1", "dead", .created = CREATED, .least_ms = 2};
    add_job(*state, "dead", "[]");
    wait_dead(mill, 1);
    buries(mill, "[]", &wanted);
    wanted.event = "spoken";
    wanted.error = "in its \"own\" words\n?"; /* what is no UTF-8 cannot be in JSON */
    add_job(*state, "spoken", "[]");
    wait_dead(mill, 2);
    buries(mill, "[]", &wanted);
    mill_stop(mill);
}

static void a_job_whose_data_is_not_the_json_that_its_handler_asks_for_has_a_letter(void **state)
{
    struct mill *mill = obeying_with(*state, NULL);
    add_job(*state, "json", "{\"a\": ");
    wait_dead(mill, 1);
    buries(mill, "\"{\\\"a\\\": \"",
           &(struct wanted){"malformed", "the data is not JSON: unexpected token (column 6)", "job-1", "json",
                            .created = CREATED, .least_ms = 2});
    mill_stop(mill);
}

static void a_job_that_nobody_handles_has_a_letter(void **state)
{
    struct wanted wanted = {"unhandled", "no handler here takes its event", "job-1", "nobody's", .created = CREATED};
    struct mill *mill = obeying_with(*state, "unhandled", "dead", NULL);
    add_job(*state, "nobody's", "7");
    wait_dead(mill, 1);
    buries(mill, "7", &wanted);
    assert_int_equal(mill_stat(mill, "jobs", "retry"), 0);
    mill_stop(mill);
    mill = obeying_with(*state, "unhandled", "retry", "retry_limit", "2", NULL);
    add_job(*state, "nobody's", "8");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    wait_for(mill_stat(mill, "jobs", "retry") == 2);
    wait_for(mill_stat(mill, "jobs", "unhandled") == 3);
    wanted.retries = 2;
    wanted.deliveries = 3;
    buries(mill, "8", &wanted);
    mill_stop(mill);
}

static void a_job_whose_time_was_over_has_a_letter(void **state)
{
    struct mill *mill = obeying_with(*state, NULL);
    struct wanted wanted = {"expired", "its time was over (expire_at) before it could be run", "job-1", "good",
                            .created = CREATED};
    add(*(struct scene **)state, "id", "job-1", "event", "good", "data", "1", "timestamps", STAMPS, "expire_at",
        "1706695200000");
    wait_dead(mill, 1);
    buries(mill, "1", &wanted);
    wait_for(mill_stat(mill, "jobs", "expired") == 1);
    add(*(struct scene **)state, "event", "good", "data", "1", "expire_at", "253402300799999"); /* the year 9999 is not over */
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    wait_dead(mill, 1);
    mill_stop(mill);
}

static void a_job_that_is_too_large_has_a_letter(void **state)
{
    enum { MOST = 1000 };
    char data[MOST + 2];
    struct mill *mill = obeying_with(*state, "payload_max_bytes", "1000", NULL);
    memset(data, '1', MOST + 1);
    data[0] = data[MOST - 1] = '"';
    data[MOST] = 0;
    add_job(*state, "good", data);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    data[MOST - 1] = '1';
    data[MOST] = '"';
    data[MOST + 1] = 0;
    add_job(*state, "good", data);
    wait_dead(mill, 1);
    wait_for(mill_stat(mill, "jobs", "too_large") == 1);
    buries(mill, data,
           &(struct wanted){"too_large", "the data has 1001 bytes; payload_max_bytes is 1000", "job-1", "good",
                            .created = CREATED});
    mill_stop(mill);
}

static void a_job_that_took_longer_than_it_may_has_a_letter(void **state)
{
    struct mill *mill = obeying_with(*state, "retry_limit", "0", NULL);
    add_job(*state, "late", "1");
    wait_dead(mill, 1);
    wait_for(mill_stat(mill, "jobs", "timeout") == 1);
    buries(mill, "1",
           &(struct wanted){"timeout", "its handler took longer than timeout_ms", "job-1", "late", .created = CREATED,
                            .least_ms = 30});
    mill_stop(mill);
}

/* ── what cannot be read ─────────────────────────────────────────────────────────────────────────────────────────── */

/* The newest letter is of an entry that could not be read, and shows these fields (JSON). */
static void shows(struct mill *mill, const char *fields, const struct wanted *wanted)
{
    long long letters = redis_number(mill->redis, "XLEN", "jobs:failed");
    struct dead_letter letter = letter_at(mill->redis, "jobs:failed", (size_t)letters - 1);
    json_t *expected = json_loads(fields, 0, NULL);
    assert_non_null(expected);
    is_letter(mill, &letter, wanted);
    has_members(&letter, MEMBERS_UNREADABLE);
    is_word_or_null(&letter, "original_data", NULL);
    if (!json_equal(json_object_get(letter.data, "original_fields"), expected)) fail_msg("%s", letter.text);
    json_decref(expected);
    letter_drop(&letter);
}

static void an_entry_that_cannot_be_read_is_shown_field_by_field(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = obeying_with(scene, NULL);
    add(scene, "id", "i", "event", "e", "extra", "", "extra", "x");
    wait_dead(mill, 1);
    shows(mill,
          "[{\"name\": \"id\", \"value\": \"i\"}, {\"name\": \"event\", \"value\": \"e\"}, {\"name\": \"extra\", \"value\": "
          "\"\"}, "
          "{\"name\": \"extra\", \"value\": \"x\"}]",
          &(struct wanted){"malformed", "the field data is missing", "i", "e", .created = NULL});
    add(scene, "\377name", "\200value", "quern_entry", "0-1");
    wait_dead(mill, 2);
    shows(mill,
          "[{\"name_hex\": \"ff6e616d65\", \"value_hex\": \"8076616c7565\"}, {\"name\": \"quern_entry\", \"value\": \"0-1\"}]",
          &(struct wanted){"malformed", "the field event is missing", .created = NULL});
    add(scene, "any", "{\"event\": \"e\"");
    wait_dead(mill, 3);
    shows(mill, "[{\"name\": \"any\", \"value\": \"{\\\"event\\\": \\\"e\\\"\"}]",
          &(struct wanted){"malformed", "not JSON: '}' expected (column 13)", .created = NULL});
    mill_stop(mill);
}

/* Given back by a stop before anybody could read it: the second pool's letter still names where it came from. */
static void an_entry_that_went_back_unread_is_shown_as_it_was(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    add(scene, "event", "e");
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "gone", "STREAMS", "jobs", ">");
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "gone", "0", entry, "IDLE", "31000", "RETRYCOUNT", "2", "JUSTID");
    struct mill *mill = obeying_with(scene, "reap_ms", "10", NULL);
    wait_dead(mill, 1);
    wait_for(mill_stat(mill, "upkeep", "reclaimed") == 1);
    shows(mill, "[{\"name\": \"event\", \"value\": \"e\"}]",
          &(struct wanted){"malformed", "the field data is missing", NULL, "e", .deliveries = 3});
    mill_stop(mill);
}

/* ── the data ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct wanted rejected = {"rejected", "its handler said dead", "job-1", "dead", .created = CREATED, .least_ms = 2};

static void json_is_given_byte_for_byte(void **state)
{
    static const char *const texts[] = {
        "{\"n\": 123456789012345678901234567890, \"f\":1.10e-7,\t\"u\": \"\\u00e9 caf\303\251\", \"z\": -0.0}",
        "[1.7976931348623157e+308]",
        "18446744073709551616",
        "[[], {}, null, true,\n\"\\u0000\"]",
        "{\"a\": 1, \"b\": \"}\"}",
        "\"\"",
    };
    struct mill *mill = obeying_with(*state, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        add_job(*state, "dead", texts[i]);
        wait_dead(mill, (int)i + 1);
        buries(mill, texts[i], &rejected);
    }
    mill_stop(mill);
}

/* And whoever looks for it finds it, numbers of any size or not. */
static void a_number_beyond_64_bits_hides_no_letter(void **state)
{
    static const char number[] = "{\"n\":18446744073709551615}";
    struct scene *scene = *state;
    struct mill *mill = obeying_with(scene, NULL);
    quern_config *config = quern_config_new();
    add_job(scene, "dead", number);
    wait_dead(mill, 1);
    assert_int_equal(quern_config_set(config, "redis", scene->redis.url, NULL), QUERN_OK);
    assert_int_equal(quern_config_set(config, "stream", "jobs", NULL), QUERN_OK);
    assert_int_equal(quern_config_set(config, "group", "g", NULL), QUERN_OK);
    char *list = quern_queue_dead(config, 9, &mill->error), *letter = quern_queue_letter(config, "job-1", &mill->error);
    assert_non_null(list);
    assert_non_null(letter);
    assert_non_null(strstr(letter, number));
    for (int i = 0; i < 2; i++) {
        const char *text = i ? letter : list;
        assert_non_null(strstr(text, "\"original_id\":\"job-1\",\"original_event\":\"dead\",\"reason\":\"rejected\""));
        assert_non_null(strstr(text, "\"retries\":0,\"deliveries\":1"));
    }
    quern_free(list);
    quern_free(letter);
    quern_config_free(config);
    mill_stop(mill);
}

static void what_is_not_json_is_given_as_a_text(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = obeying_with(scene, NULL);
    add_job(scene, "dead", "plain \"text\" \302\200");
    wait_dead(mill, 1);
    buries(mill, "\"plain \\\"text\\\" \302\200\"", &rejected);
    add_job(scene, "dead", "");
    wait_dead(mill, 2);
    buries(mill, "\"\"", &rejected);
    add_job(scene, "dead", "1e400"); /* a number that no reader of the letter could hold */
    wait_dead(mill, 3);
    buries(mill, "\"1e400\"", &rejected);
    add(scene, "id", "job-1", "event", "dead", "data", "{\"a\": 1}", "data_type", "bytes", "timestamps", STAMPS);
    wait_dead(mill, 4);
    buries(mill, "\"{\\\"a\\\": 1}\"", &rejected);
    mill_stop(mill);
}

static void bytes_that_are_no_text_are_given_in_hex(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = obeying_with(scene, NULL);
    add(scene, "id", "job-1", "event", "dead", "data", "\377\n\200a", "data_type", "bytes", "timestamps", STAMPS);
    wait_dead(mill, 1);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
    is_letter(mill, &letter, &rejected);
    has_members(&letter, MEMBERS);
    assert_string_equal(letter_word(&letter, "original_data_hex"), "ff0a8061");
    assert_null(json_object_get(letter.data, "original_data"));
    letter_drop(&letter);
    mill_stop(mill);
}

/* Larger than is made JSON of: its fields go along as they are. */
static void a_huge_job_is_kept_whole_beside_its_letter(void **state)
{
    enum { HUGE = 17 * 1024 * 1024 };
    struct scene *scene = *state;
    char *data = malloc(HUGE + 1);
    assert_non_null(data);
    memset(data, '1', HUGE);
    data[HUGE] = 0;
    struct mill *mill = obeying_with(scene, NULL);
    add_job(scene, "good", data);
    wait_dead(mill, 1);
    const struct answer *entries = redis_ask(&scene->redis, "XRANGE", "jobs:failed", "-", "+");
    const struct answer *fields = answer_at(answer_at(entries, 0), 1);
    assert_int_equal(fields->count, 10 + 10);
    assert_true(answer_is(answer_of(fields, "original:id"), "job-1"));
    assert_true(answer_is(answer_of(fields, "original:data"), data));
    free(data);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
    assert_string_equal(letter_word(&letter, "reason"), "too_large");
    is_word_or_null(&letter, "original_data", NULL);
    letter_drop(&letter);
    mill_stop(mill);
}

/* ── what else becomes of it ─────────────────────────────────────────────────────────────────────────────────────── */

static void what_is_not_wanted_here_can_be_passed_over_without_a_trace(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = obeying_with(scene, "unhandled", "ack", "completed_max", "100", NULL);
    add_job(scene, "nobody's", "1");
    add_job(scene, "good", "1");
    wait_for(mill_stat(mill, "jobs", "unhandled") == 1 && mill_stat(mill, "jobs", "done") == 1);
    wait_for(redis_pending(&scene->redis, "jobs", "g") == 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 1);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:failed", "jobs:g:delayed"), 0);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry"), 0);
    wait_for(mill->told[QUERN_NOTICE_JOB] == 1); /* nobody has run the other one */
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_job_that_has_failed_too_often_has_a_letter),
        SCENE(a_job_whose_handler_rejects_it_has_a_letter),
        SCENE(a_job_whose_data_is_not_the_json_that_its_handler_asks_for_has_a_letter),
        SCENE(a_job_that_nobody_handles_has_a_letter),
        SCENE(a_job_whose_time_was_over_has_a_letter),
        SCENE(a_job_that_is_too_large_has_a_letter),
        SCENE(a_job_that_took_longer_than_it_may_has_a_letter),
        SCENE(an_entry_that_cannot_be_read_is_shown_field_by_field),
        SCENE(an_entry_that_went_back_unread_is_shown_as_it_was),
        SCENE(json_is_given_byte_for_byte),
        SCENE(a_number_beyond_64_bits_hides_no_letter),
        SCENE(what_is_not_json_is_given_as_a_text),
        SCENE(bytes_that_are_no_text_are_given_in_hex),
        SCENE(a_huge_job_is_kept_whole_beside_its_letter),
        SCENE(what_is_not_wanted_here_can_be_passed_over_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
