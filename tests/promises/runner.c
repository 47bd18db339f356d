/* SPDX-License-Identifier: MIT */

/* promises/runner: a host that leaves everything to quern_run(). runner URL STREAM: exit 0 if it stopped well, 3 if a handler
 * still ran. A job whose data is 1 takes half a second of CPU; one whose data is 2 never ends. When a
 * handler begins it makes the file RUNNER_MARK of its environment. */
#include <quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static quern_verdict work(quern_job *job, void *thread, void *user)
{
    int kind = atoi(quern_job_data(job).at);
    struct timespec from, now;
    FILE *mark = getenv("RUNNER_MARK") ? fopen(getenv("RUNNER_MARK"), "w") : NULL;
    (void)thread, (void)user;
    if (mark) fclose(mark);
    clock_gettime(CLOCK_MONOTONIC, &from);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while (kind == 2 || (kind == 1 && (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 500));
    return QUERN_DONE;
}

int main(int argc, char **argv)
{
    quern_error error = {0};
    quern_config *config = quern_config_new();
    if (argc != 3 || quern_config_set(config, "redis", argv[1], &error) ||
        quern_config_set(config, "stream", argv[2], &error) || quern_config_set(config, "group", "g", &error) ||
        quern_config_set(config, "threads", "1", &error) || quern_config_set(config, "drain_ms", "2000", &error) ||
        quern_config_on(config, &(quern_handler){.size = sizeof(quern_handler), .event = "*", .run = work}, &error))
        return 2;
    int code = quern_run(config, &error);
    quern_config_free(config);
    if (code) fprintf(stderr, "%s\n", error.text);
    return code == QUERN_OK ? 0 : code == QUERN_E_BUSY ? 3 : 1;
}
