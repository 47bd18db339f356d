/* SPDX-License-Identifier: MIT */

/* base/waker: waking a thread that waits in poll().
 * Idea       an eventfd and a flag: only the first wake since the last clear costs a system call.
 * Threads    waker_wake: any, also in a signal handler · the rest: the thread that waits */
#ifndef QUERN_BASE_WAKER_H
#define QUERN_BASE_WAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct waker {
    int fd; /* poll for POLLIN */
    _Atomic uint32_t is_set;
};

/* 0, or an errno. */
int waker_open(struct waker *waker);
void waker_close(struct waker *waker);
void waker_wake(struct waker *waker);
/* Behind it, look at what the wake was for: a later wake is then seen. */
void waker_clear(struct waker *waker);
/* Waits for the waker or for fd (negative: none) to be readable, at most until deadline_ns. Is fd readable? */
bool waker_wait(struct waker *waker, int fd, int64_t deadline_ns);
/* The same for several, at most WAKER_FDS; it is not said which. */
enum { WAKER_FDS = 32 };
void waker_wait_any(struct waker *waker, const int *fds, uint32_t count, int64_t deadline_ns);

#endif
