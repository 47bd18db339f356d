/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3; some systems demand it */
#endif

enum { POLL_MS = 50 };

/* The descriptors of one command: -1 where there is none. The far ends are the command's. */
struct child {
    pid_t pid; /* also its group's number */
    int pidfd, input, out, errors, far_out, far_errors;
    bool was_killed;
    int64_t kill_at_ms; /* once cancelled */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void fd_close(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Out of the way of 0, 1 and 2, which a host may have closed: there it would be overwritten while the command's are placed. */
static int fd_lift(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) return fd;
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), code = errno;
    close(fd);
    errno = code;
    return lifted;
}

/* ── Before: what the command gets ── */

static bool write_all(int fd, quern_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.at, bytes.len);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes.at += written;
        bytes.len -= (size_t)written;
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

/* A memory file with the payload that nobody can change, read from its start. -1: see errno. */
static int input_open(quern_bytes payload)
{
    int fd = memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    fd = fd_lift(fd);
    if (fd < 0) return -1;
    if (write_all(fd, payload) && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* Only our end is non-blocking: the command expects an ordinary pipe. */
static bool output_open(int *near, int *far)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    *near = fd_lift(ends[0]);
    *far = fd_lift(ends[1]);
    return *near >= 0 && *far >= 0 && fcntl(*near, F_SETFL, O_NONBLOCK) == 0;
}

static void child_close(struct child *child)
{
    fd_close(&child->pidfd);
    fd_close(&child->input);
    fd_close(&child->out);
    fd_close(&child->errors);
    fd_close(&child->far_out);
    fd_close(&child->far_errors);
}

static int child_prepare(struct child *child, quern_bytes payload)
{
    *child = (struct child){.pidfd = -1, .out = -1, .errors = -1, .far_out = -1, .far_errors = -1};
    child->input = input_open(payload);
    bool is_ready =
        child->input >= 0 && output_open(&child->out, &child->far_out) && output_open(&child->errors, &child->far_errors);
    return is_ready ? 0 : errno;
}

/* Default dispositions and an empty mask: our threads block everything, and a command that could not be told to stop by
 * SIGTERM would always have to be killed. */
static int attributes_fill(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (code == 0) code = posix_spawnattr_setpgroup(attributes, 0);
    if (code == 0) code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0) code = posix_spawnattr_setsigdefault(attributes, &all);
    return code;
}

/* Everything of ours is close-on-exec; closing the rest too also covers what a host or its libraries left open. */
static int actions_fill(posix_spawn_file_actions_t *actions, const struct child *child)
{
    int code = posix_spawn_file_actions_adddup2(actions, child->input, STDIN_FILENO);
    if (code == 0) code = posix_spawn_file_actions_adddup2(actions, child->far_out, STDOUT_FILENO);
    if (code == 0) code = posix_spawn_file_actions_adddup2(actions, child->far_errors, STDERR_FILENO);
    if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return code;
}

static int child_spawn(struct child *child, const struct child_command *command)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    int code = posix_spawnattr_init(&attributes);
    if (code != 0) return code;
    code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = attributes_fill(&attributes);
        if (code == 0) code = actions_fill(&actions, child);
        if (code == 0)
            code = posix_spawnp(&child->pid, command->words[0], &actions, &attributes, command->words, command->environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return code;
}

/* ── Meanwhile ── */

static void output_keep(struct child_output *output, const char *bytes, size_t len)
{
    size_t room = output->size - output->len;
    if (output->keeps_last && len > room) {
        size_t shift = len - room < output->len ? len - room : output->len;
        memmove(output->at, output->at + shift, output->len - shift);
        output->len -= shift;
        output->dropped += shift;
        size_t skip = len > output->size ? len - output->size : 0;
        bytes += skip, len -= skip, output->dropped += skip;
        room = output->size - output->len;
    }
    size_t kept = len < room ? len : room;
    memcpy(output->at + output->len, bytes, kept);
    output->len += kept;
    output->dropped += len - kept;
}

