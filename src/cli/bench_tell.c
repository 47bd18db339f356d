/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/print.h"
#include "cli/verdict.h"

static double per_s(const struct bench *bench, const struct gauge *gauge)
{
    return (double)bench->jobs * 1e6 / (double)gauge->took_us;
}

static json_t *percent(double share)
{
    return share < 0 ? json_null() : json_real((double)(int64_t)(100 * share + 0.5));
}

static json_t *row_of(const struct bench *bench, const char *name, const struct gauge *gauge)
{
    char words[VERDICT_SIZE];
    struct verdict verdict = verdict_of(gauge, bench->cores);
    verdict_write(&verdict, gauge, &bench->server, words);
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:o, s:o, s:s, s:o, s:s, s:s}", "what", name, "per_s", per_s(bench, gauge),
                     "took_s", (double)gauge->took_us / 1e6, "our_cpu_us", (double)gauge->cpu_us / (double)bench->jobs,
                     "server_cpu_us", (double)gauge->server_us / (double)bench->jobs, "server_busy_percent",
                     percent(verdict.server_busy), "thread_busy_percent", percent(verdict.thread_busy), "busiest_thread",
                     gauge->busiest, "machine_busy_percent", percent(gauge->machine_busy), "limit", verdict_name(verdict.limit),
                     "verdict", words);
}

static json_t *result_of(const struct bench *bench)
{
    const int64_t *us = bench->latency_us;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:I, s:[o, o], s:{s:i, s:I, s:I, s:I}, s:f}", "redis",
                     bench->server.shown, "product", bench->server.product, "version", bench->server.version, "jobs",
                     (json_int_t)bench->jobs, "bytes", (json_int_t)bench->bytes, "threads", (json_int_t)bench->threads, "cores",
                     bench->cores, "round_trip_us", (json_int_t)bench->server.round_trip_us, "stretches",
                     row_of(bench, "publish", &bench->fill), row_of(bench, "drain", &bench->drain), "latency", "samples",
                     BENCH_PACED, "p50_us", (json_int_t)us[BENCH_PACED / 2], "p99_us", (json_int_t)us[BENCH_PACED * 99 / 100],
                     "max_us", (json_int_t)us[BENCH_PACED - 1], "fills_threads_us",
                     (double)bench->threads * 1e6 / per_s(bench, &bench->drain));
}

static void show(const struct bench *bench, const json_t *result)
{
    static const struct column columns[] = {{"", "what", CELL_TEXT},
                                            {"PER S", "per_s", CELL_NUMBER},
                                            {"OUR CPU US", "our_cpu_us", CELL_REAL},
                                            {"ITS CPU US", "server_cpu_us", CELL_REAL},
                                            {"SERVER BUSY %", "server_busy_percent", CELL_NUMBER},
                                            {"OUR BUSIEST %", "thread_busy_percent", CELL_NUMBER},
                                            {"THREAD", "busiest_thread", CELL_TEXT},
                                            {"MACHINE %", "machine_busy_percent", CELL_NUMBER},
                                            {NULL}};
    const json_t *rows = json_object_get(result, "stretches");
    const int64_t *us = bench->latency_us;
    printf("%s %s at %s, %" PRId64 " us there and back\n%" PRId64 " jobs of %" PRId64 " bytes, %" PRId64
           " threads on %d cores\n\n",
           bench->server.product, bench->server.version, bench->server.shown, bench->server.round_trip_us, bench->jobs,
           bench->bytes, bench->threads, bench->cores);
    print_table(rows, columns);
    putchar('\n');
    for (size_t i = 0; i < json_array_size(rows); i++)
        printf("%-8s %s\n", json_string_value(json_object_get(json_array_get(rows, i), "what")),
               json_string_value(json_object_get(json_array_get(rows, i), "verdict")));
    printf("latency  from publish to the handler's first line, %d single jobs on an idle pool: p50 %" PRId64 " us, p99 %" PRId64
           " us, at most %" PRId64 " us\n",
           BENCH_PACED, us[BENCH_PACED / 2], us[BENCH_PACED * 99 / 100], us[BENCH_PACED - 1]);
    printf("handlers longer than %.1f us keep all %" PRId64 " threads busy; shorter ones wait for the queue\n",
           json_real_value(json_object_get(result, "fills_threads_us")), bench->threads);
}

int bench_tell(const struct bench *bench)
{
    json_t *result = result_of(bench);
    char *text = result && bench->is_json ? json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (text) puts(text);
    if (result && !bench->is_json) show(bench, result);
    bool is_told = result && (text || !bench->is_json);
    free(text);
    json_decref(result);
    if (!is_told) say("no memory for what was measured");
    if (is_told && fflush(stdout) == 0 && !ferror(stdout)) return EXIT_DONE;
    if (is_told) say("standard output: %s", strerror(errno));
    return EXIT_FAILED;
}
