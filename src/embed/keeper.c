/* SPDX-License-Identifier: MIT */
#include "embed/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/err.h"
#include "embed/ask.h"
#include "embed/launch.h"
#include "embed/lock.h"
#include "embed/place.h"
#include "embed/server.h"

enum {
    PING_MS = 10,          /* how often a starting server is asked whether it serves */
    ASK_MS = 1000,         /* how long one question may take */
    RESTART_FIRST_MS = 10, /* the first restart is at once, by human measure */
    RESTART_MAX_MS = 5000,
    STEADY_MS = 10000,      /* a server that served this long has not failed at its start */
    SHUTDOWN_FIRST_MS = 20, /* SHUTDOWN is said again, ever more seldom, until the server has ended */
    SHUTDOWN_MAX_MS = 1000,
};

struct keeper {
    struct place place;
    struct server_program program; /* the last one started */
    const char *search;
    int log_fd;
    pid_t pid;        /* the server, if it is our child; 0: it was there before us, or there is none */
    bool has_started; /* at least one server of ours */
    bool is_serving;  /* the present one has answered */
    bool has_failed;  /* the last one ended by itself, with an error */
    bool is_reported; /* who summoned us has been told, and waits no more */
    int64_t started_ns;
    struct backoff restart, shutdown;
    struct lock_watch users, server;
};

static void keeper_log(const char *format, ...) QUERN_PRINTF(1, 2);

/* Standard error is the server's log. */
static void keeper_log(const char *format, ...)
{
    char when[CLOCK_ISO_SIZE], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clock_iso(clock_unix_us(), when);
    dprintf(STDERR_FILENO, "%s quern keeper: %s\n", when, text);
}

/* Ends the report: with an error, or with nothing. */
static void report(struct keeper *keeper, const quern_error *err)
{
    if (keeper->is_reported) return;
    keeper->is_reported = true;
    if (err) dprintf(STDOUT_FILENO, "%d %s\n", err->code, err->text);
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDOUT_FILENO) < 0) close(STDOUT_FILENO);
    if (null_fd > STDERR_FILENO) close(null_fd);
}

static int watch_lock(struct keeper *keeper, struct lock_watch *watch, const char *name, quern_error *err)
{
    int fd = lock_open(keeper->place.fd, name);
    if (fd < 0) return err_set(err, QUERN_E_SERVER, "cannot open %s/%s: %s", keeper->place.dir, name, strerror(errno));
    int why = lock_watch_start(watch, fd);
    return why ? err_set(err, QUERN_E_MEMORY, "cannot wait for %s: %s", name, strerror(why)) : QUERN_OK;
}

/* The server has ended and its lock is ours; how it ended is known if it was our child. */
static void bury(struct keeper *keeper)
{
    int status = 0;
    keeper->has_failed = false;
    if (!keeper->pid) return;
    while (waitpid(keeper->pid, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status))
        keeper_log("the server (pid %d) was ended by signal %d", keeper->pid, WTERMSIG(status));
    else
        keeper_log("the server (pid %d) has ended with status %d", keeper->pid, WEXITSTATUS(status));
    keeper->has_failed = WIFEXITED(status) && WEXITSTATUS(status);
    keeper->pid = 0;
}

/* The program is looked for each time: an upgrade may have moved it, and adopting a living server needs none. */
static int start_server(struct keeper *keeper, quern_error *err)
{
    int code = server_find(&keeper->program, keeper->search, err);
    if (!code) code = server_start(&keeper->program, &keeper->place, keeper->server.lock_fd, keeper->log_fd, &keeper->pid, err);
    if (code) return code;
    keeper->has_started = true;
    keeper->is_serving = false;
    keeper->started_ns = clock_now_ns();
    close(keeper->server.lock_fd); /* from here on only the server holds it */
    keeper->server.lock_fd = -1;
    return watch_lock(keeper, &keeper->server, LOCK_SERVER, err);
}

/* Waits before a restart; a keeper that is no longer needed does not wait. */
static void pause_before_restart(struct keeper *keeper)
{
    int64_t served_ns = clock_now_ns() - keeper->started_ns;
    if (keeper->is_serving && served_ns > STEADY_MS * NS_PER_MS) backoff_reset(&keeper->restart);
    struct pollfd users = {.fd = keeper->users.done_fd, .events = POLLIN};
    poll(&users, 1, (int)backoff_next_ms(&keeper->restart));
}

/* It never served and gave up by itself: whoever waits for it should hear that now, and no more be tried. */
static int give_up(const struct keeper *keeper, const char *last, quern_error *err)
{
    return err_set(err, QUERN_E_SERVER, "%s ended before it served; %s/" PLACE_LOG " may say why; its last line: %s",
                   keeper->program.name, keeper->place.dir, last);
}

/* No server lives, and there are users. */
static int replace_server(struct keeper *keeper, quern_error *err)
{
    char last[SERVER_LINE_SIZE];
    if (!keeper->has_started) return start_server(keeper, err);
    server_log_last(keeper->log_fd, last);
    bury(keeper);
    if (keeper->has_failed && !keeper->is_serving && !keeper->is_reported) return give_up(keeper, last, err);
    pause_before_restart(keeper);
    return lock_watch_is_done(&keeper->users) ? QUERN_OK : start_server(keeper, err);
}

