/* SPDX-License-Identifier: MIT */
#include "support/runner.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/acl.h"

extern char **environ;

/* The file that the runner makes when its handler begins. */
static const char *mark_of(struct scene *scene)
{
    static char path[120];
    snprintf(path, sizeof path, "%s/mark", scene->redis.dir);
    return path;
}

int runner_spawn(struct scene *scene, char *url, const char *event)
{
    pid_t pid;
    char options[512], named[200];
    static const char no_leaks[] = " report_thread_leaks=0";
    const char *given = getenv("TSAN_OPTIONS") ? getenv("TSAN_OPTIONS") : "";
    /* It ends while a handler runs, on purpose: the threads that stay are no leak. */
    snprintf(options, sizeof options, "%s%s", given, strstr(given, no_leaks) ? "" : no_leaks);
    setenv("TSAN_OPTIONS", options, 1);
    setenv("RUNNER_MARK", mark_of(scene), 1);
    if (event) setenv("RUNNER_EVENT", event, 1);
    snprintf(named, sizeof named, "unix://quern-worker:" ACL_PASSWORD "@%s", scene->redis.socket);
    char *argv[] = {(char[]){RUNNER}, acl_wanted() && url == scene->redis.url ? named : url, (char[]){"jobs"}, NULL};
    int failed = posix_spawn(&pid, RUNNER, NULL, NULL, argv, environ);
    unsetenv("RUNNER_EVENT");
    assert_int_equal(failed, 0);
    assert_true(pid > 1);
    int pidfd = pidfd_open(pid, 0);
    assert_true(pidfd >= 0);
    return pidfd;
}

int runner_start(struct scene *scene, const char *event)
{
    int pidfd = runner_spawn(scene, scene->redis.url, event);
    wait_for(redis_clients(&scene->redis, ":dispatcher") == 1);
    return pidfd;
}

bool runner_has_marked(struct scene *scene)
{
    return unlink(mark_of(scene)) == 0;
}

int runner_signal(int pidfd, int number)
{
    return pidfd_send_signal(pidfd, number, NULL, 0);
}

bool runner_has_exited(int pidfd, int *status)
{
    siginfo_t how = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &how, WEXITED | WNOHANG) || !how.si_pid) return false;
    *status = how.si_code == CLD_EXITED ? how.si_status : -how.si_status;
    close(pidfd);
    return true;
}

int runner_at_work(struct scene *scene, const char *data)
{
    int pidfd = runner_start(scene, NULL);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "e", "data", data);
    wait_for(runner_has_marked(scene));
    return pidfd;
}
