/* SPDX-License-Identifier: MIT */

/* bench/peers/beanstalkd_jobs: its own protocol over a unix socket, which is a line and a body each way. */
#include "jobs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 256, TIME_TO_RUN_S = 60 };

struct link {
    FILE *in, *out;
};

static void *link_open(const char *server)
{
    struct link *link = malloc(sizeof *link);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", server);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!link || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("beanstalkd: no connection");
    link->in = fdopen(fd, "r");
    link->out = fdopen(dup(fd), "w");
    if (!link->in || !link->out) die("beanstalkd: no connection");
    return link;
}

/* The rest of the line that begins with word. */
static const char *expect(struct link *link, char *line, const char *word)
{
    if (!fgets(line, LINE_MAX_BYTES, link->in) || strncmp(line, word, strlen(word)) != 0)
        die("beanstalkd: not the answer that was expected");
    return line + strlen(word);
}

static void put(void *at, const int64_t *ats, int count)
{
    struct link *link = at;
    char line[LINE_MAX_BYTES], body[24];
    for (int i = 0; i < count; i++) {
        int n = snprintf(body, sizeof body, "%lld", (long long)ats[i]);
        fprintf(link->out, "put 0 0 %d %d\r\n%s\r\n", TIME_TO_RUN_S, n, body);
    }
    fflush(link->out);
    for (int i = 0; i < count; i++) expect(link, line, "INSERTED ");
}

static void serve(void *at)
{
    struct link *link = at;
    char line[LINE_MAX_BYTES], body[LINE_MAX_BYTES];
    for (;;) {
        fputs("reserve\r\n", link->out);
        fflush(link->out);
        long long id = atoll(expect(link, line, "RESERVED "));
        job_do(atoll(expect(link, body, "")));
        fprintf(link->out, "delete %lld\r\n", id);
        fflush(link->out);
        expect(link, line, "DELETED");
    }
}

const struct peer peer = {.connect = link_open, .put = put, .serve = serve};
