/* SPDX-License-Identifier: MIT */
#include "embed/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 64 };

/* -1: nobody listens. A full backlog (EAGAIN) counts as nobody too: the caller comes again. */
static int dial(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

/* What came before the end of the line, the connection or the time; its length, -1 for nothing in time. */
static ssize_t hear(int fd, char line[LINE_MAX_BYTES], int64_t deadline_ns)
{
    size_t len = 0;
    while (len < LINE_MAX_BYTES - 1 && !memchr(line, '\n', len)) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        if (poll(&one, 1, clock_poll_ms(deadline_ns)) == 0) return -1;
        ssize_t n = recv(fd, line + len, LINE_MAX_BYTES - 1 - len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
        if (n > 0) len += (size_t)n;
    }
    line[len] = 0;
    return (ssize_t)len;
}

static bool say(int fd, const char *words)
{
    size_t len = strlen(words); /* a few bytes on a fresh socket: taken whole or not at all */
    return send(fd, words, len, MSG_NOSIGNAL) == (ssize_t)len;
}

enum ask_answer ask_ping(const char *socket_path, int64_t deadline_ns)
{
    char line[LINE_MAX_BYTES];
    int fd = dial(socket_path);
    if (fd < 0) return ASK_NOBODY;
    ssize_t len = say(fd, "*1\r\n$4\r\nPING\r\n") ? hear(fd, line, deadline_ns) : 0;
    close(fd);
    if (len < 0) return ASK_SILENCE;
    if (len == 0) return ASK_NOBODY; /* it went away while we spoke */
    return strncmp(line, "-LOADING", 8) ? ASK_SERVING : ASK_LOADING;
}

bool ask_shutdown(const char *socket_path, int64_t deadline_ns)
{
    char line[LINE_MAX_BYTES];
    int fd = dial(socket_path);
    if (fd < 0) return false;
    bool told = say(fd, "*1\r\n$8\r\nSHUTDOWN\r\n");
    if (told) hear(fd, line, deadline_ns); /* a server that obeys closes without a word */
    close(fd);
    return told;
}
