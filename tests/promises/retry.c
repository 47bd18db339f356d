/* SPDX-License-Identifier: MIT */

/* promises/retry: a job that failed runs again as it was, when it is due and as often as it may; and nobody else sees of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/letters.h"
#include "support/mill.h"

/* ── a handler that fails and writes down what it was given ──────────────────────────────────────────────────────── */

enum { TRIES_MAX = 64, NAMES = 6 };
static const char *const names[NAMES] = {"id", "event", "data", "timestamps", "data_type", "color"};

struct
try {
    int64_t at_ms;
    unsigned retries, deliveries;
    char id[64], event[64];
    char *texts[NAMES + 1]; /* the fields by names, then the data as the handler is given it; NULL: not there */
    size_t lens[NAMES + 1];
};

struct diary {
    _Atomic int fails;    /* so many tries more say retry */
    _Atomic int after_ms; /* said by quern_job_retry_after(), unless negative */
    _Atomic bool is_shut; /* tries wait inside until it is false */
    _Atomic int inside, tries, done;
    struct try tried[TRIES_MAX];
};

static void keep(struct try *try, size_t place, quern_bytes bytes)
{
    if (!bytes.at || !(try->texts[place] = malloc(bytes.len + 1))) return;
    memcpy(try->texts[place], bytes.at, bytes.len + 1);
    try->lens[place] = bytes.len;
}

static void write_down(struct try *try, quern_job *job)
{
    try->at_ms = wait_now_ms();
    try->retries = quern_job_retries(job);
    try->deliveries = quern_job_deliveries(job);
    snprintf(try->id, sizeof try->id, "%.*s", (int)quern_job_id(job).len, quern_job_id(job).at);
    snprintf(try->event, sizeof try->event, "%.*s", (int)quern_job_event(job).len, quern_job_event(job).at);
    for (size_t i = 0; i < NAMES; i++) keep(try, i, quern_job_field(job, names[i]));
    keep(try, NAMES, quern_job_data(job));
}

static quern_verdict fail_and_tell(quern_job *job, void *thread, void *user)
{
    struct diary *diary = user;
    int place = atomic_load(&diary->tries), after_ms = atomic_load(&diary->after_ms);
    (void)thread;
    if (place < TRIES_MAX) write_down(&diary->tried[place], job);
    atomic_fetch_add(&diary->inside, 1);
    while (atomic_load(&diary->is_shut)) wait_breathe();
    atomic_fetch_sub(&diary->inside, 1);
    if (after_ms >= 0) quern_job_retry_after(job, after_ms);
    bool has_failed = atomic_fetch_sub(&diary->fails, 1) > 0;
    quern_job_error(job, "try %d", place + 1);
    atomic_fetch_add(&diary->done, !has_failed);
    atomic_fetch_add(&diary->tries, 1);
    return has_failed ? QUERN_RETRY : QUERN_DONE;
}

static void diary_clear(struct diary *diary)
{
    for (int i = 0; i < diary->tries && i < TRIES_MAX; i++)
        for (size_t n = 0; n <= NAMES; n++) free(diary->tried[i].texts[n]);
}

/* One thread, whose tries are one behind the other. */
static struct mill *failing(struct scene *scene, struct diary *diary, const char *limit, const char *base_ms)
{
    struct mill *mill = mill_new(scene, "threads", "1", "retry_limit", limit, "retry_base_ms", base_ms, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = fail_and_tell, .user = diary});
    mill_start(mill);
    return mill;
}

static bool nothing_is_left(struct scene *scene)
{
    return redis_pending(&scene->redis, "jobs", "g") == 0 && redis_number(&scene->redis, "XLEN", "jobs:g:retry") == 0 &&
           redis_number(&scene->redis, "EXISTS", "jobs:g:delayed", "jobs:g:delayed:jobs") == 0;
}

#define add(scene, ...) assert_int_equal(redis_ask(&(scene)->redis, "XADD", "jobs", "*", __VA_ARGS__)->kind, '$')

/* ── how often ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The one letter there is. */
static void is_dead_after(struct scene *scene, int retries, const char *error)
{
    char number[16];
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 1);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
    snprintf(number, sizeof number, "%d", retries);
    assert_string_equal(letter.retries, number);
    assert_int_equal(letter_number(&letter, "retries"), retries);
    assert_int_equal(letter_number(&letter, "deliveries"), retries + 1);
    assert_string_equal(letter_word(&letter, "reason"), "retries_exhausted");
    assert_string_equal(letter_word(&letter, "error"), error);
    letter_drop(&letter);
}

