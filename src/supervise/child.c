/* SPDX-License-Identifier: MIT */
#include "supervise/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "blame/journal.h"

extern char **environ;

static int spawn(pid_t *pid, int pipe_end, char *const *argv)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t heard; /* blocked from the start, so that what comes before it listens waits for it */
    sigemptyset(&heard);
    for (const int *at = (const int[]){SIGINT, SIGTERM, SIGTSTP, SIGCONT, SIGHUP, 0}; *at; at++) sigaddset(&heard, *at);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int code = posix_spawn_file_actions_adddup2(&actions, pipe_end, CHILD_FD);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &heard);
    if (!code) code = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* The pipe's end for the child must not be CHILD_FD itself: dup2() onto itself would leave it to be closed. */
static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return errno;
    if (ends[1] != CHILD_FD) return 0;
    int other = fcntl(ends[1], F_DUPFD_CLOEXEC, CHILD_FD + 1);
    if (other < 0) return errno;
    close(ends[1]);
    ends[1] = other;
    return 0;
}

int child_spawn(struct child *child, const char *kind, char *const *arguments, quern_error *err)
{
    char word[64];
    int ends[2], count = 0;
    while (arguments[count]) count++;
    char **argv = calloc((size_t)count + 3, sizeof *argv);
    int code = argv ? open_pipe(ends) : ENOMEM;
    if (!code) {
        snprintf(word, sizeof word, CHILD_WORD "%s,%d", kind, (int)getpid());
        argv[0] = (char[]){"quern"};
        argv[1] = word;
        memcpy(argv + 2, arguments, (size_t)count * sizeof *argv);
        *child = (struct child){.fd = ends[0], .started_ns = clock_now_ns()};
        code = spawn(&child->pid, ends[1], argv);
        close(ends[1]);
        if (code) {
            close(ends[0]);
            *child = (struct child){.fd = -1};
        }
    }
    free(argv);
    return code ? err_set(err, QUERN_E_SERVER, "the working process cannot be started: %s", strerror(code)) : QUERN_OK;
}

static void take_line(struct child *child, const char *line)
{
    if (strcmp(line, "ready") == 0) child->is_ready = true;
    if (strcmp(line, "alive") == 0) child->is_alive = true;
    if (strcmp(line, "leaving") == 0) child->is_leaving = true;
    if (strcmp(line, "alone") == 0) child->wants_alone = true;
    if (strncmp(line, "journal ", 8) != 0) return;
    free(child->journal);
    child->journal = strdup(line + 8);
}

static void take_lines(struct child *child)
{
    char *end;
    while ((end = memchr(child->line, '\n', child->line_len))) {
        *end = 0;
        take_line(child, child->line);
        size_t used = (size_t)(end + 1 - child->line);
        memmove(child->line, child->line + used, child->line_len - used);
        child->line_len -= used;
    }
    if (child->line_len == sizeof child->line) child->line_len = 0; /* no line of ours */
}

void child_hear(struct child *child)
{
    ssize_t n;
    while (child->fd >= 0 && (n = read(child->fd, child->line + child->line_len, sizeof child->line - child->line_len)) != -1) {
        if (n == 0) {
            close(child->fd);
            child->fd = -1;
            return;
        }
        child->line_len += (size_t)n;
        take_lines(child);
    }
}

void child_forget(struct child *child)
{
    if (child->fd >= 0) close(child->fd);
    free(child->journal);
    *child = (struct child){.fd = -1};
}

/* ── in the child ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int pipe_fd = -1;

bool child_begin(const char *word, bool *is_alone)
{
    const char *comma = strchr(word, ',');
    int parent = comma ? atoi(comma + 1) : 0;
    size_t len = comma ? (size_t)(comma - word) : 0;
    *is_alone = len == 5 && strncmp(word, "alone", len) == 0;
    if (!*is_alone && !(len == 6 && strncmp(word, "shared", len) == 0)) return false;
    if (fcntl(CHILD_FD, F_SETFD, FD_CLOEXEC)) return false;
    pipe_fd = CHILD_FD;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) raise(SIGTERM);
    return true;
}

char *child_journal(const char *dir)
{
    char line[CHILD_LINE], *path = journal_path(dir);
    if (path && snprintf(line, sizeof line, "journal %s", path) < (int)sizeof line) child_say(line);
    return path;
}

void child_say(const char *line)
{
    char text[CHILD_LINE];
    int n = snprintf(text, sizeof text, "%s\n", line);
    if (pipe_fd < 0 || n >= (int)sizeof text) return;
    ssize_t written =
        write(pipe_fd, text, (size_t)n); /* full: it has not been listened to for long, and the same is in there */
    (void)written;
}
