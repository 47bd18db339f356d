/* SPDX-License-Identifier: MIT */
#include "supervise/orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void orphans_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* Its parent, process group and session. */
static bool look(pid_t pid, int *parent, int *group, int *session)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strrchr(text, ')');
    return at && sscanf(at + 1, " %*c %d %d %d", parent, group, session) == 3;
}

static bool is_among(pid_t pid, const pid_t *list)
{
    while (*list && *list != pid) list++;
    return *list != 0;
}

int orphans_kill(const pid_t *but)
{
    int killed = 0, parent, group, session;
    DIR *list = opendir("/proc");
    for (struct dirent *entry; list && (entry = readdir(list));) {
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        if (!pid || is_among(pid, but) || !look(pid, &parent, &group, &session)) continue;
        if (parent != getpid() || session != getsid(0)) continue;
        bool is_shared = group == getpgrp() || is_among(group, but); /* a group that others of us live in */
        killed += !kill(is_shared ? pid : -group, SIGKILL);
    }
    if (list) closedir(list);
    return killed;
}
