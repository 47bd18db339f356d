/* SPDX-License-Identifier: MIT */

/* support/fake_server SOCKET ANSWER: something that is not the Redis one hoped for.
 * Idea       listens on the unix socket SOCKET and says "+ready"; to whatever a client sends it answers with the contents of the
 *            file ANSWER; each client that comes is one line, "+client", on standard output. One client at a time is enough:
 *            whoever it disappoints goes away. Ends when it is killed. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof at.sun_path || fd < 0) return -1;
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    return bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 16) ? -1 : fd;
}

static void serve(int client, const char *answer, size_t len)
{
    char heard[4096];
    while (read(client, heard, sizeof heard) > 0)
        if (send(client, answer, len, MSG_NOSIGNAL) < 0) break;
    close(client);
}

int main(int argc, char **argv)
{
    char answer[4096];
    FILE *file = argc == 3 ? fopen(argv[2], "re") : NULL;
    size_t len = file ? fread(answer, 1, sizeof answer, file) : 0;
    int fd = file ? listen_at(argv[1]) : -1, client;
    if (fd < 0) {
        fprintf(stderr, "usage: fake_server SOCKET ANSWER\n");
        return 2;
    }
    puts("+ready");
    fflush(stdout);
    while ((client = accept(fd, NULL, NULL)) >= 0) {
        puts("+client");
        fflush(stdout);
        serve(client, answer, len);
    }
    return 1;
}
