/* SPDX-License-Identifier: MIT */
#include "supervise/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "blame/blame.h"
#include "config/queues.h"
#include "job/server.h"
#include "supervise/child.h"
#include "supervise/notify.h"
#include "supervise/orphans.h"
#include "wire/conn.h"
#include "wire/url.h"

enum { FAILED = 1, WRONG = 2 /* as the program ends */, CONNECT_MS = 1000, ANSWER_MS = 2000 };
enum { FIRST_PAUSE_MS = 100, MOST_PAUSE_MS = 5000, MOST_ALONE_PAUSE_MS = 1000, LONG_LIFE_MS = 10000 };

struct supervisor {
    const struct supervise_options *options;
    struct url url;
    struct conn *conn; /* warm: a crash should not wait for a connection. NULL: none now */
    struct child pool, alone;
    struct orphans orphans;
    int signals;
    int64_t restart_ns; /* CLOCK_NEVER: nothing is to be started */
    int64_t pause_ms;   /* before the next restart */
    int64_t alone_ns;   /* no alone child before */
    int64_t alone_pause_ms;
    bool is_stopping, is_paused, has_worked;
    int status;
};

/* ── what a dead child held ──────────────────────────────────────────────────────────────────────────────────────── */

static struct conn *connect_redis(struct supervisor *supervisor)
{
    quern_error why;
    struct conn_options options = {.url = &supervisor->url, .name = "quern:supervisor", .answer_ms = ANSWER_MS};
    if (!supervisor->conn) supervisor->conn = conn_open(&options, clock_deadline_ns(clock_now_ns(), CONNECT_MS), &why);
    return supervisor->conn;
}

static int settle_once(struct supervisor *supervisor, const struct journal *journal, const char *ended, struct blame_sums *sums,
                       quern_error *why)
{
    struct conn *conn = connect_redis(supervisor);
    int code = conn ? blame_settle(conn, journal, ended, sums, why) : QUERN_E_CONNECT;
    if (!code) return QUERN_OK;
    conn_close(supervisor->conn);
    supervisor->conn = NULL;
    return code;
}

/* Was there anything to settle: had it got as far as to have a pool? Twice: the warm connection may have gone cold. What cannot be given back now is, by the next child that finds the journal. */
static bool settle(struct supervisor *supervisor, const struct child *child, const char *ended)
{
    struct blame_sums sums = {0};
    quern_error why;
    struct journal *journal = child->journal ? journal_read(child->journal, false) : NULL;
    if (!journal) return false;
    int code = settle_once(supervisor, journal, ended, &sums, &why);
    if (code) code = settle_once(supervisor, journal, ended, &sums, &why);
    if (!code) {
        unlink(child->journal);
        supervisor->options->say(
            "what it held is given back: %u jobs run again, %u suspects and %u that are to blame run alone", sums.released,
            sums.suspects, sums.guilty);
    }
    if (sums.deleted)
        supervisor->options->say("%u jobs that it held are lost: somebody has deleted them from the stream", sums.deleted);
    journal_drop(journal);
    return true;
}

/* ── starting ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void start_pool(struct supervisor *supervisor)
{
    quern_error why;
    supervisor->restart_ns = CLOCK_NEVER;
    notify_alive(); /* while there was no child, it was for us to go on */
    if (!child_spawn(&supervisor->pool, "shared", supervisor->options->arguments, &why)) {
        if (supervisor->is_paused) kill(supervisor->pool.pid, SIGTSTP);
        return;
    }
    supervisor->options->say("%s", why.text);
    if (!supervisor->has_worked) supervisor->is_stopping = true;
    supervisor->status = FAILED;
    supervisor->restart_ns = clock_deadline_ns(clock_now_ns(), MOST_PAUSE_MS);
}

static void start_alone(struct supervisor *supervisor)
{
    quern_error why;
    bool may_start = !supervisor->alone.pid && !supervisor->is_stopping && !supervisor->is_paused;
    if (!may_start || clock_now_ns() < supervisor->alone_ns) return;
    if (child_spawn(&supervisor->alone, "alone", supervisor->options->arguments, &why))
        supervisor->options->say("%s", why.text);
}

/* At once, unless it has crashed just before, too. */
static void plan_restart(struct supervisor *supervisor, int64_t lived_ns)
{
    if (lived_ns > LONG_LIFE_MS * NS_PER_MS) supervisor->pause_ms = 0;
    supervisor->restart_ns = clock_deadline_ns(clock_now_ns(), supervisor->pause_ms);
    supervisor->pause_ms = supervisor->pause_ms ? 2 * supervisor->pause_ms : FIRST_PAUSE_MS;
    if (supervisor->pause_ms > MOST_PAUSE_MS) supervisor->pause_ms = MOST_PAUSE_MS;
}

/* ── ending ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void write_end(int status, char text[64])
{
    const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    if (WIFSIGNALED(status))
        snprintf(text, 64, "SIG%s", name ? name : "?");
    else
        snprintf(text, 64, "exit(%d)", WEXITSTATUS(status));
}

/* The commands of a process that has ended go too, also where it has left at a second signal. Those of the other child are not among
 * them: that is their parent. */
static void bury(struct supervisor *supervisor, bool has_crashed, const char *what, const char *ended)
{
    if (has_crashed) supervisor->options->say("the process that %s has crashed: %s", what, ended);
    orphans_kill(
        &supervisor->orphans,
        (const pid_t[]){supervisor->pool.pid, supervisor->alone.pid ? supervisor->alone.pid : supervisor->pool.pid, 0});
}

