/* SPDX-License-Identifier: MIT */
#include "base/waker.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum { CLOSED_LOOK_MS = 2 };

int waker_open(struct waker *waker)
{
    atomic_init(&waker->is_set, 0);
    waker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->fd < 0 ? errno : 0;
}

void waker_close(struct waker *waker)
{
    if (waker->fd >= 0) close(waker->fd);
    waker->fd = -1;
}

void waker_wake(struct waker *waker)
{
    if (atomic_exchange(&waker->is_set, 1)) return;
    int before = errno;
    if (write(waker->fd, &(uint64_t){1}, sizeof(uint64_t)) < 0) errno = before; /* full: it is readable already */
    errno = before;
}

void waker_clear(struct waker *waker)
{
    uint64_t count;
    int before = errno;
    /* Read, then unset: the other way round, a wake in between would lose its write and still bar the next one. If a writer is
     * between its flag and its write, there is nothing to read yet: poll() then returns once more for nothing. */
    if (read(waker->fd, &count, sizeof count) < 0) errno = before;
    atomic_store(&waker->is_set, 0);
}

/* Somebody has closed it: a handler that closes all it finds. A new one might have the number of another that was closed, too, and whoever
 * waits for that would take its wakes. So it is as if it were woken all the time, but not in a hot loop. */
static void doze(struct waker *waker)
{
    poll(NULL, 0, CLOSED_LOOK_MS);
    atomic_store(&waker->is_set, 0);
}

/* at[0] is the waker's own. */
static bool wait_at(struct waker *waker, struct pollfd *at, uint32_t count, int64_t deadline_ns)
{
    at[0] = (struct pollfd){.fd = waker->fd, .events = POLLIN};
    int n = poll(at, count, clock_poll_ms(deadline_ns));
    if (n > 0 && at[0].revents & POLLNVAL)
        doze(waker);
    else if (n > 0 && at[0].revents)
        waker_clear(waker);
    return n > 0;
}

bool waker_wait(struct waker *waker, int fd, int64_t deadline_ns)
{
    struct pollfd at[2] = {[1] = {.fd = fd, .events = POLLIN}};
    return wait_at(waker, at, 2, deadline_ns) && fd >= 0 && at[1].revents != 0;
}

void waker_wait_any(struct waker *waker, const int *fds, uint32_t count, int64_t deadline_ns)
{
    struct pollfd at[1 + WAKER_FDS];
    for (uint32_t i = 0; i < count; i++) at[1 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    wait_at(waker, at, 1 + count, deadline_ns);
}
