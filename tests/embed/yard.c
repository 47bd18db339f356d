/* SPDX-License-Identifier: MIT */
#include "embed/yard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "embed/lock.h"
#include "embed/server.h"

int64_t yard_deadline_ns(void)
{
    return clock_deadline_ns(clock_now_ns(), YARD_PATIENCE_MS);
}

bool yard_is_over(int64_t deadline_ns)
{
    return clock_now_ns() > deadline_ns;
}

void yard_breathe(void)
{
    poll(NULL, 0, 2);
}

/* ── Users ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct user yard_user(const struct yard *yard, const char *dir, int start_ms, const char *search)
{
    struct user user = {.pid = -1};
    char ms[16];
    int in[2], out[2];
    snprintf(ms, sizeof ms, "%d", start_ms);
    const char *const argv[] = {HOLDER, dir ? dir : yard->dir, ms, search, NULL};
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID); /* it may be stopped: see tests/support/redis.c */
    assert_int_equal(posix_spawn(&user.pid, HOLDER, &actions, &attributes, (char *const *)argv, environ), 0);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    user.in = in[1];
    user.out = out[0];
    fcntl(user.out, F_SETFL, O_NONBLOCK);
    return user;
}

bool user_has_said(struct user *user)
{
    if (strchr(user->said, '\n')) return true;
    size_t len = strlen(user->said);
    ssize_t n = read(user->out, user->said + len, sizeof user->said - 1 - len);
    if (n > 0) user->said[len + (size_t)n] = 0;
    return strchr(user->said, '\n');
}

void user_opens(struct user *user)
{
    wait_for(user_has_said(user));
    if (strncmp(user->said, "open unix:///", 13)) fail_msg("%s", user->said);
}

static void reap(struct user *user, int *status)
{
    wait_for(waitpid(user->pid, status, WNOHANG) == user->pid);
    close(user->in);
    close(user->out);
}

void user_is_told(struct user *user, const char *words)
{
    int status;
    wait_for(user_has_said(user));
    if (strncmp(user->said, "error ", 6) || !strstr(user->said, words)) fail_msg("wanted: %s; got: %s", words, user->said);
    reap(user, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

void user_leaves(struct user *user)
{
    int status, null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null_fd, user->in); /* closes our end of its input */
    close(null_fd);
    reap(user, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void user_is_killed(const struct yard *yard, struct user *user)
{
    int status;
    yard_signal(yard, user->pid, SIGKILL);
    reap(user, &status);
}

/* ── Looking ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int open_in(const struct yard *yard, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", yard->dir, name);
    return open(path, O_RDWR | O_CLOEXEC);
}

pid_t yard_keeper(const struct yard *yard)
{
    int fd = open_in(yard, LOCK_KEEPER);
    pid_t pid = fd < 0 ? -1 : lock_claimant(fd);
    if (fd >= 0) close(fd);
    return pid;
}

bool yard_lock_is_held(const struct yard *yard, const char *name)
{
    int fd = open_in(yard, name);
    bool held = fd >= 0 && lock_is_held(fd);
    if (fd >= 0) close(fd);
    return held;
}

static int dial(const struct yard *yard)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", yard->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

pid_t yard_server(const struct yard *yard)
{
    struct ucred peer = {.pid = -1};
    int fd = dial(yard);
    if (fd < 0) return -1;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){sizeof peer});
    close(fd);
    return peer.pid;
}

void yard_say(const struct yard *yard, const char *line, char reply[256])
{
    int fd = dial(yard);
    size_t len = 0;
    ssize_t n = 0;
    if (fd >= 0 && dprintf(fd, "%s\r\n", line) > 0) do {
            struct pollfd one = {.fd = fd, .events = POLLIN};
            n = poll(&one, 1, YARD_PATIENCE_MS) > 0 ? read(fd, reply + len, 255 - len) : -1;
            if (n > 0) len += (size_t)n;
        } while (n > 0 && len < 255 && (len < 2 || reply[len - 1] != '\n'));
    if (fd >= 0) close(fd);
    reply[len] = 0;
}

bool yard_answers(const struct yard *yard, const char *line, const char *want)
{
    char reply[256];
    yard_say(yard, line, reply);
    return strstr(reply, want);
}

static bool has_word(int proc_fd, const char *pid, const char *top, const char *word)
{
    char path[300], line[4096];
    snprintf(path, sizeof path, "%s/cmdline", pid);
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0) close(fd);
    for (ssize_t i = 0; i < len; i++)
        if (!line[i]) line[i] = ' ';
    line[len < 0 ? 0 : len] = 0;
    return strstr(line, top) && strstr(line, word);
}

/* Sends a signal (0: none) to the process if it is of this yard and has word in its command line. The descriptor is taken
 * before the look: a successor of the same number is not mistaken for it. */
static bool signal_if_ours(const struct yard *yard, int proc_fd, pid_t pid, const char *word, int number)
{
    char name[16];
    int fd = pid > 1 && pid != getpid() ? pidfd_open(pid, 0) : -1;
    snprintf(name, sizeof name, "%d", pid);
    bool ours = fd >= 0 && has_word(proc_fd, name, yard->top, word);
    if (ours && number) ours = pidfd_send_signal(fd, number, NULL, 0) == 0;
    if (fd >= 0) close(fd);
    return ours;
}

void yard_signal(const struct yard *yard, pid_t pid, int number)
{
    int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool sent = signal_if_ours(yard, proc_fd, pid, "", number);
    close(proc_fd);
    if (!sent) fail_msg("process %d is none of %s", pid, yard->top);
}

/* How many there are; each gets the signal. */
static int visit(const struct yard *yard, const char *word, int number)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));)
        count += signal_if_ours(yard, dirfd(proc), atoi(entry->d_name), word, number);
    closedir(proc);
    return count;
}

