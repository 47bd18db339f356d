/* SPDX-License-Identifier: MIT */

/* promises/unreadable: whatever lies in the stream, the pool lives: what can be read runs, what cannot is one dead letter each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/letters.h"
#include "support/mill.h"

enum { ENTRIES = 4000, WORDS_MAX = 9100, LARGE = 70000, LARGE_MAX = 65536, GOOD_IN = 3 };

/* ── words by chance, but the same ones each time ────────────────────────────────────────────────────────────────── */

struct dice {
    uint64_t state;
    char texts[32][64]; /* short words that live until the next entry */
    size_t texts_used;
};

static uint64_t roll(struct dice *dice, uint64_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return (dice->state >> 11) % sides;
}

/* One XADD, word by word. */
struct words {
    size_t count;
    const char *at[WORDS_MAX];
    size_t lens[WORDS_MAX];
};

static void put_bytes(struct words *words, const char *at, size_t len)
{
    assert_true(words->count < WORDS_MAX);
    words->at[words->count] = at;
    words->lens[words->count++] = len;
}

static void put(struct words *words, const char *name, const char *value)
{
    put_bytes(words, name, strlen(name));
    put_bytes(words, value, strlen(value));
}

/* Up to 60 bytes of any kind, at least one, and no UTF-8. */
static void put_noise(struct words *words, struct dice *dice)
{
    char *text = dice->texts[dice->texts_used++ % 32];
    size_t len = 1 + roll(dice, 60);
    for (size_t i = 0; i < len; i++) text[i] = (char)roll(dice, 256);
    text[0] = (char)(0xf8 + roll(dice, 8));
    put_bytes(words, text, len);
}

#define one_of(dice, ...) \
    ((const char *const[]){__VA_ARGS__})[roll(dice, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))]

/* ── bad entries: each is unreadable, too large or expired ───────────────────────────────────────────────────────── */

static void no_event(struct words *words, struct dice *dice)
{
    (void)dice;
    put(words, "data", "1");
    put(words, "id", "i");
}

static void no_data(struct words *words, struct dice *dice)
{
    put(words, "event", one_of(dice, "job", "e", "\377"));
}

static void empty_texts(struct words *words, struct dice *dice)
{
    bool is_event = roll(dice, 2);
    put(words, "event", is_event ? "" : "job");
    put(words, "data", "1");
    put(words, "id", is_event ? "i" : "");
    put(words, "", "");
}

static void wrong_retries(struct words *words, struct dice *dice)
{
    put(words, "retries", one_of(dice, "-1", "", "1.0", "one", " 1", "1000000001", "99999999999999999999", "0x1", "\377"));
    put(words, "event", "job");
    put(words, "data", "1");
}

static void wrong_stamps(struct words *words, struct dice *dice)
{
    put(words, "event", "job");
    put(words, "data", "1");
    put(words, "timestamps",
        one_of(dice, "", "now", "{}", "[]", "{\"created_at\": 1}", "{\"created_at\": \"2024-13-31T10:00:00Z\"}",
               "{\"created_at\": \"2024-01-31T10:00:00Z\", \"updated_at\": \"\"}", "{\"created_at\":\"", "\377\376"));
}

static void wrong_expiry(struct words *words, struct dice *dice)
{
    put(words, "event", "job");
    put(words, "data", "1");
    put(words, "expire_at", one_of(dice, "", "-1", "tomorrow", "1e3", "99999999999999999999"));
}

static void in_the_past(struct words *words, struct dice *dice)
{
    put(words, "event", "job");
    put(words, "data", "1");
    put(words, "expire_at", one_of(dice, "1", "1000", "1706695200000"));
}

static void broken_object(struct words *words, struct dice *dice)
{
    put(words, one_of(dice, "", "message", "json", "quern_x"),
        one_of(dice, "{", "{}", "{\"event\": \"e\"", "{\"event\": 7, \"data\": 1}", "{\"data\": 1}", "{\"event\": \"e\"}",
               "{\"event\": \"e\", \"data\": 1, \"retries\": -1}", "{\"event\": \"e\", \"data\": 1, \"retries\": 1.5}",
               "{\"event\": \"e\", \"data\": 1, \"timestamps\": 1}", "{\"event\": \"e\", \"data\": \"\377\"}", "  {\"a\": [[[[",
               "[1]", "text", ""));
}

static void noise(struct words *words, struct dice *dice)
{
    for (uint64_t n = 1 + roll(dice, 6); n--;) {
        put_noise(words, dice);
        put_noise(words, dice);
    }
}

