/* SPDX-License-Identifier: MIT */
#include "proof/plan.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct plan *plan_map(const char *folder, bool is_new)
{
    char path[512];
    snprintf(path, sizeof path, "%s/plan", folder);
    int fd = open(path, O_RDWR | O_CLOEXEC | (is_new ? O_CREAT | O_EXCL : 0), 0600);
    if (fd < 0 || (is_new && ftruncate(fd, sizeof(struct plan)))) return NULL;
    void *at = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}