int yard_count(const struct yard *yard, const char *word)
{
    return visit(yard, word, 0);
}

static int count_in(const char *path, const char *words)
{
    static char text[1 << 18];
    int count = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[len < 0 ? 0 : len] = 0;
    for (const char *at = text; (at = strstr(at, words)); at++) count++;
    return count;
}

int yard_log_count(const struct yard *yard, const char *words)
{
    char path[160];
    snprintf(path, sizeof path, "%s/redis.log", yard->dir);
    return count_in(path, words);
}

bool yard_is_quiet(const struct yard *yard)
{
    return yard_count(yard, "") == 0 && access(yard->socket, F_OK) && !yard_lock_is_held(yard, LOCK_SERVER) &&
           !yard_lock_is_held(yard, LOCK_USERS) && yard_keeper(yard) < 0;
}

bool process_is_gone(pid_t pid)
{
    return pid > 0 && kill(pid, 0) && errno == ESRCH;
}

/* ── The gate ────────────────────────────────────────────────────────────────────────────────────────────────────── */

void yard_gate(const struct yard *yard)
{
    char path[160], real[160], gate[160];
    struct server_program program;
    assert_int_equal(server_find(&program, NULL, NULL), 0);
    snprintf(real, sizeof real, "%s/%s", yard->top, program.name);
    assert_int_equal(symlink(program.path, real), 0); /* a name that makes it serve */
    snprintf(gate, sizeof gate, "%s/gate", yard->top);
    assert_int_equal(mkfifo(gate, 0600), 0);
    assert_int_equal(mkdir(yard->search, 0700), 0);
    snprintf(path, sizeof path, "%s/redis-server", yard->search);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    dprintf(fd, "#!/bin/sh\necho started >>%s/starts\nread word <%s\nexec %s \"$@\"\n", yard->top, gate, real);
    close(fd);
}

void yard_gate_open(const struct yard *yard)
{
    char gate[160];
    int fd;
    snprintf(gate, sizeof gate, "%s/gate", yard->top);
    wait_for((fd = open(gate, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0); /* somebody stands at it */
    assert_int_equal(write(fd, "go\n", 3), 3);
    close(fd);
}

int yard_gate_starts(const struct yard *yard)
{
    char path[160];
    snprintf(path, sizeof path, "%s/starts", yard->top);
    return count_in(path, "started");
}

/* ── Setup and teardown ──────────────────────────────────────────────────────────────────────────────────────────── */

int yard_setup(void **state)
{
    struct yard *yard = calloc(1, sizeof *yard);
    const char *tmp = getenv("TMPDIR");
    if (!tmp || strlen(tmp) > 30) tmp = "/tmp"; /* the socket's path must stay short */
    snprintf(yard->top, sizeof yard->top, "%s/quern-embed-XXXXXX", tmp);
    if (!mkdtemp(yard->top)) return -1;
    snprintf(yard->dir, sizeof yard->dir, "%s/state", yard->top);
    snprintf(yard->socket, sizeof yard->socket, "%s/redis.sock", yard->dir);
    snprintf(yard->search, sizeof yard->search, "%s/bin", yard->top);
    *state = yard;
    return 0;
}

/* What is left, what it waits for, and what the log says last: for a test that failed, perhaps only once. */
static void tell_what_is_left(const struct yard *yard)
{
    char command[600];
    snprintf(
        command, sizeof command,
        "for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline | grep -qF '%s'; then tr '\\0' ' ' <$p/cmdline; echo; "
        "grep -E '^(State|PPid|Sig(Blk|Ign|Cgt))' $p/status; cat $p/wchan $p/stack; ls -l $p/fd; fi; done >&2 2>/dev/null; "
        "ls -l '%s' >&2; tail -n 30 '%s/redis.log' >&2",
        yard->top, yard->dir, yard->dir);
    if (system(command)) fprintf(stderr, "and more cannot be told\n");
}

int yard_teardown(void **state)
{
    struct yard *yard = *state;
    int64_t deadline_ns = yard_deadline_ns();
    while (!yard_is_quiet(yard) && !yard_is_over(deadline_ns)) yard_breathe();
    bool quiet = yard_is_quiet(yard);
    if (!quiet) tell_what_is_left(yard);
    if (!quiet) fprintf(stderr, "%s: %d processes left behind, ended now\n", yard->top, visit(yard, "", SIGKILL));
    int alarms = yard_log_count(yard, "Sanitizer");
    if (alarms) fprintf(stderr, "%s: the keeper's sanitizer has complained\n", yard->dir);
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", yard->top);
    if (quiet && !alarms && system(command)) quiet = false;
    free(yard);
    return quiet && !alarms ? 0 : -1;
}
