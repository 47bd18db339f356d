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

/* Its number may be another's later; with the time of its start (in ticks since the machine's) it is its own. */
struct inherited {
    pid_t pid;
    int group;
    unsigned long long started;
};

struct process {
    pid_t pid;
    int parent, group, session;
    unsigned long long started;
};

static bool look(struct process *process)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strrchr(text, ')');
    return at && sscanf(at + 1, " %*c %d %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                        &process->parent, &process->group, &process->session, &process->started) == 4;
}

/* The next child in our session. */
static bool next_child(DIR *list, struct process *process)
{
    for (struct dirent *entry; list && (entry = readdir(list));) {
        process->pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        if (process->pid && look(process) && process->parent == getpid() && process->session == getsid(0)) return true;
    }
    return false;
}

bool orphans_adopt(struct orphans *orphans)
{
    struct process child;
    bool fits = true;
    DIR *list = opendir("/proc");
    *orphans = (struct orphans){0};
    while (fits && next_child(list, &child)) {
        struct inherited *more = realloc(orphans->inherited, (orphans->count + 1) * sizeof *more);
        if (!(fits = more)) break;
        more[orphans->count++] = (struct inherited){child.pid, child.group, child.started};
        orphans->inherited = more;
    }
    if (list) closedir(list);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return fits;
}

/* One of them, or of a group that is theirs alone: what they have left behind. */
static bool is_inherited(const struct orphans *orphans, const struct process *process)
{
    for (size_t i = 0; i < orphans->count; i++) {
        const struct inherited *one = &orphans->inherited[i];
        if (one->pid == process->pid && one->started == process->started) return true;
        if (one->group == process->group && one->group != getpgrp()) return true;
    }
    return false;
}

static bool is_among(pid_t pid, const pid_t *list)
{
    while (*list && *list != pid) list++;
    return *list != 0;
}

int orphans_kill(const struct orphans *orphans, const pid_t *but)
{
    int killed = 0;
    struct process child;
    DIR *list = opendir("/proc");
    while (next_child(list, &child)) {
        if (is_among(child.pid, but) || is_inherited(orphans, &child)) continue;
        bool is_shared = child.group == getpgrp() || is_among(child.group, but); /* a group that others of us live in */
        killed += !kill(is_shared ? child.pid : -child.group, SIGKILL);
    }
    if (list) closedir(list);
    return killed;
}

void orphans_free(struct orphans *orphans)
{
    free(orphans->inherited);
}
