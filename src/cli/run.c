/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/module.h"
#include "config/config.h"
#include "embed/embed.h"

enum { ECHO_MS = 100, TRY_AGAIN_MS = 1000, BEYOND_DRAIN_MS = 500 };

struct run {
    quern_config *config;
    struct modules modules;
    struct embed *embed;
    char module_path[PATH_MAX];
    int signals, ended; /* descriptors: SIGINT and SIGTERM; the pool has stopped by itself */
};

/* ── workers ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Modules lie beside the program where it was built, in the libraries' folder where it was installed. */
static const char *module_directory(struct run *run)
{
    static const char *const places[] = {"workers", INSTALLED_MODULES};
    char self[PATH_MAX - 64], place[PATH_MAX];
    if (run->config->module_path) return run->config->module_path;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return "/usr/lib/quern/workers";
    self[n] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(place, sizeof place, "%s/%s", self, places[i]);
        if (realpath(place, run->module_path)) return run->module_path;
    }
    snprintf(run->module_path, sizeof run->module_path, "%s/workers", self);
    return run->module_path;
}

/* {"command": [...]} */
static char *command_options(char **command)
{
    json_t *words = json_array();
    for (; *command; command++) json_array_append_new(words, json_string(*command));
    json_t *options = json_pack("{s:o}", "command", words);
    char *text = options ? json_dumps(options, JSON_COMPACT) : NULL;
    json_decref(options);
    return text;
}

/* EVENT -- COMMAND …: an exec worker beside those of the file. */
static int load_command(struct run *run, char **arguments, quern_error *err)
{
    char *options = command_options(arguments + 2);
    if (!options) {
        snprintf(err->text, sizeof err->text, "the command is not UTF-8");
        return QUERN_E_ARGUMENT;
    }
    struct config_worker worker = {.event = arguments[0], .module = "exec", .options = options, .policy = "{}"};
    int code = module_load(&run->modules, module_directory(run), &worker, run->config, err);
    free(options);
    return code;
}

static int load_workers(struct run *run, char **arguments)
{
    quern_error err;
    int code = QUERN_OK;
    const struct config_workers *workers = &run->config->workers;
    bool has_command = arguments[0] && arguments[1] && strcmp(arguments[1], "--") == 0 && arguments[2];
    if (arguments[0] && !has_command) {
        say("after the options comes EVENT -- COMMAND ..., as in: quern run image.resize -- ./resize.sh");
        return QUERN_E_ARGUMENT;
    }
    for (size_t i = 0; i < workers->count; i++) {
        if (!module_load(&run->modules, module_directory(run), &workers->at[i], run->config, &err)) continue;
        say("%s", err.text);
        code = QUERN_E_CONFIG; /* and the others? All that is wrong is told at once */
    }
    if (has_command && load_command(run, arguments, &err)) {
        say("%s", err.text);
        code = QUERN_E_CONFIG;
    }
    if (code) return code;
    if (run->config->handlers.count) return QUERN_OK;
    say("nothing to run: name workers in a file (-c) or a command (EVENT -- COMMAND ...)");
    return QUERN_E_CONFIG;
}

/* ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void log_line(void *user, int level, const char *line)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

static void observe(void *given, const quern_notice *notice)
{
    struct run *run = given;
    (void)notice;
    if (write(run->ended, &(uint64_t){1}, sizeof(uint64_t)) < 0) say("eventfd: %s", strerror(errno));
}

static int open_descriptors(struct run *run)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    run->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return run->signals < 0 || run->ended < 0 ? QUERN_E_MEMORY : QUERN_OK;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits for a signal or the pool's own end. Was it a signal? */
static bool wait_signal(struct run *run, int timeout_ms)
{
    struct pollfd at[] = {{.fd = run->signals, .events = POLLIN}, {.fd = run->ended, .events = POLLIN}};
    struct signalfd_siginfo which;
    while (poll(at, 2, timeout_ms) < 0 && errno == EINTR) continue;
    return at[0].revents && read(run->signals, &which, sizeof which) == (ssize_t)sizeof which;
}

