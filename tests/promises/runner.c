/* SPDX-License-Identifier: MIT */

/* promises/runner: a host that leaves everything to quern_run(), or, where RUNNER_EVENT names an event, to quern_consume().
 * runner URL STREAM: exit 0 if it stopped well, 3 if a handler still ran. A job whose data is 1 takes half a second of CPU; one whose
 * data is 2 never ends; one whose data is 3 forks a child that has itself ended by SIGTERM, and runs for ever if that is not how it
 * ended. When a handler begins (3: when its child has ended) it adds a line to the file RUNNER_MARK. */
#include <quern.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void mark(void)
{
    FILE *file = getenv("RUNNER_MARK") ? fopen(getenv("RUNNER_MARK"), "a") : NULL;
    if (!file) return;
    fputs("1\n", file);
    fclose(file);
}

static int child_has_ended_by(int number)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        raise(number);
        _exit(9);
    }
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static void burn_ms(long long ms)
{
    struct timespec from, now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while (ms < 0 || (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
}

static quern_verdict consume(quern_job *job, void *user)
{
    int kind = atoi(quern_job_data(job).at);
    (void)user;
    if (kind == 3 && !child_has_ended_by(SIGTERM)) kind = 2;
    mark();
    burn_ms(kind == 2 ? -1 : kind == 1 ? 500 : 0);
    return QUERN_DONE;
}

static quern_verdict work(quern_job *job, void *thread, void *user)
{
    (void)thread;
    return consume(job, user);
}

int main(int argc, char **argv)
{
    quern_error error = {0};
    const char *event = getenv("RUNNER_EVENT");
    quern_config *config = quern_config_new();
    if (argc != 3 || quern_config_set(config, "redis", argv[1], &error) ||
        quern_config_set(config, "stream", argv[2], &error) || quern_config_set(config, "group", "g", &error) ||
        quern_config_set(config, "threads", "1", &error) || quern_config_set(config, "drain_ms", "2000", &error) ||
        quern_config_set(config, "connect_ms", "60000", &error) ||
        (!event && quern_config_on(config, &(quern_handler){.size = sizeof(quern_handler), .event = "*", .run = work}, &error)))
        return 2;
    int code = event ? quern_consume(config, event, consume, NULL, &error) : quern_run(config, &error);
    quern_config_free(config);
    if (code) fprintf(stderr, "%s\n", error.text);
    return code == QUERN_OK ? 0 : code == QUERN_E_BUSY ? 3 : 1;
}
