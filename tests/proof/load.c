/* SPDX-License-Identifier: MIT */
#include "proof/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof/faults.h"

enum { PROCESSES_MAX = 100000, JOBS_MAX = 200000000 };

static bool map_file(struct process *process, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) return false;
    process->count = (size_t)status.st_size / sizeof(struct record); /* of a record that is not whole nothing was done */
    void *at = process->count ? mmap(NULL, process->count * sizeof(struct record), PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (at == MAP_FAILED) return false;
    process->records = at;
    if (!process->count) return true;
    process->unix_ns = process->records[0].also;
    process->last_ns = process->records[process->count - 1].at_ns;
    for (size_t i = 0; i < process->count; i++) {
        const struct record *record = &process->records[i];
        if (record->at_ns > process->last_ns) process->last_ns = record->at_ns; /* written by several threads */
        process->running += (record->kind == RECORD_START) - (record->kind == RECORD_FINISH);
    }
    return true;
}

static bool map_all(struct histories *histories, const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%s/history", folder);
    DIR *dir = opendir(path);
    histories->processes = calloc(PROCESSES_MAX, sizeof *histories->processes);
    for (struct dirent *entry; dir && histories->processes && (entry = readdir(dir));) {
        struct process *process = &histories->processes[histories->process_count];
        if (sscanf(entry->d_name, "%c%u.%u", &process->role, &process->number, &process->instance) != 3) continue;
        snprintf(path, sizeof path, "%s/history/%s", folder, entry->d_name);
        if (!map_file(process, path)) return false;
        if (++histories->process_count == PROCESSES_MAX) return false;
    }
    if (dir) closedir(dir);
    return histories->process_count > 0;
}

static struct process *find(struct histories *histories, char role, unsigned number, uint64_t instance)
{
    for (size_t i = 0; i < histories->process_count; i++) {
        struct process *process = &histories->processes[i];
        if (process->role == role && process->number == number && process->instance == instance) return process;
    }
    return NULL;
}

/* ── what the campaign and the proxy have noted ──────────────────────────────────────────────────────────────────── */

static bool destroys(unsigned fault)
{
    return fault == FAULT_UNGROUP || fault == FAULT_UNGROUP_RETRY || fault == FAULT_RAZE;
}

static void note_fault(struct histories *histories, const struct record *record)
{
    bool is_done = record->lane == 1;
    if (is_done && destroys(record->letter)) histories->destroyed[histories->destroyed_count - 1].to = record->at_ns;
    if (is_done) return;
    if (destroys(record->letter))
        histories->destroyed[histories->destroyed_count++] = (struct span_ns){record->at_ns, UINT64_MAX};
    histories->fault_ns[histories->fault_count++] = record->at_ns;
    histories->faults[record->letter]++;
}

static void note_death(struct histories *histories, const struct record *record)
{
    struct process *process = find(histories, (char)record->letter, record->lane, record->entry_ms);
    if (!process) return;
    process->died_ns = record->at_ns;
    process->status = (int)record->entry_seq;
}

