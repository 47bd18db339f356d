/* SPDX-License-Identifier: MIT */

/* base/histogram: how long things took, in fixed memory: percentiles of any number of values.
 * Idea       a bucket for each number up to 31 µs, from there on 16 for each doubling. A value is told as the middle of its bucket,
 *            so it is wrong by at most a 32nd of itself; 592 buckets (4.7 KiB) reach from 1 µs to 2^40 µs, which is twelve days.
 *            (HdrHistogram's C library is not in Debian 12, and does not let one thread read while another one adds.)
 * Invariant  counts only grow. Who reads while somebody adds finds each value counted or not; sum and max may be a few values
 *            behind.
 * Threads    add: one · read: any. Neither waits. */
#ifndef QUERN_BASE_HISTOGRAM_H
#define QUERN_BASE_HISTOGRAM_H

#include "base/counters.h"

enum {
    HISTOGRAM_BITS = 40,  /* what is longer counts as that long, but for max and mean */
    HISTOGRAM_STEPS = 16, /* per doubling */
    HISTOGRAM_ERROR = 32, /* a percentile is wrong by at most value / this */
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - 3) * HISTOGRAM_STEPS
};

/* All zero: empty. */
struct histogram {
    struct counter sum_us, max_us;
    struct counter buckets[HISTOGRAM_BUCKETS];
};

/* Only the owning thread. Below 0 counts as 0. */
void histogram_add(struct histogram *histogram, int64_t us);

/* Of the values so far; max_us and mean_us are exact. A percentile is the least value that so many of them do not exceed. */
struct histogram_sums {
    int64_t count, max_us, p50_us, p90_us, p99_us, p999_us;
    double mean_us;
};
void histogram_read(const struct histogram *histogram, struct histogram_sums *sums);

#endif
