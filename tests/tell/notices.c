/* SPDX-License-Identifier: MIT */
#include "tell/notices.h"

#include "base/thread.h"
#include "support/unit.h"

enum { KEPT_MAX = 3000, QUEUE = 2048 };

struct told {
    struct notices *notices;
    pthread_mutex_t gate; /* held by the test: callbacks wait */
    char kept[KEPT_MAX][200];
    int levels[KEPT_MAX];
    _Atomic unsigned count;
    unsigned wrong, answers; /* answers: how many more a callback posts */
    _Atomic bool has_ended;
};

static void keep(struct told *told, int level, const char *text)
{
    pthread_mutex_lock(&told->gate);
    pthread_mutex_unlock(&told->gate);
    unsigned i = atomic_load(&told->count);
    told->wrong += thread_role() != ROLE_NOTICES || i >= KEPT_MAX || atomic_load(&told->has_ended);
    told->levels[i % KEPT_MAX] = level;
    snprintf(told->kept[i % KEPT_MAX], sizeof told->kept[0], "%.199s", text);
    atomic_store(&told->count, i + 1);
}

static void observe(void *user, const quern_notice *notice)
{
    struct told *told = user;
    char text[200];
    snprintf(text, sizeof text, "%d %.*s %.*s %s", notice->what, (int)notice->event.len, notice->event.at, (int)notice->id.len,
             notice->id.at, notice->text);
    told->wrong += notice->size != sizeof *notice || notice->event.at[notice->event.len] || notice->id.at[notice->id.len];
    keep(told, -1, text);
    if (!told->answers) return;
    told->answers--;
    notices_post(told->notices, &(quern_notice){.what = QUERN_NOTICE_BACK, .text = "an answer"});
}

static void hear(void *user, int level, const char *line)
{
    keep(user, level, line);
}

static void ended(void *user)
{
    atomic_store(&((struct told *)user)->has_ended, true);
}

static struct told *make(unsigned observed, bool has_logger)
{
    struct told *told = calloc(1, sizeof *told);
    pthread_mutex_init(&told->gate, NULL);
    told->notices = notices_open(&(struct notices_options){.observed = observed,
                                                           .observer = observe,
                                                           .observer_user = told,
                                                           .logger = has_logger ? hear : NULL,
                                                           .logger_user = told});
    assert_non_null(told->notices);
    return told;
}

static void finish(struct told *told)
{
    notices_finish(told->notices, ended, told);
    notices_close(told->notices);
    assert_true(told->has_ended);
    assert_int_equal(0, told->wrong);
}

static void drop(struct told *told)
{
    pthread_mutex_destroy(&told->gate);
    free(told);
}

static void wait_for_count(struct told *told, unsigned count)
{
    int64_t deadline_ns = unit_deadline_ns();
    while (atomic_load(&told->count) < count && !unit_is_over(deadline_ns)) sched_yield();
    assert_int_equal(count, told->count);
}

static void notices_and_lines_come_in_the_order_they_were_told(void **state)
{
    (void)state;
    struct told *told = make(QUERN_NOTICE_ALL, true);
    char text[200];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "number %u", i);
        if (i % 3)
            notices_line(told->notices, (int)i % 4, text);
        else
            notices_post(told->notices,
                         &(quern_notice){.what = QUERN_NOTICE_JOB, .event = bytes_of("e"), .id = bytes_of("j"), .text = text});
        if (i % 100 == 99) wait_for_count(told, i + 1); /* never more than the queue holds */
    }
    finish(told);
    assert_int_equal(0, told->wrong);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, i % 3 ? "number %u" : "1 e j number %u", i);
        assert_string_equal(text, told->kept[i]);
        assert_int_equal(i % 3 ? (int)i % 4 : -1, told->levels[i]);
    }
    drop(told);
}

static void what_does_not_fit_is_dropped_and_counted(void **state)
{
    (void)state;
    struct told *told = make(QUERN_NOTICE_ALL, true);
    char text[200];
    pthread_mutex_lock(&told->gate); /* a callback that blocks */
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "%u", i);
        notices_line(told->notices, 0, text); /* never waits */
    }
    uint64_t dropped = notices_dropped(told->notices);
    assert_in_range(dropped, 3000 - QUEUE - 1, 3000 - QUEUE); /* one may be in the callback */
    pthread_mutex_unlock(&told->gate);
    finish(told);
    assert_int_equal(3000 - dropped, told->count);
    for (unsigned i = 0; i < QUEUE; i++) { /* the oldest are kept; and one more, when the first was taken */
        snprintf(text, sizeof text, "%u", i);
        assert_string_equal(text, told->kept[i]);
    }
    drop(told);
}

static void a_callback_may_tell_something_itself(void **state)
{
    (void)state;
    struct told *told = make(QUERN_NOTICE_ALL, false);
    told->answers = 5;
    notices_post(told->notices, &(quern_notice){.what = QUERN_NOTICE_OUTAGE, .text = "first"});
    wait_for_count(told, 6);
    assert_string_equal("4   first", told->kept[0]);
    for (int i = 1; i < 6; i++) assert_string_equal("8   an answer", told->kept[i]);
    finish(told);
    drop(told);
}

static void what_is_queued_is_told_before_the_end(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct told *told = make(QUERN_NOTICE_ALL, true);
        for (int i = 0; i < QUEUE / 2; i++) notices_line(told->notices, 1, "queued");
        finish(told);
        assert_int_equal(QUEUE / 2, told->count);
        drop(told);
    }
}

static void only_the_kinds_that_are_wanted_are_told(void **state)
{
    static const int kinds[] = {QUERN_NOTICE_JOB, QUERN_NOTICE_LOST, QUERN_NOTICE_OUTAGE, QUERN_NOTICE_BACK,
                                QUERN_NOTICE_STOPPED};
    (void)state;
    for (unsigned observed = 0; observed <= QUERN_NOTICE_ALL; observed++) {
        struct told *told = make(observed, false);
        unsigned wanted = 0;
        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
            assert_int_equal((observed & (unsigned)kinds[i]) != 0, notices_wants(told->notices, kinds[i]));
            wanted += notices_wants(told->notices, kinds[i]);
            notices_post(told->notices, &(quern_notice){.what = kinds[i]});
        }
        notices_line(told->notices, 0, "nobody logs");
        finish(told);
        assert_int_equal(wanted, told->count);
        drop(told);
    }
}

static void long_names_and_texts_are_cut(void **state)
{
    (void)state;
    struct told *told = make(QUERN_NOTICE_ALL, true);
    char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    notices_post(told->notices,
                 &(quern_notice){.what = QUERN_NOTICE_JOB, .event = {longer, 4999}, .id = {"j", 1}, .text = longer});
    notices_line(told->notices, 2, longer);
    finish(told);
    assert_int_equal(2, told->count);
    char name[131];
    snprintf(name, sizeof name, "1 %.128s", longer);
    assert_int_equal(0, strncmp(name, told->kept[0], strlen(name)));
    assert_int_equal(0, strncmp(" j x", told->kept[0] + strlen(name), 4));
    drop(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notices_and_lines_come_in_the_order_they_were_told),
        cmocka_unit_test(what_does_not_fit_is_dropped_and_counted),
        cmocka_unit_test(a_callback_may_tell_something_itself),
        cmocka_unit_test(what_is_queued_is_told_before_the_end),
        cmocka_unit_test(only_the_kinds_that_are_wanted_are_told),
        cmocka_unit_test(long_names_and_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
