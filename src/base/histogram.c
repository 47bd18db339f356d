/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

static const int64_t longest_us = (INT64_C(1) << HISTOGRAM_BITS) - 1;

/* A value of n bits keeps the first five of them: the shift that leaves those, and what they are. */
static uint32_t bucket_of(int64_t us)
{
    if (us < 2 * HISTOGRAM_STEPS) return us > 0 ? (uint32_t)us : 0;
    if (us > longest_us) us = longest_us;
    uint32_t shift = (uint32_t)(63 - __builtin_clzll((unsigned long long)us)) - 4;
    return shift * HISTOGRAM_STEPS + (uint32_t)(us >> shift);
}

static int64_t middle_of(uint32_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS) return bucket;
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    int64_t least = (int64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
    return least + (INT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *histogram, int64_t us)
{
    if (us < 0) us = 0;
    counter_add(&histogram->buckets[bucket_of(us)], 1);
    counter_add(&histogram->sum_us, us);
    if (us > counter_read(&histogram->max_us)) counter_set(&histogram->max_us, us);
}

/* The place of a percentile among count values, the first one being 1. */
static int64_t rank_of(int64_t count, int64_t per_mille)
{
    int64_t whole = count / 1000 * per_mille, rest = (count % 1000 * per_mille + 999) / 1000;
    return whole + rest > 0 ? whole + rest : 1;
}

/* The buckets are walked twice, and may grow meanwhile: that many are there by the second time. */
void histogram_read(const struct histogram *histogram, struct histogram_sums *sums)
{
    static const int64_t per_mille[] = {500, 900, 990, 999};
    int64_t found_us[4] = {0}, sum_us = counter_read(&histogram->sum_us), max_us = counter_read(&histogram->max_us);
    int64_t count = 0, passed = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) count += counter_read(&histogram->buckets[i]);
    for (uint32_t i = 0, next = 0; i < HISTOGRAM_BUCKETS && next < 4 && count; i++) {
        passed += counter_read(&histogram->buckets[i]);
        int64_t us = middle_of(i) < max_us ? middle_of(i) : max_us;
        while (next < 4 && passed >= rank_of(count, per_mille[next])) found_us[next++] = us;
    }
    *sums = (struct histogram_sums){
        .count = count,
        .max_us = max_us,
        .p50_us = found_us[0],
        .p90_us = found_us[1],
        .p99_us = found_us[2],
        .p999_us = found_us[3],
        .mean_us = count ? (double)sum_us / (double)count : 0,
    };
}
