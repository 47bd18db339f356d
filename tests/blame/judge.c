/* SPDX-License-Identifier: MIT */
#include "support/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "blame/journal.h"
#include "blame/judge.h"
#include "job/source.h"

enum { PLACES = 4 };

static struct journal_head head;
static struct record records[PLACES];
static struct journal journal;

static int make(void **state)
{
    (void)state;
    memset(&head, 0, sizeof head);
    memset(records, 0, sizeof records);
    head.count = PLACES;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, head.boot, sizeof head.boot - 1);
    head.boot[n > 0 ? n : 0] = 0;
    if (fd >= 0) close(fd);
    atomic_store(&head.state, JOURNAL_RUNS);
    journal = (struct journal){.head = &head, .records = records};
    return 0;
}

static void runs(int place, enum lane lane)
{
    journal_start(&journal, (uint32_t)place, (uint32_t)lane, (struct entry_id){1, 2}, 3);
}

static enum blame judged(int place)
{
    struct case_facts facts = judge_facts(&journal);
    return judge(&facts, &records[place]);
}

static void the_only_one_that_ran_is_to_blame(void **state)
{
    (void)state;
    runs(2, LANE_STREAM);
    assert_int_equal(judged(2), BLAME_CERTAIN);
}

static void of_several_that_ran_none_is_to_blame_and_each_is_a_suspect(void **state)
{
    (void)state;
    runs(0, LANE_STREAM);
    runs(3, LANE_RETRY);
    assert_int_equal(judged(0), BLAME_SUSPECT);
    assert_int_equal(judged(3), BLAME_SUSPECT);
}

static void one_that_is_named_is_to_blame_and_the_others_are_innocent(void **state)
{
    (void)state;
    runs(0, LANE_STREAM);
    runs(1, LANE_STREAM);
    atomic_store(&records[1].state, RECORD_NAMED);
    assert_int_equal(judged(0), BLAME_BESIDE);
    assert_int_equal(judged(1), BLAME_CERTAIN);
}

static void one_that_ran_alone_is_to_blame_and_was_counted_already(void **state)
{
    (void)state;
    runs(0, LANE_ALONE);
    assert_int_equal(judged(0), BLAME_ALONE);
}

static void only_a_name_is_evidence_where_it_was_told_to_stop(void **state)
{
    (void)state;
    runs(0, LANE_STREAM);
    journal_stops(&journal);
    assert_int_equal(judged(0), BLAME_SUSPECT);
    atomic_store(&records[0].state, RECORD_NAMED);
    assert_int_equal(judged(0), BLAME_CERTAIN);
}

static void only_a_name_is_evidence_where_the_machine_went_down(void **state)
{
    (void)state;
    runs(0, LANE_STREAM);
    head.boot[0] ^= 1;
    assert_int_equal(judged(0), BLAME_SUSPECT);
}

static void what_was_held_where_nothing_ran_is_remembered(void **state)
{
    (void)state;
    struct case_facts facts = judge_facts(&journal);
    assert_int_equal(judge(&facts, NULL), BLAME_NEAR);
    runs(0, LANE_STREAM);
    facts = judge_facts(&journal);
    assert_int_equal(judge(&facts, NULL), BLAME_UNSTARTED);
}

static void nobody_is_to_blame_where_the_process_was_told_to_leave(void **state)
{
    (void)state;
    runs(0, LANE_STREAM);
    atomic_store(&records[0].state, RECORD_NAMED);
    journal_leaves(&journal);
    assert_int_equal(judged(0), BLAME_UNSTARTED);
}

static void what_has_ended_is_not_in_the_case(void **state)
{
    (void)state;
    runs(0, LANE_STREAM);
    runs(1, LANE_STREAM);
    journal_end(&journal, 0);
    assert_int_equal(judge_facts(&journal).running, 1);
    assert_int_equal(judged(1), BLAME_CERTAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_only_one_that_ran_is_to_blame, make),
        cmocka_unit_test_setup(of_several_that_ran_none_is_to_blame_and_each_is_a_suspect, make),
        cmocka_unit_test_setup(one_that_is_named_is_to_blame_and_the_others_are_innocent, make),
        cmocka_unit_test_setup(one_that_ran_alone_is_to_blame_and_was_counted_already, make),
        cmocka_unit_test_setup(only_a_name_is_evidence_where_it_was_told_to_stop, make),
        cmocka_unit_test_setup(only_a_name_is_evidence_where_the_machine_went_down, make),
        cmocka_unit_test_setup(what_was_held_where_nothing_ran_is_remembered, make),
        cmocka_unit_test_setup(nobody_is_to_blame_where_the_process_was_told_to_leave, make),
        cmocka_unit_test_setup(what_has_ended_is_not_in_the_case, make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
