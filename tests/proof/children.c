/* SPDX-License-Identifier: MIT */
#include "proof/children.h"

#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof/campaign.h"
#include "proof/history.h"

enum { CHILDREN = 32 };

static struct child children[CHILDREN];
static unsigned child_count;
static char programs[400];
static bool has_surprise;

void children_find_programs(void)
{
    if (readlink("/proc/self/exe", programs, sizeof programs - 1) < 0)
        campaign_fail("this program does not know where it lies");
    dirname(programs); /* cuts it where it is */
}

static void become_server(void)
{
    char path[128];
    /* clang-format off */
    const char *words[] = {"redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
                           "--appendonly", "yes", "--appendfsync", settings.is_durable ? "always" : "no",
                           "--auto-aof-rewrite-min-size", "32mb", "--enable-debug-command", "local", NULL};
    /* clang-format on */
    snprintf(path, sizeof path, "%s/redis", folder);
    if (getenv("REDIS_SERVER")) execv(getenv("REDIS_SERVER"), (char *const *)words);
    execvp("redis-server", (char *const *)words);
    execvp("redis-check-rdb", (char *const *)words); /* the same program */
}

static void become(const struct child *child)
{
    char path[512], number[16], instance[16], rate[32];
    const char *name = child->role == 'w'   ? "proof_worker"
                       : child->role == 'f' ? "proof_feeder"
                       : child->role == 'p' ? "proof_proxy"
                                            : "proof_watcher";
    if (child->role == 's') become_server();
    snprintf(path, sizeof path, "%s/%s", programs, name);
    snprintf(number, sizeof number, "%u", child->number);
    snprintf(instance, sizeof instance, "%u", child->instance);
    snprintf(rate, sizeof rate, "%f", settings.proxy_per_s);
    execl(path, name, folder, number, instance, child->role == 'p' ? rate : (char *)NULL, (char *)NULL);
}

/* In a session of its own: one that is stopped would have its whole group hung up. What it prints is kept beside the histories.
 * */
static void spawn(struct child *child)
{
    char path[200];
    snprintf(path, sizeof path, "%s/output/%c%u", folder, child->role, child->number);
    pid_t pid = fork();
    if (pid < 0) campaign_fail("no process");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        int out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        become(child);
        _exit(127);
    }
    child->pid = pid;
    child->stopped_until_ns = 0;
    HISTORY(.kind = RECORD_SPAWN, .letter = (uint8_t)child->role, .job = (uint32_t)pid, .entry_seq = child->number,
            .entry_ms = child->instance);
}

void children_add(char role, unsigned number)
{
    struct child *child = &children[child_count++];
    *child = (struct child){.role = role, .number = number, .is_wanted = true};
    spawn(child);
}

struct child *children_find(char role, uint64_t number)
{
    for (unsigned i = 0; i < child_count; i++)
        if (children[i].role == role && children[i].number == number) return &children[i];
    return NULL;
}

void children_tell(const struct child *child, int signal)
{
    if (child && child->pid > 1) kill(child->pid, signal);
}

/* Ends that belong to a campaign: in order, by a kill, and as handlers do it: a signal, or status 3, which is also that of a
 * worker whose handlers still run when its stop is over; 4: it could not start now. A sanitizer's report has a status of its
 * own. A server that aborts is a fault like any other (Redis 7.0 does when a client that a pause holds is unblocked), and is
 * said. */
static bool is_expected(const struct child *child, int status)
{
    bool is_worker = child->role == 'w';
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 0 || (is_worker && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 4));
    return WTERMSIG(status) == SIGKILL || (is_worker && !plan->is_gentle);
}

static void note_death(struct child *child, int status)
{
    if (!is_expected(child, status)) {
        printf("campaign: %c%u.%u has ended with %s %d: see %s/output/%c%u\n", child->role, child->number, child->instance,
               WIFEXITED(status) ? "status" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), folder,
               child->role, child->number);
        has_surprise |= child->role != 's';
    }
    HISTORY(.kind = RECORD_DEATH, .letter = (uint8_t)child->role, .job = (uint32_t)child->pid, .entry_seq = (uint32_t)status,
            .lane = (uint8_t)child->number, .entry_ms = child->instance);
    child->pid = 0;
    child->instance++;
}

/* Who has ended is noted, and started again. */
void children_see(void)
{
    int status;
    for (unsigned i = 0; i < child_count; i++) {
        struct child *child = &children[i];
        if (!child->pid || waitpid(child->pid, &status, WNOHANG) != child->pid) continue;
        note_death(child, status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127) campaign_fail("a program cannot be run");
        if (child->is_wanted) spawn(child);
    }
}

static unsigned count_running(char role)
{
    unsigned count = 0;
    children_see();
    for (unsigned i = 0; i < child_count; i++) count += children[i].role == role && children[i].pid;
    return count;
}

/* Asks all of a role to end, and waits. false: some did not. */
bool children_end(char role, uint64_t patience_ms)
{
    uint64_t until_ns = history_now_ns() + patience_ms * MS;
    for (unsigned i = 0; i < child_count; i++) {
        if (children[i].role != role) continue;
        children[i].is_wanted = false;
        if (role != 'f') children_tell(&children[i], SIGTERM);
    }
    while (count_running(role) && history_now_ns() < until_ns) campaign_rest_ms(5);
    return count_running(role) == 0;
}

void children_continue(bool at_once)
{
    uint64_t now_ns = history_now_ns();
    for (unsigned i = 0; i < child_count; i++) {
        if (!children[i].stopped_until_ns || (!at_once && now_ns < children[i].stopped_until_ns)) continue;
        children[i].stopped_until_ns = 0;
        children_tell(&children[i], SIGCONT);
    }
}

bool children_had_surprise(void)
{
    return has_surprise;
}

void children_kill_all(void)
{
    for (unsigned i = 0; i < child_count; i++) {
        children[i].is_wanted = false;
        children_tell(&children[i], SIGKILL);
    }
}

/* ── the server, the checker ─────────────────────────────────────────────────────────────────────────────────────── */

void children_wait_for_server(void)
{
    uint64_t until_ns = history_now_ns() + UINT64_C(60000) * MS;
    for (;;) {
        const struct said *pong = ask(&asker, "PING", NULL);
        if (pong && pong->kind == '+') return;
        children_see();
        if (history_now_ns() > until_ns) campaign_fail("the server does not come up");
        campaign_rest_ms(5);
    }
}

void children_kill_server(void)
{
    struct child *server = children_find('s', 0);
    int status;
    children_tell(server, SIGKILL);
    if (waitpid(server->pid, &status, 0) != server->pid) campaign_fail("the server is not ours");
    note_death(server, status);
    if (campaign_dice(2)) campaign_rest_ms((long)campaign_dice(plan->lease_ms));
    spawn(server);
    children_wait_for_server();
}

int children_judge(void)
{
    char path[512];
    int status;
    fflush(stdout);
    snprintf(path, sizeof path, "%s/proof_check", programs);
    pid_t pid = fork();
    if (pid == 0) {
        execl(path, "proof_check", folder, (char *)NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