/* A server that is down is waited for: one line when it is, one when it is back. The waiting is done here, between single
 * attempts, where a signal is heard. NULL: *status says how to end. */
static quern_pool *start(struct run *run, int *status)
{
    quern_error err = {0};
    run->config->connect_ms = 0;
    quern_pool *pool;
    bool was_down = false;
    for (; !(pool = quern_pool_start(run->config, &err)); was_down = true) {
        bool may_come = err.code == QUERN_E_CONNECT;
        if (!was_down || !may_come) say("%s%s", err.text, may_come ? "; waiting for it" : "");
        *status = err.code == QUERN_E_CONFIG || err.code == QUERN_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
        if (!may_come) return NULL;
        if (wait_signal(run, TRY_AGAIN_MS)) {
            *status = EXIT_DONE;
            return NULL;
        }
    }
    if (was_down) say("Redis answers");
    return pool;
}

/* Jobs that ended here but could not be told to Redis before the drain was over. */
static int64_t unsettled_jobs(quern_pool *pool)
{
    char *text = quern_pool_stats(pool);
    json_t *stats = text ? json_loads(text, 0, NULL) : NULL;
    int64_t count = json_integer_value(json_object_get(json_object_get(stats, "jobs"), "unsettled"));
    json_decref(stats);
    quern_free(text);
    return count;
}

/* One wish to stop may come as two signals: timeout(1) signals its child and then the whole group. What follows the first one
 * within a moment belongs to it. */
static void forget_echo(struct run *run)
{
    struct signalfd_siginfo which;
    poll(&(struct pollfd){.fd = run->ended, .events = POLLIN}, 1, ECHO_MS);
    while (read(run->signals, &which, sizeof which) > 0) continue;
}

/* The first signal was taken, or the pool stops by itself: ends within drain_ms, or at once at a second signal. */
static int drain(struct run *run, quern_pool *pool)
{
    quern_error err;
    int64_t end_ms = now_ms() + run->config->drain_ms + BEYOND_DRAIN_MS;
    quern_pool_stop(pool);
    forget_echo(run);
    while (quern_pool_join(pool, 0, &err) == QUERN_E_BUSY && now_ms() < end_ms) {
        if (!wait_signal(run, 20)) continue;
        say("second signal: leaving at once; %s", err.text);
        _exit(EXIT_FAILED);
    }
    if (quern_pool_join(pool, 0, &err)) {
        say("drain_ms is over; %s: they stay pending", err.text);
        _exit(EXIT_FAILED);
    }
    int64_t unsettled = unsettled_jobs(pool);
    if (unsettled) say("Redis was away: %lld jobs could not be acknowledged and stay pending", (long long)unsettled);
    quern_pool_free(pool);
    return unsettled ? EXIT_FAILED : EXIT_DONE;
}

static int serve(struct run *run)
{
    int status = EXIT_DONE;
    quern_config_log(run->config, log_line, NULL);
    quern_config_observe(run->config, QUERN_NOTICE_STOPPED, observe, run);
    quern_pool *pool = start(run, &status);
    if (!pool) return status;
    wait_signal(run, -1);
    return drain(run, pool);
}

static int run_all(struct run *run, int argc, char **argv)
{
    int rest, code = options_read(run->config, &(struct verb_options){0}, argc, argv, &rest);
    if (code) return code == QUERN_E_GONE ? EXIT_DONE : EXIT_USAGE;
    if (load_workers(run, argv + rest)) return EXIT_USAGE;
    if (open_descriptors(run)) {
        say("no descriptors: is there a limit on open files?");
        return EXIT_FAILED;
    }
    code = server_open(run->config, &run->embed);
    if (code) return code == QUERN_E_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    return serve(run);
}

int verb_run(int argc, char **argv)
{
    struct run run = {.config = quern_config_new(), .signals = -1, .ended = -1};
    if (!run.config) {
        say("no memory");
        return EXIT_FAILED;
    }
    int status = run_all(&run, argc, argv);
    module_unload_all(&run.modules);
    embed_close(run.embed);
    quern_config_free(run.config);
    return status;
}