static void too_many_fields(struct words *words, struct dice *dice)
{
    put(words, "event", "job");
    put(words, "data", "1");
    for (uint64_t n = 511 + roll(dice, 1500); n--;) put(words, one_of(dice, "a", "", "quern_entry", "event", "id"), "x");
}

static const char *large;

static void too_large(struct words *words, struct dice *dice)
{
    put(words, "event", "job");
    put_bytes(words, "data", 4);
    put_bytes(words, large, LARGE_MAX + 1 + roll(dice, LARGE - LARGE_MAX - 1));
}

static void only_notes(struct words *words, struct dice *dice)
{
    put(words, "quern_entry", one_of(dice, "0-1", "", "\377"));
    put(words, "quern_retries", "5");
    put(words, "quern_packed", one_of(dice, "\x92", ""));
}

static const struct bad {
    void (*put)(struct words *words, struct dice *dice);
    const char *reason;
} bads[] = {
    {no_event, "malformed"},     {no_data, "malformed"},      {empty_texts, "malformed"},     {wrong_retries, "malformed"},
    {wrong_stamps, "malformed"}, {wrong_expiry, "malformed"}, {broken_object, "malformed"},   {noise, "malformed"},
    {only_notes, "malformed"},   {in_the_past, "expired"},    {too_many_fields, "malformed"}, {too_large, "too_large"},
};
enum { BADS = sizeof bads / sizeof *bads, RARE = 2 /* of them: the last ones, which are large */ };

/* ── good entries: odd, but jobs ─────────────────────────────────────────────────────────────────────────────────── */

static void good(struct words *words, struct dice *dice, int number)
{
    static char text[12], object[64];
    snprintf(text, sizeof text, "%d", number);
    if (roll(dice, 4) == 0) {
        snprintf(object, sizeof object, " {\"event\": \"job\",\"data\":%d}", number);
        put(words, one_of(dice, "", "message", "quern_x", "\377"), object);
        return;
    }
    if (roll(dice, 2)) put(words, one_of(dice, "quern_retries", "quern_entry", "quern_packed", "quern_x"), "x");
    put(words, "event", "job");
    put(words, "data", text);
    if (roll(dice, 2)) put(words, "retries", one_of(dice, "0", "1", "3"));
    if (roll(dice, 2)) put(words, "", "");
    if (roll(dice, 2)) put(words, "expire_at", one_of(dice, "0", "99999999999999", "9223372036854775807"));
    if (roll(dice, 2)) put_noise(words, dice), put_noise(words, dice);
}

/* ── the stream ──────────────────────────────────────────────────────────────────────────────────────────────────── */

struct sown {
    int goods, bads;
    struct {
        char entry[32];
        const char *reason;
        int letters;
    } bad[ENTRIES];
};

static struct words words;

static void begin(void)
{
    words.count = 0;
    put(&words, "XADD", "jobs");
    put_bytes(&words, "*", 1);
}

static void add(struct scene *scene, struct sown *sown, const char *reason)
{
    const struct answer *answer = resp_ask_words(scene->redis.client, words.count, words.at, words.lens);
    if (answer->kind != '$') fail_msg("XADD: %s", answer->text);
    if (!reason) return;
    snprintf(sown->bad[sown->bads].entry, sizeof sown->bad[0].entry, "%s", answer->text);
    sown->bad[sown->bads++].reason = reason;
}

/* One with more fields than a script can move, which only Redis and a letter can hold. */
static void add_4500_fields(struct scene *scene, struct sown *sown)
{
    begin();
    put(&words, "event", "job");
    put(&words, "data", "1");
    for (int i = 2; i < 4500; i++) put(&words, "name", "value");
    add(scene, sown, "malformed");
}

static void sow(struct scene *scene, struct sown *sown, struct dice *dice)
{
    for (int i = 0; i < ENTRIES - 2; i++) {
        begin();
        const struct bad *bad = &bads[roll(dice, roll(dice, 20) ? BADS - RARE : BADS)];
        if (roll(dice, GOOD_IN) == 0) {
            good(&words, dice, sown->goods++);
            add(scene, sown, NULL);
        } else {
            bad->put(&words, dice);
            add(scene, sown, bad->reason);
        }
        if (i == ENTRIES / 2) add_4500_fields(scene, sown);
    }
}