static void note_one(struct histories *histories, const struct record *record)
{
    switch (record->kind) {
    case RECORD_FAULT:
        note_fault(histories, record);
        break;
    case RECORD_DEATH:
        note_death(histories, record);
        break;
    case RECORD_POINT:
        histories->fault_ns[histories->fault_count++] = record->at_ns;
        histories->faults[FAULT_POINT]++;
        break;
    case RECORD_CALM:
        histories->calm_ns = record->at_ns;
        break;
    case RECORD_DRAINED:
        histories->drained_ns = record->at_ns;
        break;
    default:
        break;
    }
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Handlers that end their process are faults, too: whatever has ended otherwise than by an order or a kill. */
static void count_handlers(struct histories *histories)
{
    for (size_t i = 0; i < histories->process_count; i++) {
        const struct process *process = &histories->processes[i];
        if (process->role != 'w' || !process->died_ns || !load_has_crashed(process)) continue;
        if (WIFSIGNALED(process->status) && WTERMSIG(process->status) == SIGKILL) continue;
        histories->faults[FAULT_HANDLER]++;
    }
}

static bool note_all(struct histories *histories)
{
    size_t most = 0;
    for (size_t i = 0; i < histories->process_count; i++)
        for (size_t r = 0; r < histories->processes[i].count; r++)
            most += histories->processes[i].records[r].kind >= RECORD_POINT &&
                    histories->processes[i].records[r].kind != RECORD_SEEN;
    histories->fault_ns = malloc((most + 1) * sizeof *histories->fault_ns);
    histories->destroyed = malloc((most + 1) * sizeof *histories->destroyed);
    if (!histories->fault_ns || !histories->destroyed) return false;
    for (size_t i = 0; i < histories->process_count; i++)
        for (size_t r = 0; r < histories->processes[i].count; r++) note_one(histories, &histories->processes[i].records[r]);
    qsort(histories->fault_ns, histories->fault_count, sizeof *histories->fault_ns, compare_times);
    count_handlers(histories);
    return true;
}

/* ── by job ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_of_job(const struct record *record)
{
    bool is_kind = (record->kind >= RECORD_PUBLISH && record->kind <= RECORD_RENEWED) || record->kind == RECORD_SEEN ||
                   record->kind == RECORD_DELETED;
    return is_kind && record->job < JOBS_MAX;
}

static int compare_events(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->record->at_ns != b->record->at_ns) return a->record->at_ns < b->record->at_ns ? -1 : 1;
    return a->record < b->record ? -1 : a->record > b->record; /* of one process: as it wrote them */
}

static bool sort_by_job(struct histories *histories)
{
    for (size_t i = 0; i < histories->process_count; i++)
        for (size_t r = 0; r < histories->processes[i].count; r++) {
            const struct record *record = &histories->processes[i].records[r];
            if (is_of_job(record) && record->job >= histories->job_count) histories->job_count = record->job + 1;
        }
    histories->first = calloc(histories->job_count + 2, sizeof *histories->first);
    if (!histories->first) return false;
    size_t *at = histories->first + 1;
    for (size_t i = 0; i < histories->process_count; i++)
        for (size_t r = 0; r < histories->processes[i].count; r++)
            if (is_of_job(&histories->processes[i].records[r])) at[histories->processes[i].records[r].job + 1]++;
    for (uint32_t job = 0; job <= histories->job_count; job++) histories->first[job + 1] += histories->first[job];
    histories->events = malloc((histories->first[histories->job_count + 1] + 1) * sizeof *histories->events);
    if (!histories->events) return false;
    for (size_t i = 0; i < histories->process_count; i++)
        for (size_t r = 0; r < histories->processes[i].count; r++) {
            const struct record *record = &histories->processes[i].records[r];
            if (is_of_job(record)) histories->events[at[record->job]++] = (struct event){record, &histories->processes[i]};
        }
    for (uint32_t job = 0; job < histories->job_count; job++)
        qsort(histories->events + histories->first[job], histories->first[job + 1] - histories->first[job],
              sizeof *histories->events, compare_events);
    return true;
}

bool load(struct histories *histories, const char *folder)
{
    *histories = (struct histories){.plan = plan_map(folder, false)};
    if (!histories->plan) return fprintf(stderr, "check: there is no plan in %s\n", folder), false;
    if (map_all(histories, folder) && note_all(histories) && sort_by_job(histories)) return true;
    return fprintf(stderr, "check: the histories in %s cannot be read\n", folder), false;
}

void unload(struct histories *histories)
{
    for (size_t i = 0; i < histories->process_count; i++) {
        struct process *process = &histories->processes[i];
        if (process->records) munmap((void *)(uintptr_t)process->records, process->count * sizeof(struct record));
    }
    free(histories->processes);
    free(histories->events);
    free(histories->first);
    free(histories->destroyed);
    free(histories->fault_ns);
    *histories = (struct histories){0};
}

bool load_is_destroyed_between(const struct histories *histories, uint64_t from_ns, uint64_t to_ns)
{
    for (size_t i = 0; i < histories->destroyed_count; i++)
        if (histories->destroyed[i].to >= from_ns && histories->destroyed[i].from <= to_ns) return true;
    return false;
}

bool load_has_crashed(const struct process *process)
{
    return process->died_ns && !(WIFEXITED(process->status) && WEXITSTATUS(process->status) == 0);
}