static void pool_ended(struct supervisor *supervisor, int status)
{
    struct child *child = &supervisor->pool;
    char ended[64];
    child_hear(child);
    write_end(status, ended);
    bool has_left = child->is_leaving && WIFEXITED(status);
    int64_t lived_ns = clock_now_ns() - child->started_ns;
    supervisor->status = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
    bury(supervisor, !has_left, "runs the jobs", ended);
    /* One that left behind a handler that still ran has a journal, too. A job may have ended it before it could say that it was ready. */
    bool had_pool = settle(supervisor, child, ended);
    supervisor->has_worked |= child->is_ready || had_pool;
    /* One that cannot even begin is not started again and again, unless one could before. */
    bool is_over = !supervisor->has_worked || (has_left && child->is_ready);
    child_forget(child);
    supervisor->is_stopping |= is_over;
    if (!supervisor->is_stopping) plan_restart(supervisor, lived_ns);
    if (supervisor->is_stopping && supervisor->alone.pid) kill(supervisor->alone.pid, SIGTERM);
}

static void alone_ended(struct supervisor *supervisor, int status)
{
    struct child *child = &supervisor->alone;
    char ended[64];
    child_hear(child);
    write_end(status, ended);
    bool has_crashed = !(child->is_leaving && WIFEXITED(status));
    bury(supervisor, has_crashed, "runs a job alone", ended);
    settle(supervisor, child, ended);
    child_forget(child);
    if (!has_crashed) supervisor->alone_pause_ms = 0;
    if (!has_crashed) return;
    /* There may be more: at once the first time, then when the pool child says so again. */
    supervisor->alone_ns = clock_deadline_ns(clock_now_ns(), supervisor->alone_pause_ms);
    supervisor->alone_pause_ms = supervisor->alone_pause_ms ? 2 * supervisor->alone_pause_ms : FIRST_PAUSE_MS;
    if (supervisor->alone_pause_ms > MOST_ALONE_PAUSE_MS) supervisor->alone_pause_ms = MOST_ALONE_PAUSE_MS;
    start_alone(supervisor);
}

static void reap(struct supervisor *supervisor)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == supervisor->pool.pid) pool_ended(supervisor, status);
        if (pid == supervisor->alone.pid) alone_ended(supervisor, status);
    }
}

/* ── listening ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void forward(struct supervisor *supervisor, int signal)
{
    bool is_stop = signal == SIGINT || signal == SIGTERM;
    supervisor->is_stopping |= is_stop;
    if (is_stop) supervisor->restart_ns = CLOCK_NEVER;
    if (is_stop) notify_say("STOPPING=1");
    if (signal == SIGTSTP || signal == SIGCONT) supervisor->is_paused = signal == SIGTSTP;
    if (supervisor->pool.pid) kill(supervisor->pool.pid, signal);
    if (supervisor->alone.pid && signal != SIGHUP) kill(supervisor->alone.pid, signal);
}

static void hear_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo which;
    while (read(supervisor->signals, &which, sizeof which) == (ssize_t)sizeof which) {
        if (which.ssi_signo == SIGCHLD)
            reap(supervisor);
        else
            forward(supervisor, (int)which.ssi_signo);
    }
}

static void hear_children(struct supervisor *supervisor)
{
    bool was_ready = supervisor->pool.is_ready;
    child_hear(&supervisor->pool);
    child_hear(&supervisor->alone);
    if (supervisor->pool.is_alive) notify_alive();
    supervisor->pool.is_alive = false;
    if (!was_ready && supervisor->pool.is_ready) {
        notify_say("READY=1");
        connect_redis(supervisor);
    }
    if (supervisor->pool.wants_alone) start_alone(supervisor);
    supervisor->pool.wants_alone = false;
}

static void supervise_step(struct supervisor *supervisor)
{
    struct pollfd at[] = {{.fd = supervisor->signals, .events = POLLIN},
                          {.fd = supervisor->pool.fd, .events = POLLIN},
                          {.fd = supervisor->alone.fd, .events = POLLIN}};
    poll(at, 3, clock_poll_ms(supervisor->restart_ns));
    hear_children(supervisor);
    if (at[0].revents) hear_signals(supervisor);
    if (!supervisor->pool.pid && !supervisor->is_stopping && clock_now_ns() >= supervisor->restart_ns) start_pool(supervisor);
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (const int *at = (const int[]){SIGINT, SIGTERM, SIGTSTP, SIGCONT, SIGHUP, SIGCHLD, 0}; *at; at++) sigaddset(&set, *at);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, children would leave no status */
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* By the first of its queues: on a Cluster they are all of one node. */
static int find_server(struct supervisor *supervisor, quern_error *err)
{
    const quern_config *config = supervisor->options->config;
    struct served served;
    int code = served_open(config, &served, err);
    if (code) return code;
    code = server_url(&supervisor->url, config, served.at[0]->stream, err);
    served_close(&served);
    return code;
}

int supervise(const struct supervise_options *options)
{
    struct supervisor supervisor = {
        .options = options, .pool = {.fd = -1}, .alone = {.fd = -1}, .restart_ns = CLOCK_NEVER, .status = FAILED};
    quern_error why;
    supervisor.signals = open_signals();
    if (supervisor.signals < 0) {
        options->say("no descriptor for signals: is there a limit on open files?");
        return FAILED;
    }
    if (find_server(&supervisor, &why)) {
        options->say("%s", why.text);
        return why.code == QUERN_E_CONFIG ? WRONG : FAILED;
    }
    if (!orphans_adopt(&supervisor.orphans)) {
        options->say("no memory for the list of processes");
        return FAILED;
    }
    start_pool(&supervisor);
    while (!supervisor.is_stopping || supervisor.pool.pid || supervisor.alone.pid) supervise_step(&supervisor);
    conn_close(supervisor.conn);
    orphans_free(&supervisor.orphans);
    url_free(&supervisor.url);
    close(supervisor.signals);
    return supervisor.status;
}