static void a_job_that_always_fails_runs_four_times_with_three_retries_and_is_dead(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1000, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "0");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    stays(diary.tries == 4 && nothing_is_left(scene), 100);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(diary.tried[i].retries, i);
        assert_int_equal(diary.tried[i].deliveries, i + 1);
        assert_string_equal(diary.tried[i].id, diary.tried[0].id);
    }
    wait_for(mill_stat(mill, "jobs", "retry") == 3);
    is_dead_after(scene, 3, "try 4");
    mill_stop(mill);
    diary_clear(&diary);
}

static void with_no_retries_the_first_failure_is_dead(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1000, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "0", "0");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    stays(diary.tries == 1 && nothing_is_left(scene), 100);
    assert_int_equal(mill_stat(mill, "jobs", "retry"), 0);
    is_dead_after(scene, 0, "try 1");
    mill_stop(mill);
    diary_clear(&diary);
}

static void without_a_limit_it_goes_on_until_it_succeeds(void **state)
{
    enum { FAILS = 40 };
    struct scene *scene = *state;
    struct diary diary = {.fails = FAILS, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "-1", "0");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(diary.tries, FAILS + 1);
    for (unsigned i = 0; i <= FAILS; i++) assert_int_equal(diary.tried[i].retries, i);
    wait_for(mill_stat(mill, "jobs", "retry") == FAILS);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:failed"), 0);
    assert_true(nothing_is_left(scene));
    mill_stop(mill);
    diary_clear(&diary);
}

static void what_the_publisher_says_of_retries_counts(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1000, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "0");
    add(scene, "event", "e", "data", "1", "retries", "2");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(diary.tries, 2);
    assert_int_equal(diary.tried[0].retries, 2);
    assert_int_equal(diary.tried[1].retries, 3);
    mill_stop(mill);
    diary_clear(&diary);
}

static void the_policy_of_an_event_wins(void **state)
{
    struct scene *scene = *state;
    struct diary strict = {.fails = 1000, .after_ms = -1}, other = {.fails = 1000, .after_ms = -1};
    struct mill *mill = mill_new(scene, "threads", "1", "retry_limit", "2", "retry_base_ms", "0", NULL);
    mill_on(mill, &(quern_handler){.event = "strict", .run = fail_and_tell, .user = &strict, .policy = "{\"retry_limit\": 0}"});
    mill_on(mill, &(quern_handler){.event = "other", .run = fail_and_tell, .user = &other});
    mill_start(mill);
    add(scene, "event", "strict", "data", "1");
    add(scene, "event", "other", "data", "1");
    wait_for(mill_stat(mill, "jobs", "dead") == 2);
    assert_int_equal(strict.tries, 1);
    assert_int_equal(other.tries, 3);
    mill_stop(mill);
    diary_clear(&strict);
    diary_clear(&other);
}

/* ── when ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { LATE_MS = 1000 + 2000 }; /* a second is promised; the rest is the test machine's */

static void a_handler_says_when_it_is_tried_again(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1, .after_ms = 300};
    struct mill *mill = failing(scene, &diary, "3", "0");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_in_range(diary.tried[1].at_ms - diary.tried[0].at_ms, 300, 300 + LATE_MS);
    mill_stop(mill);
    diary_clear(&diary);
    diary = (struct diary){.fails = 1, .after_ms = 0};
    mill = failing(scene, &diary, "3", "3600000");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_in_range(diary.tried[1].at_ms - diary.tried[0].at_ms, 0, LATE_MS);
    mill_stop(mill);
    diary_clear(&diary);
}

/* When the only retry that waits is due, in ms from now. */
static long long due_in_ms(struct scene *scene)
{
    const struct answer *now = redis_ask(&scene->redis, "TIME");
    long long now_ms = atoll(answer_at(now, 0)->text) * 1000 + atoll(answer_at(now, 1)->text) / 1000;
    const struct answer *first = redis_ask(&scene->redis, "ZRANGE", "jobs:g:delayed", "0", "0", "WITHSCORES");
    assert_int_equal(first->count, 2);
    return atoll(answer_at(first, 1)->text) - now_ms;
}