/* Takes what is there, at most once a buffer; at the end *fd is closed. Returns how much it took. */
static size_t output_read(int *fd, struct child_output *output)
{
    char buffer[16 * 1024];
    ssize_t got = read(*fd, buffer, sizeof buffer);
    if (got > 0) {
        output_keep(output, buffer, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        fd_close(fd);
    }
    return got > 0 ? (size_t)got : 0;
}

/* What the command left in the pipe when it ended, and no more: something that left its group may write on for ever. */
static void output_drain(int *fd, struct child_output *output)
{
    int waiting = 0;
    if (*fd < 0 || ioctl(*fd, FIONREAD, &waiting) != 0) return;
    for (size_t left = waiting > 0 ? (size_t)waiting : 0, got = 1; left > 0 && got > 0 && *fd >= 0;
         left -= got < left ? got : left)
        got = output_read(fd, output);
}

/* The group, or what may have left it: its leader. 0: somebody was signalled. */
static int child_signal(const struct child *child, int signal)
{
    int code = kill(-child->pid, signal);
    return code != 0 && errno == ESRCH ? kill(child->pid, signal) : code;
}

static const char *cancel_reason(const quern_job *job)
{
    if (quern_job_lost(job)) return "its lease was lost";
    return quern_job_left_ms(job) == 0 ? "its timeout is over" : "it was cancelled, or the pool is stopping";
}

/* Asks a cancelled job's group to end (SIGCONT: a stopped process would not hear it), and after the grace ends it. */
static void child_press(struct child *child, quern_job *job, const struct child_command *command, struct child_end *end)
{
    if (!end->cancelled) {
        if (!quern_job_cancelled(job)) return;
        end->cancelled = cancel_reason(job);
        child->kill_at_ms = now_ms() + command->grace_ms;
        child_signal(child, SIGTERM);
        child_signal(child, SIGCONT);
    }
    if (!child->was_killed && now_ms() >= child->kill_at_ms) child->was_killed = child_signal(child, SIGKILL) == 0;
}

static void child_watch(struct child *child, quern_job *job, const struct child_command *command, struct child_output *out,
                        struct child_output *errors, struct child_end *end)
{
    for (;;) {
        struct pollfd watched[] = {{.fd = child->pidfd, .events = POLLIN},
                                   {.fd = child->out, .events = POLLIN},
                                   {.fd = child->errors, .events = POLLIN}};
        poll(watched, 3, POLL_MS);
        if (watched[1].revents) output_read(&child->out, out);
        if (watched[2].revents) output_read(&child->errors, errors);
        if (watched[0].revents) return;
        child_press(child, job, command, end);
    }
}

/* ── After ── */

/* The group goes first: until its leader is reaped its number is taken. */
static int child_reap(const struct child *child, struct child_end *end)
{
    siginfo_t info = {0};
    kill(-child->pid, SIGKILL);
    while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) != 0)
        if (errno != EINTR) return errno;
    end->was_signalled = info.si_code != CLD_EXITED;
    end->status = info.si_status;
    return 0;
}

/* It runs, but cannot be watched (no descriptor left): it must not run on unseen. */
static int child_abandon(const struct child *child, int code)
{
    if (code == ESRCH) return ECHILD; /* ended and reaped already: the number may be somebody else's */
    kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {}
    return code;
}

int child_run(quern_job *job, const struct child_command *command, struct child_output *out, struct child_output *errors,
              struct child_end *end)
{
    struct child child;
    *end = (struct child_end){0};
    int code = child_prepare(&child, command->input);
    if (code == 0) code = child_spawn(&child, command);
    if (code != 0) goto done;
    fd_close(&child.input);
    fd_close(&child.far_out);
    fd_close(&child.far_errors);
    child.pidfd = pidfd_open(child.pid, 0);
    if (child.pidfd < 0) {
        code = child_abandon(&child, errno);
        goto done;
    }
    child_watch(&child, job, command, out, errors, end);
    output_drain(&child.out, out);
    output_drain(&child.errors, errors);
    code = child_reap(&child, end);
done:
    child_close(&child);
    return code;
}
