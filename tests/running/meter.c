/* SPDX-License-Identifier: MIT */
/* Jobs of a thread whose clocks the test turns. */
#include "run/meter.h"

#include "job/bill.h"
#include "support/unit.h"

enum { LINES = 20, JOBS = 200000 };

static struct {
    struct bill *bill;
    struct bill_line *lines[LINES];
    struct meter meter;
    int64_t now_ns, cpu_ns;
    uint32_t asked;
} desk;

static int64_t tell_cpu(void)
{
    desk.asked++;
    return desk.cpu_ns;
}

static int make(void **state)
{
    (void)state;
    memset(&desk, 0, sizeof desk);
    desk.meter.cpu_ns = tell_cpu;
    desk.bill = bill_open();
    assert_non_null(desk.bill);
    for (int i = 0; i < LINES; i++) {
        char event[8];
        snprintf(event, sizeof event, "%d", i);
        desk.lines[i] = bill_line(desk.bill, event);
        assert_non_null(desk.lines[i]);
        bill_add(desk.bill, desk.lines[i], &(struct bill_item){BILL_DONE, 0, 0}); /* else it is not told */
    }
    return 0;
}

static int drop(void **state)
{
    (void)state;
    bill_free(desk.bill);
    return 0;
}

/* One job of event line, whose jobs take mean_us, runs so long and takes so much CPU. */
static int64_t run(int line, int64_t mean_us, int64_t run_us, int64_t cpu_us)
{
    meter_begin(&desk.meter, mean_us * NS_PER_US, desk.now_ns);
    desk.now_ns += run_us * NS_PER_US;
    desk.cpu_ns += cpu_us * NS_PER_US;
    return meter_end(&desk.meter, desk.lines[line], run_us * NS_PER_US, desk.now_ns);
}

static bool add_cpu(void *given, const struct bill_sums *sums)
{
    int64_t *told_ns = given;
    told_ns[atoi(sums->event)] = sums->cpu_ns;
    return true;
}

static int64_t told_us(int line)
{
    int64_t told_ns[LINES] = {0};
    bill_each(desk.bill, add_cpu, told_ns);
    return told_ns[line] / NS_PER_US;
}

static int64_t all_ns(void)
{
    int64_t told_ns[LINES] = {0}, sum_ns = 0;
    bill_each(desk.bill, add_cpu, told_ns);
    for (int i = 0; i < LINES; i++) sum_ns += told_ns[i];
    return sum_ns;
}

static void a_long_job_is_measured_by_itself(void **state)
{
    (void)state;
    assert_int_equal(run(0, 1000, 1000, 900), 900 * NS_PER_US);
    assert_int_equal(run(1, 1000, 5000, 10), 10 * NS_PER_US);
    assert_int_equal(run(0, 1000, 1000, 1000), 1000 * NS_PER_US);
    assert_int_equal(told_us(0), 1900);
    assert_int_equal(told_us(1), 10);
    assert_int_equal(desk.asked, 4); /* where one ends the next one begins */
}

static void a_job_of_which_nothing_is_known_is_measured_by_itself(void **state)
{
    (void)state;
    assert_int_equal(run(0, 0, 1, 1), NS_PER_US);
    assert_int_equal(run(0, 1, 1, 1), -1);
}

static void short_jobs_are_measured_together_and_share_by_their_time(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(run(0, 1, 1, 1), -1);
        assert_int_equal(run(1, 3, 3, 3), -1);
    }
    meter_close(&desk.meter);
    assert_in_range(told_us(0), 980, 1020);
    assert_in_range(told_us(1), 2980, 3020);
    assert_int_equal(all_ns(), 4000 * NS_PER_US);
    assert_in_range(desk.asked, 4, 6); /* once in a millisecond, not twice a job */
}

static void a_long_job_among_short_ones_pays_for_itself_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        run(0, 1, 1, 1);
        assert_int_equal(run(1, 100000, 100000, 7), 7 * NS_PER_US);
        run(2, 2, 2, 2);
    }
    meter_close(&desk.meter);
    assert_int_equal(told_us(0), 10);
    assert_int_equal(told_us(1), 70);
    assert_int_equal(told_us(2), 20);
}

static void what_is_taken_between_a_close_and_the_next_job_is_nobodys(void **state)
{
    (void)state;
    run(0, 1, 1, 1);
    meter_close(&desk.meter);
    desk.cpu_ns += 500 * NS_PER_US;
    desk.now_ns += NS_PER_S;
    run(0, 1, 1, 1);
    meter_close(&desk.meter);
    meter_close(&desk.meter);
    assert_int_equal(told_us(0), 2);
}

static void jobs_that_took_no_time_have_their_cpu_told_all_the_same(void **state)
{
    (void)state;
    run(0, 1, 0, 1);
    run(1, 1, 0, 1);
    meter_close(&desk.meter);
    assert_int_equal(told_us(0) + told_us(1), 2);
}

static void the_sum_is_what_the_thread_took_whatever_runs(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int i = 0; i < JOBS; i++) {
        int64_t us = (int64_t)(unit_random(&seed) % (unit_random(&seed) % 100 ? 30 : 3000));
        run((int)(unit_random(&seed) % LINES), (int64_t)(unit_random(&seed) % 70), us, us / (1 + i % 3));
        if (unit_random(&seed) % 20 == 0) meter_close(&desk.meter);
    }
    meter_close(&desk.meter);
    assert_int_equal(all_ns(), desk.cpu_ns);
    assert_int_equal(desk.meter.count, 0);
}

int main(void)
{
#define DESK(test) cmocka_unit_test_setup_teardown(test, make, drop)
    const struct CMUnitTest tests[] = {
        DESK(a_long_job_is_measured_by_itself),
        DESK(a_job_of_which_nothing_is_known_is_measured_by_itself),
        DESK(short_jobs_are_measured_together_and_share_by_their_time),
        DESK(a_long_job_among_short_ones_pays_for_itself_alone),
        DESK(what_is_taken_between_a_close_and_the_next_job_is_nobodys),
        DESK(jobs_that_took_no_time_have_their_cpu_told_all_the_same),
        DESK(the_sum_is_what_the_thread_took_whatever_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
