/* SPDX-License-Identifier: MIT */

/* run/cores: how many cores this process may use: its affinity, and its cgroup's cpu.max rounded up, whichever is less.
 * Threads: any; reads small files. */
#ifndef QUERN_RUN_CORES_H
#define QUERN_RUN_CORES_H

#include <stdint.h>

/* At least 1. */
uint32_t cores_usable(void);

/* What a line of cpu.max ("200000 100000", "max 100000") allows, rounded up; UINT32_MAX: no bound. */
uint32_t cores_of_quota(const char *cpu_max);

#endif