static void a_retry_waits_longer_each_time_half_of_it_by_chance(void **state)
{
    static const long long most_ms[] = {100000, 300000, 600000, 600000};
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof most_ms / sizeof *most_ms; i++) {
        char retries[4];
        struct diary diary = {.fails = 1, .after_ms = -1};
        struct mill *mill =
            mill_new(scene, "retry_limit", "9", "retry_base_ms", "100000", "retry_factor", "3", "retry_max_ms", "600000", NULL);
        mill_on(mill, &(quern_handler){.event = "*", .run = fail_and_tell, .user = &diary});
        mill_start(mill);
        snprintf(retries, sizeof retries, "%zu", i);
        add(scene, "event", "e", "data", "1", "retries", retries);
        wait_for(mill_stat(mill, "jobs", "retry") == 1);
        assert_in_range(due_in_ms(scene), most_ms[i] / 2 - PATIENCE_MS, most_ms[i]);
        mill_stop(mill);
        redis_ask(&scene->redis, "DEL", "jobs:g:delayed", "jobs:g:delayed:jobs");
        diary_clear(&diary);
    }
}

/* Moves the clock's hand: the only retry that waits is due. */
static void make_due(struct scene *scene)
{
    char member[64];
    const struct answer *all = redis_ask(&scene->redis, "ZRANGE", "jobs:g:delayed", "0", "-1");
    assert_int_equal(all->count, 1);
    snprintf(member, sizeof member, "%s", answer_at(all, 0)->text);
    redis_ask(&scene->redis, "ZADD", "jobs:g:delayed", "XX", "0", member);
}

/* The name of the only retry that waits; both keys know it. */
static void waits_as(struct scene *scene, const char *kind, const char *entry)
{
    char member[80];
    snprintf(member, sizeof member, "%s:%s", kind, entry);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 1);
    assert_int_equal(redis_number(&scene->redis, "HLEN", "jobs:g:delayed:jobs"), 1);
    assert_int_equal(redis_ask(&scene->redis, "ZSCORE", "jobs:g:delayed", member)->kind, '$');
    assert_int_equal(redis_number(&scene->redis, "HEXISTS", "jobs:g:delayed:jobs", member), 1);
}

static void a_retry_lies_in_the_delayed_keys_until_it_is_due_and_then_in_neither(void **state)
{
    char entry[64];
    struct scene *scene = *state;
    struct diary diary = {.fails = 2, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "3600000");
    snprintf(entry, sizeof entry, "%s", redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "e", "data", "1")->text);
    wait_for(mill_stat(mill, "jobs", "retry") == 1);
    waits_as(scene, "s", entry);
    stays(diary.tries == 1 && redis_pending(&scene->redis, "jobs", "g") == 0, 100);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
    make_due(scene);
    wait_for(mill_stat(mill, "jobs", "retry") == 2);
    wait_for(mill_stat(mill, "upkeep", "due") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
    const struct answer *all = redis_ask(&scene->redis, "ZRANGE", "jobs:g:delayed", "0", "-1");
    assert_int_equal(strncmp(answer_at(all, 0)->text, "r:", 2), 0); /* named by its entry in the retry stream */
    make_due(scene);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(diary.tries, 3);
    wait_for(mill_stat(mill, "upkeep", "due") == 2);
    assert_true(nothing_is_left(scene));
    mill_stop(mill);
    diary_clear(&diary);
}

static void retries_that_wait_are_taken_over_by_another_pool(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "3600000");
    scene_publish(scene, 7, 1);
    wait_for(mill_stat(mill, "jobs", "retry") == 1);
    mill_stop(mill);
    make_due(scene);
    mill = failing(scene, &diary, "3", "3600000");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_string_equal(diary.tried[1].id, diary.tried[0].id);
    assert_int_equal(diary.tried[1].retries, 1);
    mill_stop(mill);
    diary_clear(&diary);
}

static void jobs_of_the_same_id_wait_side_by_side(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 2, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "3600000");
    add(scene, "id", "same", "event", "e", "data", "1");
    add(scene, "id", "same", "event", "e", "data", "2");
    wait_for(mill_stat(mill, "jobs", "retry") == 2);
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 2);
    assert_int_equal(redis_number(&scene->redis, "HLEN", "jobs:g:delayed:jobs"), 2);
    mill_stop(mill);
    diary_clear(&diary);
}

static void without_a_wait_it_goes_straight_to_the_retry_stream(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "0");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    wait_for(mill_stat(mill, "jobs", "retry") == 1);
    assert_int_equal(redis_calls(&scene->redis, "zadd"), 0);
    assert_int_equal(mill_stat(mill, "upkeep", "due"), 0);
    assert_true(nothing_is_left(scene));
    mill_stop(mill);
    diary_clear(&diary);
}

