/* SPDX-License-Identifier: MIT */
#include "embed/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"

enum { RETRY_MS = 100 };

static struct flock whole(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

int lock_open(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool lock_share(int fd)
{
    struct flock lock = whole(F_RDLCK);
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool lock_claim(int fd)
{
    struct flock lock = whole(F_WRLCK);
    return fcntl(fd, F_SETLK, &lock) == 0;
}

pid_t lock_claimant(int fd)
{
    struct flock lock = whole(F_WRLCK);
    if (fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK) return -1;
    return lock.l_pid > 0 ? lock.l_pid : 0;
}

bool lock_is_held(int fd)
{
    struct flock lock = whole(F_RDLCK);
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void take(void *arg)
{
    struct lock_watch *watch = arg;
    struct flock lock = whole(F_WRLCK);
    while (fcntl(watch->lock_fd, F_OFD_SETLKW, &lock))
        if (errno != EINTR) poll(NULL, 0, RETRY_MS); /* ENOLCK: the kernel is out of memory for now */
    ssize_t told = write(watch->done_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)told; /* an eventfd takes its first 1 always */
}

int lock_watch_start(struct lock_watch *watch, int fd)
{
    pthread_t thread;
    *watch = (struct lock_watch){.lock_fd = fd, .done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int why = watch->done_fd < 0 ? errno : thread_start(&thread, ROLE_HOST, "lock", take, watch);
    if (!why) return pthread_detach(thread);
    close(watch->lock_fd);
    if (watch->done_fd >= 0) close(watch->done_fd);
    return why;
}

bool lock_watch_is_done(struct lock_watch *watch)
{
    uint64_t count;
    if (watch->is_done) return true;
    if (read(watch->done_fd, &count, sizeof count) < 0) return false;
    close(watch->done_fd);
    watch->done_fd = -1; /* poll() passes over it */
    return watch->is_done = true;
}
