/* SPDX-License-Identifier: MIT */
#include "run/forked.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STATUS = 70 }; /* as sysexits has it: a fault of the software, here of the handler's */

static const volatile char *page; /* 1 in the process that has made it, 0 in its children; NULL: it cannot be told */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return;
    if (madvise(made, size, MADV_WIPEONFORK)) {
        munmap(made, size);
        return;
    }
    *made = 1;
    page = made;
}

void forked_watch(void)
{
    pthread_once(&once, make);
}

_Noreturn void forked_end(void)
{
    _exit(STATUS);
}

bool is_forked(void)
{
    return page && !*page;
}