/* ── as it was ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void is_the_same(const struct try *before, const struct try *after)
{
    assert_string_equal(before->id, after->id);
    assert_string_equal(before->event, after->event);
    for (size_t i = 0; i <= NAMES; i++) {
        assert_true((before->texts[i] == NULL) == (after->texts[i] == NULL));
        assert_int_equal(before->lens[i], after->lens[i]);
        if (before->texts[i]) assert_memory_equal(before->texts[i], after->texts[i], before->lens[i] + 1);
    }
}

/* Once straight to the retry stream, once by way of the delayed keys, and once more from there. */
static void arrives_again(struct scene *scene, size_t count, const char *const *words, const size_t *lens)
{
    struct diary diary = {.fails = 1, .after_ms = 0};
    struct mill *mill = failing(scene, &diary, "9", "0");
    assert_int_equal(resp_ask_words(scene->redis.client, count, words, lens)->kind, '$');
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    atomic_store(&diary.after_ms, 1);
    atomic_store(&diary.fails, 2);
    assert_int_equal(resp_ask_words(scene->redis.client, count, words, lens)->kind, '$');
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    assert_int_equal(diary.tries, 5);
    wait_for(mill_stat(mill, "upkeep", "due") == 2);
    assert_int_equal(mill_stat(mill, "jobs", "malformed"), 0);
    is_the_same(&diary.tried[0], &diary.tried[1]);
    is_the_same(&diary.tried[2], &diary.tried[3]);
    is_the_same(&diary.tried[2], &diary.tried[4]);
    for (int i = 1; i < 5; i++)
        assert_int_equal(diary.tried[i].retries, diary.tried[0].retries + (i == 1 ? 1u : i > 2 ? (unsigned)i - 2 : 0));
    mill_stop(mill);
    diary_clear(&diary);
}

static void payload_and_unknown_fields_arrive_at_a_retry_as_they_were(void **state)
{
    char color[256], data[256];
    for (int i = 0; i < 256; i++) {
        color[i] = (char)(255 - i);
        data[i] = (char)i;
    }
    const char *stamps = "{\"created_at\": \"2024-01-31T10:00:00Z\" , \"updated_at\":\"2024-01-31T10:00:00.5+02:00\"}";
    const char *words[] = {"XADD", "jobs",      "*",     "id",         "i1",   "event",        "caf\303\251", "data",
                           data,   "retries",   "0",     "timestamps", stamps, "color",        color,         "empty",
                           "",     "",          "",      "",           "",     "color",        "red",         "event2",
                           "e2",   "data_type", "bytes", "quern_mine", "kept", "quern_packed", "mine"};
    enum { COUNT = sizeof words / sizeof *words };
    size_t lens[COUNT];
    for (size_t i = 0; i < COUNT; i++) lens[i] = words[i] == color || words[i] == data ? 256 : strlen(words[i]);
    arrives_again(*state, COUNT, words, lens);
}

static void json_arrives_at_a_retry_byte_for_byte(void **state)
{
    const char *words[] = {"XADD",
                           "jobs",
                           "*",
                           "event",
                           "e",
                           "data",
                           " {\"n\": 123456789012345678901234567890, \"f\":1.10e-7,\t\"u\": \"\\u00e9\"} "};
    arrives_again(*state, sizeof words / sizeof *words, words, NULL);
}

static void the_shape_of_a_single_field_is_kept(void **state)
{
    const char *words[] = {"XADD", "jobs", "*", "anything",
                           "{\"id\": \"i2\", \"event\": \"e2\", \"data\": {\"b\": [1, \"\\u00e9\"]}, \"retries\": 0, "
                           "\"timestamps\": {\"created_at\": \"2024-01-31T10:00:00+00:00\", "
                           "\"updated_at\": \"2024-01-31T10:00:00+00:00\"}}"};
    arrives_again(*state, sizeof words / sizeof *words, words, NULL);
}

static void many_fields_arrive_at_a_retry(void **state)
{
    enum { WORDS = 3 + 2 * 512 };
    static char numbers[WORDS][8];
    const char *words[WORDS] = {"XADD", "jobs", "*", "event", "e", "data", "1"};
    for (int i = 7; i < WORDS; i++) {
        snprintf(numbers[i], sizeof numbers[i], "n%d", i);
        words[i] = numbers[i];
    }
    arrives_again(*state, WORDS, words, NULL);
}