/* A server lives, as far as is known: what may be done meanwhile, and for how long nothing more need be done. */
static int tend(struct keeper *keeper)
{
    int64_t deadline_ns = clock_deadline_ns(clock_now_ns(), ASK_MS);
    if (lock_watch_is_done(&keeper->users)) {
        bool told = ask_shutdown(keeper->place.socket, deadline_ns);
        if (!told && keeper->pid > 0)
            kill(keeper->pid, SIGTERM); /* not listening yet, or its socket was deleted: the same to it */
        return (int)backoff_next_ms(&keeper->shutdown);
    }
    if (!keeper->is_serving) keeper->is_serving = ask_ping(keeper->place.socket, deadline_ns) == ASK_SERVING;
    if (keeper->is_serving) report(keeper, NULL);
    return keeper->is_serving ? -1 : PING_MS;
}

static void wait_for_news(struct keeper *keeper, int ms)
{
    struct pollfd news[] = {{.fd = keeper->users.done_fd, .events = POLLIN}, {.fd = keeper->server.done_fd, .events = POLLIN}};
    poll(news, 2, ms);
}

static int keep(struct keeper *keeper, quern_error *err)
{
    for (;;) {
        if (!lock_watch_is_done(&keeper->server)) {
            wait_for_news(keeper, tend(keeper));
            continue;
        }
        if (lock_watch_is_done(&keeper->users)) break;
        int code = replace_server(keeper, err);
        if (code) return code;
    }
    bury(keeper);
    unlinkat(keeper->place.fd, PLACE_SOCKET, 0); /* what a killed server has left */
    return QUERN_OK;
}

static int prepare(struct keeper *keeper, quern_error *err)
{
    keeper->log_fd = server_log_open(&keeper->place);
    if (keeper->log_fd < 0 || dup2(keeper->log_fd, STDERR_FILENO) < 0 || fchdir(keeper->place.fd))
        return err_set(err, QUERN_E_SERVER, "cannot open %s/" PLACE_LOG ": %s", keeper->place.dir, strerror(errno));
    int code = watch_lock(keeper, &keeper->users, LOCK_USERS, err);
    if (!code) code = watch_lock(keeper, &keeper->server, LOCK_SERVER, err);
    return code;
}

static int keeper_run(struct keeper *keeper, const char *dir, quern_error *err)
{
    int code = place_open(&keeper->place, dir, err);
    if (code) return code;
    int claim_fd = lock_open(keeper->place.fd, LOCK_KEEPER); /* never closed: the claim would go with it */
    if (claim_fd < 0) return err_set(err, QUERN_E_SERVER, "cannot open %s/" LOCK_KEEPER ": %s", dir, strerror(errno));
    if (!lock_claim(claim_fd)) return QUERN_OK; /* another keeps already */
    code = prepare(keeper, err);
    return code ? code : keep(keeper, err);
}

/* The keeper ends when its users have gone, not when a terminal or a service manager waves at everybody. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
}

int embed_keeper_main(int argc, char **argv)
{
    static struct keeper keeper; /* static: its watching threads may outlive this function */
    quern_error err = {0};
    if (argc < 3) return 2;
    pid_t child = fork(); /* one thread only so far. The child is init's: nobody has to reap it */
    if (child) return child < 0;
    ignore_signals();
    umask(077);
    keeper.restart = (struct backoff){.first_ms = RESTART_FIRST_MS, .max_ms = RESTART_MAX_MS, .random = backoff_seed()};
    keeper.shutdown = (struct backoff){.first_ms = SHUTDOWN_FIRST_MS, .max_ms = SHUTDOWN_MAX_MS, .random = backoff_seed()};
    keeper.search = argc > 3 ? argv[3] : NULL;
    int code = keeper_run(&keeper, argv[2], &err);
    if (code) report(&keeper, &err);
    if (code) keeper_log("gives up: %s", err.text);
    return code != QUERN_OK;
}

/* Reaps the process that forked the keeper. If the program ignores SIGCHLD, or reaps everything elsewhere, it is gone. */
static int first_status(pid_t pid)
{
    int status;
    pid_t reaped;
    while ((reaped = waitpid(pid, &status, 0)) < 0 && errno == EINTR) {}
    return reaped == pid ? status : 0;
}

int keeper_summon(const char *dir, const char *self, const char *search, int *report_fd, quern_error *err)
{
    const char *const argv[] = {"quern", KEEPER_VERB, dir, search, NULL};
    int ends[2] = {-1, -1};
    pid_t pid;
    if (!self) self = "/proc/self/exe";
    if (report_fd && pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return err_set(err, QUERN_E_MEMORY, "no pipe to be had: %s", strerror(errno));
    int why = launch(&pid, self, argv, (const int[]){-1, ends[1], -1}, 3);
    if (ends[1] >= 0) close(ends[1]);
    int status = why ? 0 : first_status(pid);
    if (!why && !status) {
        if (report_fd) *report_fd = ends[0];
        return QUERN_OK;
    }
    if (ends[0] >= 0) close(ends[0]);
    if (why) return err_set(err, QUERN_E_SERVER, "cannot start %s as keeper: %s", self, strerror(why));
    return err_set(err, QUERN_E_SERVER, "%s cannot act as keeper (wait status %d)", self, status);
}
