/* SPDX-License-Identifier: MIT */
#include "supervise/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PARTS = 4, US_PER_MS = 1000 };

static int notify_fd = -1;

/* Where path is none that a socket can have: 0. "@" begins a name that lies in no folder. */
static socklen_t write_address(struct sockaddr_un *address, const char *path)
{
    size_t len = strlen(path);
    if ((*path != '/' && *path != '@') || len < 2 || len >= sizeof address->sun_path) return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, len);
    if (*path == '@') address->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*path == '/'));
}

void notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t len = path ? write_address(&address, path) : 0;
    unsetenv("NOTIFY_SOCKET");
    if (!len || (notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0) return;
    if (!connect(notify_fd, (struct sockaddr *)&address, len)) return;
    close(notify_fd);
    notify_fd = -1;
}

void notify_say(const char *word)
{
    if (notify_fd < 0) return;
    ssize_t sent = send(notify_fd, word, strlen(word), MSG_NOSIGNAL);
    (void)sent; /* full: the next one says the same */
}

void notify_alive(void)
{
    if (notify_every_ms()) notify_say("WATCHDOG=1");
}

int64_t notify_every_ms(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t whose = pid ? atoll(pid) : getpid();
    if (!us || (whose != getpid() && whose != getppid())) return 0;
    int64_t ms = atoll(us) / US_PER_MS / PARTS;
    return ms < 0 ? 0 : ms;
}
