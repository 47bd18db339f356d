/* SPDX-License-Identifier: MIT */

/* bench/peers/gearmand_jobs: background jobs through libgearman. */
#include "jobs.h"
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FUNCTION[] = "bench.noop";

/* A thread enqueues or serves; both ends are there, and each connects when it is first used. */
struct link {
    gearman_client_st *client;
    gearman_worker_st *worker;
    char texts[AT_ONCE][24]; /* until the jobs they belong to are with the server */
};

static void *link_open(const char *server)
{
    struct link *link = malloc(sizeof *link);
    if (!link) die("gearmand: out of memory");
    link->client = gearman_client_create(NULL);
    link->worker = gearman_worker_create(NULL);
    if (!link->client || !link->worker || gearman_failed(gearman_client_add_servers(link->client, server)) ||
        gearman_failed(gearman_worker_add_servers(link->worker, server)))
        die("gearmand: no server");
    return link;
}

static void put_one(gearman_client_st *client, int64_t at)
{
    char text[24], handle[GEARMAN_JOB_HANDLE_SIZE];
    int n = snprintf(text, sizeof text, "%lld", (long long)at);
    if (gearman_failed(gearman_client_do_background(client, FUNCTION, NULL, text, (size_t)n, handle)))
        die("gearmand: a job was refused");
}

static void put(void *at, const int64_t *ats, int count)
{
    struct link *link = at;
    if (count == 1) {
        put_one(link->client, ats[0]);
        return;
    }
    for (int i = 0; i < count; i++) {
        gearman_return_t code;
        int n = snprintf(link->texts[i], sizeof link->texts[i], "%lld", (long long)ats[i]);
        gearman_client_add_task_background(link->client, NULL, NULL, FUNCTION, NULL, link->texts[i], (size_t)n, &code);
        if (gearman_failed(code)) die("gearmand: a job was refused");
    }
    if (gearman_failed(gearman_client_run_tasks(link->client))) die("gearmand: the jobs were refused");
    gearman_client_task_free_all(link->client);
}

static gearman_return_t run(gearman_job_st *job, void *unused)
{
    (void)unused;
    char text[24] = "";
    size_t size = gearman_job_workload_size(job);
    memcpy(text, gearman_job_workload(job), size < sizeof text ? size : sizeof text - 1);
    job_do(atoll(text));
    return GEARMAN_SUCCESS;
}

static void serve(void *at)
{
    struct link *link = at;
    if (gearman_failed(
            gearman_worker_define_function(link->worker, FUNCTION, sizeof FUNCTION - 1, gearman_function_create(run), 0, NULL)))
        die("gearmand: no function");
    for (;;)
        if (gearman_failed(gearman_worker_work(link->worker))) die(gearman_worker_error(link->worker));
}

const struct peer peer = {.connect = link_open, .put = put, .serve = serve};
