/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/guests.h"
#include "config/config.h"
#include "embed/embed.h"
#include "pool/leave.h"
#include "supervise/child.h"
#include "supervise/notify.h"
#include "supervise/supervise.h"

enum { LOOK_MS = 1000, BROKEN_LOOK_MS = 10 };
enum { ECHO_MS = 100, TRY_AGAIN_MS = 1000, BEYOND_DRAIN_MS = 500 };

struct run {
    int argc;
    char **argv;
    bool is_child, is_alone; /* of a supervising parent; it runs the jobs that run alone */
    bool goes_unsupervised;
    quern_config *config;
    char *redis; /* as it was set before the private server took its place; NULL: not at all */
    struct modules modules;
    struct embed *embed;
    int64_t late_ms; /* when it is said that the private server takes its time */
    bool was_late;
    int witness; /* and what it is: the three are ours as long as it is */
    struct stat witnessed;
    int signals, ended;               /* descriptors: the signals of open_descriptors(); the pool has stopped by itself */
    bool is_broken;                   /* a handler has closed descriptors of ours: whoever starts us is to begin anew */
    bool is_paused, wants_reload;     /* wants_reload: as soon as there is a pool */
    quern_pool *pool;                 /* NULL: none has started */
    int64_t alive_every_ms, alive_ms; /* how often a watchdog is told, 0: none asks; when next */
};

/* ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

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

static void tell_alone(void *user)
{
    (void)user;
    child_say("alone");
}

/* Whom to signal. */
static int asked_pid(const struct run *run)
{
    return (int)(run->is_child ? getppid() : getpid());
}

static int open_descriptors(struct run *run)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    run->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    run->witness = memfd_create("quern", MFD_CLOEXEC);
    bool is_open = run->signals >= 0 && run->ended >= 0 && run->witness >= 0 && !fstat(run->witness, &run->witnessed);
    return is_open ? QUERN_OK : QUERN_E_MEMORY;
}

/* A handler that closes all it finds closes ours, too, and their numbers are given to others at once: to read from one of them could take
 * what is meant for those. One that nobody uses tells whether that has happened. */
static bool is_intact(const struct run *run)
{
    struct stat now;
    return !fstat(run->witness, &now) && now.st_dev == run->witnessed.st_dev && now.st_ino == run->witnessed.st_ino;
}

/* Does it get on? A server that is away is waited for; an answer that is overdue while nothing is known to be wrong means that one of our
 * threads stands still. */
static bool is_alive(quern_pool *pool)
{
    char *text = quern_pool_stats(pool);
    json_t *stats = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    const json_t *up = json_object_get(json_object_get(stats, "redis"), "up");
    bool gets_on = json_is_true(json_object_get(stats, "healthy")) || (json_is_integer(up) && !json_integer_value(up));
    json_decref(stats);
    quern_free(text);
    return gets_on;
}

static void tell_alive(struct run *run)
{
    if (!run->alive_every_ms || now_ms() < run->alive_ms || (run->pool && !is_alive(run->pool))) return;
    run->alive_ms = now_ms() + run->alive_every_ms;
    notify_alive();
    child_say("alive");
}

/* Waits for a signal or the pool's own end. Which signal? 0: none. */
static int wait_signal(struct run *run, int timeout_ms)
{
    struct pollfd at[] = {{.fd = run->signals, .events = POLLIN}, {.fd = run->ended, .events = POLLIN}};
    struct signalfd_siginfo which;
    int64_t end_ms = now_ms() + timeout_ms, left_ms = timeout_ms;
    int64_t look_ms = run->alive_every_ms && run->alive_every_ms < LOOK_MS ? run->alive_every_ms : LOOK_MS;
    int n = 0;
    do {
        tell_alive(run);
        if (timeout_ms >= 0) left_ms = end_ms - now_ms();
        bool is_short = left_ms >= 0 && left_ms < look_ms;
        n = poll(at, 2, (int)(is_short ? left_ms : look_ms));
    } while (n <= 0 && is_intact(run) && (timeout_ms < 0 || now_ms() < end_ms));
    if (!is_intact(run)) {
        run->is_broken = true;
        poll(NULL, 0, BROKEN_LOOK_MS); /* it would be so at once the next time, too */
        return 0;
    }
    return at[0].revents && read(run->signals, &which, sizeof which) == (ssize_t)sizeof which ? (int)which.ssi_signo : 0;
}

static bool is_stop(int signal)
{
    return signal == SIGINT || signal == SIGTERM;
}

/* What a pool of this program has besides what was asked for: a journal below the state folder, and the hook. A folder that cannot be
 * had is no reason not to work; the pool says that there is no journal. */
