/* SPDX-License-Identifier: MIT */

/* A host in C that happens to have functions named like the library's own. The library must not call them, nor the host
 * the library's; what it can do without a server, it does. */
#include <quern.h>
#include <stdio.h>
#include <string.h>

static int taken;

void job_free(void *job);
int conn_open(const char *url);
void log_write(void *log, int level, const char *name, const void *fields);
int err_set(void *error, int code, const char *format, ...);

void job_free(void *job)
{
    (void)job;
    taken++;
}

int conn_open(const char *url)
{
    (void)url;
    return ++taken;
}

void log_write(void *log, int level, const char *name, const void *fields)
{
    (void)log, (void)level, (void)name, (void)fields;
    taken++;
}

int err_set(void *error, int code, const char *format, ...)
{
    (void)error, (void)code, (void)format;
    return ++taken;
}

static quern_verdict work(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    return quern_job_data(job).len ? QUERN_DONE : QUERN_DEAD;
}

static int fails(const char *what, const quern_error *error)
{
    fprintf(stderr, "embed: %s: %s\n", what, error->text);
    return 1;
}

/* A pool whose server cannot be there: it must say so, by the library's own functions. */
static int try_pool(quern_config *config, quern_error *error)
{
    quern_handler handler = {.size = sizeof handler, .event = "sum", .run = work};
    if (quern_config_set(config, "redis", "unix:///nobody/listens/here", error) != QUERN_OK) return fails("redis", error);
    if (quern_config_set(config, "connect_ms", "0", error) != QUERN_OK) return fails("connect_ms", error);
    if (quern_config_on(config, &handler, error) != QUERN_OK) return fails("a handler", error);
    if (quern_config_set(config, "no_such_key", "1", error) != QUERN_E_CONFIG) return fails("a wrong key was taken", error);
    quern_pool *pool = quern_pool_start(config, error);
    if (pool || error->code != QUERN_E_CONNECT) return fails("a pool without a server", error);
    return 0;
}

int main(void)
{
    quern_error error = {0};
    quern_config *config = quern_config_new();
    int status = config ? try_pool(config, &error) : 1;
    quern_config_free(config);
    if (strcmp(quern_version(), QUERN_VERSION) != 0) status = fails("header and library are of different versions", &error);
    if (taken) status = fails("the library called a function of its host", &error);
    return status;
}
