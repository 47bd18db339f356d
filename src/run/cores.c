/* SPDX-License-Identifier: MIT */
#include "run/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

uint32_t cores_of_quota(const char *cpu_max)
{
    char *end;
    long long quota = strtoll(cpu_max, &end, 10), period = strtoll(end, NULL, 10);
    if (end == cpu_max || quota <= 0 || period <= 0) return UINT32_MAX;
    long long cores = (quota - 1) / period + 1;
    return cores < UINT32_MAX ? (uint32_t)cores : UINT32_MAX;
}

static uint32_t quota_in(const char *directory)
{
    char path[PATH_BYTES + 16], line[64] = "";
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    FILE *file = fopen(path, "re");
    if (!file) return UINT32_MAX;
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    return got ? cores_of_quota(line) : UINT32_MAX;
}

/* Our place in the unified hierarchy: "0::/a/b" in /proc/self/cgroup. false: there is none. */
static int own_cgroup(char *path, size_t size)
{
    char line[PATH_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "re");
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        found = snprintf(path, size, "/sys/fs/cgroup%s", line + 3) < (int)size;
    }
    if (file) fclose(file);
    return found;
}

/* A bound may be set at any level above us. */
static uint32_t cgroup_cores(void)
{
    char path[PATH_BYTES];
    uint32_t least = UINT32_MAX;
    if (!own_cgroup(path, sizeof path)) return least;
    while (strlen(path) >= strlen("/sys/fs/cgroup")) {
        uint32_t here = quota_in(path);
        if (here < least) least = here;
        char *slash = strrchr(path, '/');
        *slash = 0;
    }
    return least;
}

uint32_t cores_usable(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    uint32_t affinity = cores > 0 ? (uint32_t)cores : 1, quota = cgroup_cores();
    return quota < affinity ? quota : affinity;
}
