/* SPDX-License-Identifier: MIT */
#include "embed/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int why = posix_spawnattr_setsigmask(attr, &none);
    if (!why) why = posix_spawnattr_setsigdefault(attr, &all);
    return why ? why : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* copies are above all targets, so that no step overwrites what a later one needs. */
static int set_descriptors(posix_spawn_file_actions_t *actions, const int copies[], size_t count)
{
    int why = 0;
    for (int i = 0; i < (int)count && !why; i++)
        why = copies[i] < 0 ? posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0)
                            : posix_spawn_file_actions_adddup2(actions, copies[i], i);
    return why ? why : posix_spawn_file_actions_addclosefrom_np(actions, (int)count);
}

static int spawn(pid_t *pid, const char *path, const char *const argv[], const int copies[], size_t count)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int why = posix_spawn_file_actions_init(&actions);
    if (why) return why;
    why = posix_spawnattr_init(&attr);
    if (!why) {
        why = set_attributes(&attr);
        if (!why) why = set_descriptors(&actions, copies, count);
        if (!why) why = posix_spawn(pid, path, &actions, &attr, (char *const *)argv, environ);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return why;
}

int launch(pid_t *pid, const char *path, const char *const argv[], const int fds[], size_t fd_count)
{
    int copies[LAUNCH_FDS_MAX] = {-1, -1, -1, -1}, why = fd_count > LAUNCH_FDS_MAX ? EINVAL : 0;
    for (size_t i = 0; i < fd_count && !why; i++)
        if (fds[i] >= 0 && (copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, LAUNCH_FDS_MAX)) < 0) why = errno;
    if (!why) why = spawn(pid, path, argv, copies, fd_count);
    for (size_t i = 0; i < LAUNCH_FDS_MAX; i++)
        if (copies[i] >= 0) close(copies[i]);
    return why;
}
