/* SPDX-License-Identifier: MIT */
#include "cli/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/uuid.h"
#include "config/config.h"
#include "embed/embed.h"

enum { JOBS = 100000, JOBS_MAX = 100000000, BYTES = 64, BYTES_LEAST = 2, BYTES_MAX = 512 * 1024 * 1024 };
enum { ENTRY_BYTES = 200 /* of an entry, besides its data */ };
#define TOTAL_MAX (INT64_C(4) << 30)

static void on_signal(int number)
{
    (void)number;
    bench_is_stopped = 1; /* the second one has its default action */
}

static void take_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, now;
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigaction(numbers[i], NULL, &now) && now.sa_handler == SIG_DFL) sigaction(numbers[i], &action, NULL);
}

int bench_failed(const quern_error *err)
{
    say("%s", err->text);
    return err->code == QUERN_E_CONFIG || err->code == QUERN_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

/* What would change the meaning of the numbers, or reach beyond the stream, is set; everything else is as the user has it. */
static int set_keys(struct bench *bench, quern_error *err)
{
    static const char *const keys[][2] = {{"queues", ""},
                                          {"group", "bench"},
                                          {"start", "0"},
                                          {"max_pending", "0"},
                                          {"unique_by", "key"},
                                          {"max_running", "0"},
                                          {"required_groups", "[]"},
                                          {"ignored_groups", "[]"},
                                          {"until_empty", "false"},
                                          {"crash_hook", "false"},
                                          {"dead_letter_stream", ""},
                                          {"journal_dir", ""}};
    char random[UUID_SIZE];
    uuid_text(random);
    snprintf(bench->stream, sizeof bench->stream, bench->server.is_cluster ? "{quern-bench-%s}" : "quern-bench-%s", random);
    int code = quern_config_set(bench->config, "stream", bench->stream, err);
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !code; i++)
        code = quern_config_set(bench->config, keys[i][0], keys[i][1], err);
    return code ? code : bench_add_handlers(bench, err);
}

/* Is there room for all of it, and nobody of that name? */
static int check_place(const struct bench *bench, quern_error *err)
{
    int64_t total = bench->jobs * (bench->bytes + ENTRY_BYTES), max = bench->server.maxmemory_bytes;
    quern_message message = bench_message(bench, BENCH_DRAIN);
    if (quern_message_check(bench->config, &message, err)) return err->code = QUERN_E_CONFIG;
    if (max > 0 && total > (max - bench->server.used_memory_bytes) / 2) {
        *err = (quern_error){.code = QUERN_E_FULL};
        snprintf(err->text, sizeof err->text,
                 "the server has not room enough: these jobs take about %" PRId64
                 " MiB; fewer, or smaller ones (--jobs, --bytes)",
                 total >> 20);
        return QUERN_E_FULL;
    }
    char *there = quern_queue_stats(bench->config, 0, err);
    quern_free(there);
    if (!there) return err->code == QUERN_E_GONE ? QUERN_OK : err->code;
    *err = (quern_error){.code = QUERN_E_BUSY};
    snprintf(err->text, sizeof err->text, "there is a stream %s already", bench->stream);
    return QUERN_E_BUSY;
}

static void stop_pool(struct bench *bench)
{
    quern_error err;
    quern_pool_stop(bench->pool);
    if (quern_pool_join(bench->pool, bench->config->drain_ms + BENCH_PATIENCE_MS, &err)) say("%s", err.text);
    quern_pool_free(bench->pool);
    bench->pool = NULL;
}

/* Also what was half made. */
static int remove_keys(const struct bench *bench)
{
    quern_error err;
    char *group = quern_queue_remove_group(bench->config, QUERN_FORCE, &err);
    bool is_gone = group || err.code == QUERN_E_GONE;
    char *stream = is_gone ? quern_queue_remove_stream(bench->config, QUERN_FORCE, &err) : NULL;
    is_gone = is_gone && (stream || err.code == QUERN_E_GONE);
    quern_free(group);
    quern_free(stream);
    if (is_gone) return EXIT_DONE;
    say("%s; the keys %s* are still there", err.text, bench->stream);
    return EXIT_FAILED;
}

static int measure(struct bench *bench)
{
    quern_error err;
    int code = gauge_server_read(bench->config, &bench->server, &err);
    if (!code) code = set_keys(bench, &err);
    if (!code) code = check_place(bench, &err);
    if (!code && !(bench->publisher = quern_publisher_open(bench->config, &err))) code = err.code;
    return code ? bench_failed(&err) : bench_run(bench);
}

static int open_bench(struct bench *bench)
{
    bench->cores = gauge_cores();
    bench->heard_fd = eventfd(0, EFD_CLOEXEC);
    bench->reading = calloc(1, sizeof *bench->reading);
    bench->data = malloc((size_t)bench->bytes + 1);
    bench->lanes = aligned_alloc(_Alignof(struct lane), BENCH_LANES * sizeof *bench->lanes);
    if (!bench->reading || !bench->data || !bench->lanes || bench->heard_fd < 0) {
        say("no memory, or no descriptors");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < BENCH_LANES; i++) atomic_init(&bench->lanes[i].began_us, 0);
    memset(bench->data, 'x', (size_t)bench->bytes); /* a JSON text of that many bytes */
    bench->data[0] = bench->data[bench->bytes - 1] = '"';
    return EXIT_DONE;
}

static void close_bench(struct bench *bench)
{
    embed_close(bench->embed);
    quern_config_free(bench->config);
    if (bench->heard_fd >= 0) close(bench->heard_fd);
    free(bench->reading);
    free(bench->data);
    free(bench->lanes);
}

static int read_options(struct bench *bench, int argc, char **argv)
{
    const struct verb_option own[] = {
        {"json", .is_switch = true, .take = option_switch, .into = &bench->is_json},
        {"jobs", .take = option_number, .into = &bench->jobs, .min = 1, .max = JOBS_MAX},
        {"bytes", .take = option_number, .into = &bench->bytes, .min = BYTES_LEAST, .max = BYTES_MAX},
        {NULL}};
    int rest, code = options_read(bench->config, &(struct verb_options){.own = own, .may_mix = true}, argc, argv, &rest);
    if (code) return code;
    if (rest < argc) say("bench: '%s' is not understood; right would be: quern bench [options]", argv[rest]);
    if (rest < argc) return QUERN_E_CONFIG;
    if (bench->jobs * bench->bytes <= TOTAL_MAX) return QUERN_OK;
    say("--jobs times --bytes is more than 4 GiB: all of it would lie in the server at once");
    return QUERN_E_CONFIG;
}

static int bench_all(struct bench *bench, int argc, char **argv)
{
    int code = read_options(bench, argc, argv);
    if (code) return code == QUERN_E_GONE ? EXIT_DONE : EXIT_USAGE;
    int status = open_bench(bench);
    if (status) return status;
    code = server_open(bench->config, &(struct server_options){.is_quiet = bench->is_json}, &bench->embed);
    if (code) return code == QUERN_E_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    take_signals();
    status = measure(bench);
    if (bench->pool) stop_pool(bench);
    quern_publisher_close(bench->publisher);
    int removed = bench->has_keys ? remove_keys(bench) : EXIT_DONE;
    if (!status) status = bench_tell(bench);
    return status ? status : removed;
}

int verb_bench(int argc, char **argv)
{
    struct bench bench = {.config = quern_config_new(), .jobs = JOBS, .bytes = BYTES, .heard_fd = -1};
    if (!bench.config) {
        say("no memory");
        return EXIT_FAILED;
    }
    int status = bench_all(&bench, argc, argv);
    close_bench(&bench);
    return status;
}