static void add_ours(const struct run *run, quern_config *config)
{
    quern_error err;
    config->crash_hook = true;
    config->lanes = run->is_alone ? LANES_ALONE : run->is_child ? LANES_SHARED : LANES_ALL;
    config->alone_waits = tell_alone;
    if (run->is_alone) config->threads = 1;
    if (journals_set(config, &err)) say("no crash journal: %s", err.text);
}

/* What named the private server, or no server, means the one that it meant at the start. */
static int take_server(const struct run *run, quern_config *asked, quern_error *err)
{
    bool is_same = run->redis && asked->redis ? strcmp(run->redis, asked->redis) == 0 : run->redis == asked->redis;
    if (is_same) return quern_config_set(asked, "redis", run->config->redis, err);
    return asked->redis ? QUERN_OK : quern_config_set(asked, "redis", "embedded:", err);
}

/* The verb's own option: --no-supervise is --supervise false. */
static int read_options(struct run *run, quern_config *config, int *rest)
{
    struct verb_option own[] = {
        {.name = "no_supervise", .is_switch = true, .take = option_switch, .into = &run->goes_unsupervised}, {.name = NULL}};
    return options_read(config, &(struct verb_options){.own = own, .serves_all = true}, run->argc, run->argv, rest);
}

/* Reads anew what was read at the start, and opens its modules. What is wrong has been said. */
static int read_again(struct run *run, quern_config *asked)
{
    quern_error err;
    int rest, code = read_options(run, asked, &rest);
    if (!code) code = guests_open(&run->modules, asked, run->argv + rest);
    if (code) return code;
    asked->connect_ms = run->config->connect_ms; /* start() has made it its own */
    add_ours(run, asked);
    code = take_server(run, asked, &err);
    if (code) say("%s", err.text);
    return code;
}

/* All of it or nothing. The pool says in its log that it has reloaded. */
static void reload(struct run *run, quern_pool *pool)
{
    quern_error err = {.text = "no memory"};
    size_t before = run->modules.count;
    quern_config *asked = quern_config_new();
    bool is_read = asked && !read_again(run, asked);
    if (is_read && !quern_pool_reload(pool, asked, &err)) {
        quern_config_free(run->config);
        run->config = asked;
        return;
    }
    if (is_read || !asked) say("%s", err.text);
    say("reload refused; nothing was changed");
    module_unload(&run->modules, before);
    quern_config_free(asked);
}

/* What asks for anything but the end. pool: NULL as long as it has not started. */
static void hear(struct run *run, quern_pool *pool, int signal)
{
    if (signal == SIGTSTP && !run->is_paused && !(pool && quern_pool_pause(pool))) {
        run->is_paused = true;
        say("paused: what runs is finished, nothing else is started; to go on: kill -CONT %d", asked_pid(run));
    } else if (signal == SIGCONT && run->is_paused && !(pool && quern_pool_resume(pool))) {
        run->is_paused = false;
        say("going on; to pause again: kill -TSTP %d", asked_pid(run));
    } else if (signal == SIGHUP && pool) {
        reload(run, pool);
    } else if (signal == SIGHUP) {
        run->wants_reload = true;
    }
}

/* Until the next attempt to start, which a pause holds back. false: it is to end. */
static bool wait_to_start(struct run *run, int pause_ms)
{
    do {
        int signal = wait_signal(run, run->is_paused ? -1 : pause_ms);
        if (is_stop(signal)) return false;
        hear(run, NULL, signal);
    } while (run->is_paused);
    return true;
}

