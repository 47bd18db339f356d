/* SPDX-License-Identifier: MIT */
#include "wire/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"

enum { LEAST_MS = 250 };

int64_t dial_share_ns(int64_t deadline_ns, uint32_t left)
{
    int64_t now_ns = clock_now_ns(), part_ns = (deadline_ns - now_ns) / (left + 1);
    if (part_ns < LEAST_MS * NS_PER_MS) part_ns = LEAST_MS * NS_PER_MS;
    return part_ns < deadline_ns - now_ns ? now_ns + part_ns : deadline_ns;
}

/* connect() without blocking, then wait. 0: connected; else an errno. */
static int connect_to(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline_ns)
{
    if (connect(fd, to, len) == 0) return 0;
    if (errno == EAGAIN) return ECONNREFUSED; /* a unix socket whose backlog is full */
    if (errno != EINPROGRESS && errno != EINTR) return errno;
    for (;;) {
        struct pollfd at = {.fd = fd, .events = POLLOUT};
        int n = poll(&at, 1, clock_poll_ms(deadline_ns)), failed = 0;
        if (n == 0 && clock_now_ns() >= deadline_ns) return ETIMEDOUT;
        if (n <= 0) continue;
        socklen_t size = sizeof failed;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        return failed;
    }
}

static int open_unix(int *fd, const char *path, int64_t deadline_ns)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return errno;
    return connect_to(*fd, (struct sockaddr *)&to, sizeof to, deadline_ns);
}

static void set_tcp_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 10},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 3}, {IPPROTO_TCP, TCP_KEEPCNT, 3}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 20000}};
    for (size_t i = 0; i < COUNT_OF(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static uint32_t count_behind(const struct addrinfo *at)
{
    uint32_t count = 0;
    while ((at = at->ai_next)) count++;
    return count;
}

/* Tries each address of the host in turn. *why holds the resolver's text if it fails. */
static int open_tcp(int *fd, const struct url_place *place, int64_t deadline_ns, const char **why)
{
    char port[8];
    snprintf(port, sizeof port, "%u", place->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    int failed = getaddrinfo(place->host, port, &hints, &found);
    if (failed) {
        *why = gai_strerror(failed);
        return EHOSTUNREACH;
    }
    failed = EHOSTUNREACH;
    for (struct addrinfo *at = found; at && failed; at = at->ai_next) {
        if (*fd >= 0) close(*fd);
        *fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
        failed = *fd < 0 ? errno : connect_to(*fd, at->ai_addr, at->ai_addrlen, dial_share_ns(deadline_ns, count_behind(at)));
    }
    freeaddrinfo(found);
    if (!failed) set_tcp_options(*fd);
    return failed;
}

int dial(int *fd, const struct dial_to *to, int64_t deadline_ns, quern_error *err)
{
    const char *why = NULL;
    int failed = to->socket ? open_unix(fd, to->socket, deadline_ns) : open_tcp(fd, to->place, deadline_ns, &why);
    if (!failed) return QUERN_OK;
    return err_set(err, QUERN_E_CONNECT, "no Redis at %s: %s", to->shown, why ? why : strerror(failed));
}