static void find_letters(struct scene *scene, struct sown *sown)
{
    /* The oldest one each time, which then goes. */
    for (int i = 0; i < sown->bads; i++) {
        struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
        const char *source = letter_word(&letter, "source_stream_id");
        int place = 0;
        while (place < sown->bads && strcmp(sown->bad[place].entry, source) != 0) place++;
        if (place == sown->bads) fail_msg("a dead letter of %s, which is no bad entry: %s", source, letter.text);
        if (strcmp(letter_word(&letter, "reason"), sown->bad[place].reason) != 0) fail_msg("%s", letter.text);
        sown->bad[place].letters++;
        const struct answer *first = redis_ask(&scene->redis, "XRANGE", "jobs:failed", "-", "+", "COUNT", "1");
        char id[64];
        snprintf(id, sizeof id, "%s", answer_at(answer_at(first, 0), 0)->text);
        redis_ask(&scene->redis, "XDEL", "jobs:failed", id);
        letter_drop(&letter);
    }
    for (int i = 0; i < sown->bads; i++)
        if (sown->bad[i].letters != 1) fail_msg("%d dead letters of %s", sown->bad[i].letters, sown->bad[i].entry);
}

static void is_untroubled(struct scene *scene, struct mill *mill)
{
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g") + redis_pending(&scene->redis, "jobs:g:retry", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:delayed", "jobs:g:delayed:jobs"), 0);
    assert_int_equal(mill_stat(mill, "redis", "outages"), 0);
    assert_int_equal(mill_stat(mill, "jobs", "adopted"), 0);
    assert_int_equal(mill_stat(mill, "jobs", "retry"), 0);
    assert_int_equal(mill_stat(mill, "jobs", "left_pending"), 0);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
}

static void every_entry_that_cannot_be_read_is_one_dead_letter_and_every_job_runs(void **state)
{
    struct scene *scene = *state;
    static struct sown sown;
    struct dice dice = {.state = UINT64_C(88172645463325252)};
    struct mill *mill = mill_run(scene, "threads", "3", "payload_max_bytes", "65536", NULL);
    char *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    memset(bytes, '7', LARGE - 1);
    large = bytes;
    sow(scene, &sown, &dice);
    assert_true(sown.goods > ENTRIES / 5 && sown.bads > ENTRIES / 2);
    wait_for(mill_stat(mill, "jobs", "done") + mill_stat(mill, "jobs", "dead") == ENTRIES - 1);
    wait_for(mill_stat(mill, "jobs", "done") == sown.goods);
    assert_true(mill_has_seen_once(mill, 0, sown.goods));
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), sown.bads);
    is_untroubled(scene, mill);
    find_letters(scene, &sown);
    scene_publish(scene, sown.goods, 100);
    wait_for(mill_stat(mill, "jobs", "done") == sown.goods + 100);
    mill_stop(mill);
    free(bytes);
}

/* The same by way of the retry stream: nobody there has a slot for them, a reaper moves them from an owner that is gone. */
static void what_its_owner_left_unread_is_judged_the_same_way(void **state)
{
    struct scene *scene = *state;
    static struct sown sown;
    struct dice dice = {.state = UINT64_C(2463534242)};
    char *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    memset(bytes, '7', LARGE - 1);
    large = bytes;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    sow(scene, &sown, &dice);
    redis_ask(&scene->redis, "EVAL",
              "for _, entry in ipairs(redis.call('XREADGROUP', 'GROUP', 'g', 'gone', 'STREAMS', 'jobs', '>')[1][2]) do "
              "redis.call('XCLAIM', 'jobs', 'g', 'gone', 0, entry[1], 'IDLE', 86400000, 'JUSTID') end",
              "0");
    struct mill *mill = mill_run(scene, "threads", "3", "payload_max_bytes", "65536", "reap_ms", "10", NULL);
    wait_for(mill_stat(mill, "jobs", "done") + mill_stat(mill, "jobs", "dead") == ENTRIES - 1);
    wait_for(mill_stat(mill, "upkeep", "reclaimed") == ENTRIES - 1);
    wait_for(mill_stat(mill, "jobs", "done") == sown.goods);
    assert_true(mill_has_seen_once(mill, 0, sown.goods));
    is_untroubled(scene, mill);
    find_letters(scene, &sown);
    mill_stop(mill);
    free(bytes);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(every_entry_that_cannot_be_read_is_one_dead_letter_and_every_job_runs),
        SCENE(what_its_owner_left_unread_is_judged_the_same_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