/* ── nobody else's affair ────────────────────────────────────────────────────────────────────────────────────────── */

static void another_group_sees_nothing_of_retries(void **state)
{
    enum { JOBS = 200 };
    struct scene *scene = *state;
    struct diary diary = {.fails = JOBS, .after_ms = -1};
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "late", "0", "MKSTREAM");
    struct mill *other = mill_run(scene, "group", "other", NULL), *mill = failing(scene, &diary, "3", "0");
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS && mill_stat(other, "jobs", "done") == JOBS);
    wait_for(mill_stat(mill, "jobs", "retry") == JOBS);
    struct mill *late = mill_run(scene, "group", "late", NULL);
    wait_for(mill_stat(late, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(other, 0, JOBS) && mill_has_seen_once(late, 0, JOBS));
    stays(other->ended == JOBS && late->ended == JOBS, 100);
    wait_for(mill_stat(other, "jobs", "fetched") == JOBS);
    mill_stop(mill);
    mill_stop(other);
    mill_stop(late);
    diary_clear(&diary);
}

/* ── entries that are deleted ────────────────────────────────────────────────────────────────────────────────────── */

static void runs_again_from_memory(struct scene *scene, const char *lease_ms, bool waits_for_renewal)
{
    char entry[64];
    struct diary diary = {.fails = 1, .after_ms = -1, .is_shut = true};
    struct mill *mill = mill_new(scene, "threads", "1", "lease_ms", lease_ms, "retry_base_ms", "0", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = fail_and_tell, .user = &diary});
    mill_start(mill);
    snprintf(entry, sizeof entry, "%s",
             redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "e", "data", "\377\1 bytes", "color", "red", "data_type",
                       "bytes")
                 ->text);
    wait_for(diary.inside == 1);
    assert_int_equal(redis_number(&scene->redis, "XDEL", "jobs", entry), 1);
    if (waits_for_renewal) wait_for(mill_lines(mill, "entry_deleted") == 1);
    atomic_store(&diary.is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(diary.tries, 2);
    is_the_same(&diary.tried[0], &diary.tried[1]);
    assert_int_equal(diary.tried[1].retries, 1);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    assert_true(nothing_is_left(scene));
    mill_stop(mill);
    diary_clear(&diary);
}

static void a_job_whose_entry_was_deleted_while_it_ran_runs_again_from_memory(void **state)
{
    runs_again_from_memory(*state, "30000", false);
    runs_again_from_memory(*state, "300", true);
}

static void a_retry_that_somebody_deleted_is_counted_and_said(void **state)
{
    struct scene *scene = *state;
    struct diary diary = {.fails = 1, .after_ms = -1};
    struct mill *mill = failing(scene, &diary, "3", "3600000");
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "retry") == 1);
    redis_ask(&scene->redis, "DEL", "jobs:g:delayed:jobs");
    make_due(scene);
    wait_for(mill_stat(mill, "upkeep", "deleted") == 1);
    wait_for(mill_lines(mill, "waiting_deleted") == 1);
    assert_true(nothing_is_left(scene));
    assert_int_equal(diary.tries, 1);
    mill_stop(mill);
    diary_clear(&diary);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_job_that_always_fails_runs_four_times_with_three_retries_and_is_dead),
        SCENE(with_no_retries_the_first_failure_is_dead),
        SCENE(without_a_limit_it_goes_on_until_it_succeeds),
        SCENE(what_the_publisher_says_of_retries_counts),
        SCENE(the_policy_of_an_event_wins),
        SCENE(a_handler_says_when_it_is_tried_again),
        SCENE(a_retry_waits_longer_each_time_half_of_it_by_chance),
        SCENE(a_retry_lies_in_the_delayed_keys_until_it_is_due_and_then_in_neither),
        SCENE(retries_that_wait_are_taken_over_by_another_pool),
        SCENE(jobs_of_the_same_id_wait_side_by_side),
        SCENE(without_a_wait_it_goes_straight_to_the_retry_stream),
        SCENE(payload_and_unknown_fields_arrive_at_a_retry_as_they_were),
        SCENE(json_arrives_at_a_retry_byte_for_byte),
        SCENE(the_shape_of_a_single_field_is_kept),
        SCENE(many_fields_arrive_at_a_retry),
        SCENE(another_group_sees_nothing_of_retries),
        SCENE(a_job_whose_entry_was_deleted_while_it_ran_runs_again_from_memory),
        SCENE(a_retry_that_somebody_deleted_is_counted_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