/* No server, one that does not answer, or one that refuses what it will not refuse for ever. */
static bool may_come(const quern_error *err)
{
    return err->code == QUERN_E_CONNECT || err->code == QUERN_E_TIMEOUT || (err->code == QUERN_E_SERVER && err->is_retriable);
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
        bool waits = may_come(&err);
        if (!was_down || !waits) say("%s%s", err.text, waits ? "; waiting for it" : "");
        *status = err.code == QUERN_E_CONFIG || err.code == QUERN_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
        if (!waits) return NULL;
        if (!wait_to_start(run, TRY_AGAIN_MS)) {
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
    json_t *stats = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
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

/* Handlers still run: nobody is to be blamed for that, and nothing else that is ours must run. */
static void leave_behind(const struct run *run, quern_pool *pool)
{
    pool_leaves(pool);
    if (!run->is_broken) child_say("leaving");
    _exit(EXIT_FAILED);
}

/* The first signal was taken, or the pool stops by itself: ends within drain_ms, or at once at a second signal. */
static int drain(struct run *run, quern_pool *pool, bool is_asked)
{
    quern_error err;
    int64_t end_ms = now_ms() + run->config->drain_ms + BEYOND_DRAIN_MS;
    notify_say("STOPPING=1");
    quern_pool_stop(pool);
    forget_echo(run);
    if (is_asked && quern_pool_join(pool, 0, &err) == QUERN_E_BUSY)
        say("stopping; %s; at most %lld ms more; to leave at once: once more", err.text, (long long)(end_ms - now_ms()));
    while (quern_pool_join(pool, 0, &err) == QUERN_E_BUSY && now_ms() < end_ms) {
        if (!is_stop(wait_signal(run, 20))) continue;
        say("second signal: leaving at once; %s", err.text);
        leave_behind(run, pool);
    }
    if (quern_pool_join(pool, 0, &err)) {
        say("drain_ms is over; %s: they stay pending", err.text);
        leave_behind(run, pool);
    }
    int64_t unsettled = unsettled_jobs(pool);
    if (unsettled) say("Redis was away: %lld jobs could not be acknowledged and stay pending", (long long)unsettled);
    quern_pool_free(pool);
    run->pool = NULL;
    return unsettled || run->is_broken ? EXIT_FAILED : EXIT_DONE;
}

static int serve(struct run *run)
{
    int status = EXIT_DONE;
    quern_config_log(run->config, log_line, NULL);
    quern_config_observe(run->config, QUERN_NOTICE_STOPPED, observe, run);
    if (run->config->journal_dir) run->config->journal_path = child_journal(run->config->journal_dir);
    quern_pool *pool = start(run, &status);
    if (!pool) return status;
    run->pool = pool;
    child_say("ready");
    notify_say("READY=1");
    if (run->wants_reload) reload(run, pool);
    int signal;
    while ((signal = wait_signal(run, -1)) && !is_stop(signal)) hear(run, pool, signal);
    if (run->is_broken) say("a handler has closed descriptors that are not its own: this process ends, another is to begin");
    return drain(run, pool, signal != 0);
}

/* The private server is waited for as any other is; that it takes its time is said once. */
static bool goes_on(void *given, const char *lack)
{
    struct run *run = given;
    if (!run->was_late && now_ms() >= run->late_ms) {
        say("the private server does not serve yet: %s; waiting for it", lack);
        run->was_late = true;
    }
    return wait_to_start(run, 0);
}

/* Opens the descriptors too, for a signal is heard while it waits. QUERN_OK, or *status says how to end. */
static int open_server(struct run *run, int *status)
{
    if (open_descriptors(run)) {
        say("no descriptors: is there a limit on open files?");
        *status = EXIT_FAILED;
        return QUERN_E_MEMORY;
    }
    run->late_ms = now_ms() + server_patience_ms(run->config);
    int code = server_open(run->config, &(struct server_options){.is_quiet = run->is_child, .goes_on = goes_on, .user = run},
                           &run->embed);
    *status = code == QUERN_E_GONE ? EXIT_DONE : code == QUERN_E_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    if (!code && run->was_late) say("Redis answers");
    return code;
}

/* The parent is a user of the private server too, so that it outlives a child that crashes. */
static int watch_over(struct run *run, char **arguments)
{
    int status;
    /* Opened to see whether they can be: what is wrong is said once, and before anything is started. */
    if (guests_open(&run->modules, run->config, arguments)) return EXIT_USAGE;
    module_unload_all(&run->modules);
    if (open_server(run, &status)) return status; /* a wish to reload is granted: the child reads all anew */
    return supervise(&(struct supervise_options){.arguments = run->argv, .config = run->config, .say = say});
}

static int run_all(struct run *run)
{
    int rest, status, code = read_options(run, run->config, &rest);
    if (code) return code == QUERN_E_GONE ? EXIT_DONE : EXIT_USAGE;
    notify_open();
    run->alive_every_ms = notify_every_ms();
    if (run->config->supervise && !run->goes_unsupervised && !run->is_child) return watch_over(run, run->argv + rest);
    add_ours(run, run->config);
    if (guests_open(&run->modules, run->config, run->argv + rest)) return EXIT_USAGE;
    run->redis = quern_config_get(run->config, "redis");
    return open_server(run, &status) ? status : serve(run);
}

static int run_as(struct run run)
{
    run.config = quern_config_new();
    run.signals = run.ended = run.witness = -1;
    if (!run.config) {
        say("no memory");
        return EXIT_FAILED;
    }
    int status = run_all(&run);
    module_unload_all(&run.modules);
    embed_close(run.embed);
    quern_config_free(run.config);
    quern_free(run.redis);
    if (!run.is_broken) child_say("leaving");
    return status;
}

int verb_run(int argc, char **argv)
{
    return run_as((struct run){.argc = argc, .argv = argv});
}

int run_supervised(int argc, char **argv)
{
    bool is_alone;
    if (argc < 2 || !child_begin(argv[0] + strlen(CHILD_WORD), &is_alone)) return EXIT_USAGE;
    return run_as((struct run){.argc = argc - 1, .argv = argv + 1, .is_child = true, .is_alone = is_alone});
}
