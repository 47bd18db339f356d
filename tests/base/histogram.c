/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

#include "support/unit.h"

enum { VALUES = 10007, ADDED = 1000000, ROUNDS = 30 };
static const int64_t longest_us = (INT64_C(1) << HISTOGRAM_BITS) - 1;

static bool is_near(int64_t told_us, int64_t us)
{
    int64_t error_us = told_us > us ? told_us - us : us - told_us;
    return error_us * HISTOGRAM_ERROR <= us;
}

static struct histogram *made(void)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    return histogram;
}

/* A longer one beside it, so that max does not help. */
static void is_told(int64_t us)
{
    struct histogram *histogram = made();
    struct histogram_sums sums;
    histogram_add(histogram, us);
    histogram_add(histogram, longest_us);
    histogram_read(histogram, &sums);
    if (!is_near(sums.p50_us, us)) fail_msg("%lld is told as %lld", (long long)us, (long long)sums.p50_us);
    free(histogram);
}

static void each_value_from_0_to_twelve_days_is_told_within_a_32nd(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int64_t us = 0; us < 5000; us++) is_told(us);
    for (int bit = 0; bit < HISTOGRAM_BITS; bit++)
        for (int64_t beside = -1; beside <= 1; beside++) is_told((INT64_C(1) << bit) + beside);
    for (int i = 0; i < VALUES; i++) is_told((int64_t)(unit_random(&seed) >> (24 + unit_random(&seed) % 40)));
    is_told(longest_us);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The least value that n of a thousand do not exceed. */
static int64_t of_sorted(const int64_t *values, size_t count, size_t n)
{
    size_t rank = (count * n + 999) / 1000;
    return values[rank ? rank - 1 : 0];
}

static void are_those_of_the_sorted(size_t count, uint64_t seed)
{
    struct histogram *histogram = made();
    struct histogram_sums sums;
    int64_t *values = calloc(count, sizeof *values), sum_us = 0;
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        values[i] = (int64_t)(unit_random(&seed) >> (30 + unit_random(&seed) % 30));
        sum_us += values[i];
        histogram_add(histogram, values[i]);
    }
    qsort(values, count, sizeof *values, compare);
    histogram_read(histogram, &sums);
    assert_int_equal(sums.count, count);
    assert_int_equal(sums.max_us, values[count - 1]);
    assert_int_equal((int64_t)(sums.mean_us * (double)count + 0.5), sum_us);
    assert_true(is_near(sums.p50_us, of_sorted(values, count, 500)));
    assert_true(is_near(sums.p90_us, of_sorted(values, count, 900)));
    assert_true(is_near(sums.p99_us, of_sorted(values, count, 990)));
    assert_true(is_near(sums.p999_us, of_sorted(values, count, 999)));
    free(values);
    free(histogram);
}

static void percentiles_are_those_of_the_sorted_values(void **state)
{
    static const size_t counts[] = {1, 2, 3, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, VALUES};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) are_those_of_the_sorted(counts[i], seed);
}

static void nothing_is_told_as_nothing(void **state)
{
    struct histogram *histogram = made();
    struct histogram_sums sums;
    (void)state;
    histogram_read(histogram, &sums);
    assert_int_equal(sums.count + sums.max_us + sums.p50_us + sums.p999_us, 0);
    assert_true(sums.mean_us < 1e-9);
    histogram_add(histogram, -7); /* a clock's affair: no time at all */
    histogram_read(histogram, &sums);
    assert_int_equal(sums.count, 1);
    assert_int_equal(sums.max_us + sums.p50_us + sums.p999_us, 0);
    free(histogram);
}

static void what_is_longer_than_twelve_days_counts_as_that_and_its_max_is_exact(void **state)
{
    struct histogram *histogram = made();
    struct histogram_sums sums;
    (void)state;
    histogram_add(histogram, INT64_MAX / 2);
    histogram_read(histogram, &sums);
    assert_int_equal(sums.max_us, INT64_MAX / 2);
    assert_true(is_near(sums.p50_us, longest_us));
    free(histogram);
}

/* ── one adds, another reads ─────────────────────────────────────────────────────────────────────────────────────── */

struct shared {
    struct histogram *histogram;
    _Atomic bool has_ended;
    uint32_t looks, wrong;
};

/* 100 to 199 µs, nothing else. */
static void add_all(struct shared *shared)
{
    for (int64_t i = 0; i < ADDED; i++) histogram_add(shared->histogram, 100 + i % 100);
    atomic_store(&shared->has_ended, true);
}

static bool is_plausible(const struct histogram_sums *sums, int64_t count_before)
{
    if (!sums->count) return true;
    return sums->count >= count_before && sums->p50_us <= sums->p90_us && sums->p90_us <= sums->p99_us &&
           sums->p99_us <= sums->p999_us && sums->p50_us <= 203 && sums->max_us <= 199;
}

static void look(struct shared *shared)
{
    struct histogram_sums sums;
    for (int64_t before = 0; !atomic_load(&shared->has_ended); before = sums.count, shared->looks++) {
        histogram_read(shared->histogram, &sums);
        shared->wrong += !is_plausible(&sums, before);
    }
}

static void add_or_look(void *given, unsigned number)
{
    if (number)
        look(given);
    else
        add_all(given);
}

static void who_reads_while_another_adds_sees_what_was_there(void **state)
{
    struct shared shared = {.histogram = made()};
    struct histogram_sums sums;
    (void)state;
    unit_together(2, add_or_look, &shared);
    assert_int_equal(shared.wrong, 0);
    histogram_read(shared.histogram, &sums);
    assert_int_equal(sums.count, ADDED);
    assert_int_equal(sums.max_us, 199);
    assert_true(is_near(sums.p50_us, 149) && is_near(sums.p99_us, 198));
    free(shared.histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_from_0_to_twelve_days_is_told_within_a_32nd),
        cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
        cmocka_unit_test(nothing_is_told_as_nothing),
        cmocka_unit_test(what_is_longer_than_twelve_days_counts_as_that_and_its_max_is_exact),
        cmocka_unit_test(who_reads_while_another_adds_sees_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
