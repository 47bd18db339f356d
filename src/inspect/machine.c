/* SPDX-License-Identifier: MIT */

/* inspect/machine: what runs in other processes of this machine.
 * Idea       each keeps a crash journal in a folder that it shares with the others, and its board is in there: it is read as it
 *            is, while they write. What their threads have used, the kernel says.
 * Invariant  our own journal is left alone: to open and close it would give up our lock on it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "blame/journal.h"
#include "config/config.h"
#include "inspect/running.h"
#include "inspect/show.h"

/* User and system time of a thread; -1: there is none. */
static int64_t thread_cpu_ns(pid_t pid, int32_t thread)
{
    char path[64], text[1024];
    unsigned long long user, system;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)thread);
    int fd = thread ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) return -1;
    return (int64_t)(user + system) * (NS_PER_S / sysconf(_SC_CLK_TCK));
}

static const char *stream_of(const struct journal_head *head, const struct board_row *row)
{
    return row->is.queue < head->source_count ? head->sources[row->is.queue].stream : NULL;
}

static bool add_job(json_t *jobs, pid_t pid, const struct journal_head *head, const struct board_row *row)
{
    int64_t cpu_ns = thread_cpu_ns(pid, row->is.thread.number);
    json_t *job = running_object(row, stream_of(head, row), clock_now_ns(), cpu_ns);
    bool is_whole =
        job && show_number_or_null(job, "thread_cpu_ms", cpu_ns / NS_PER_MS, cpu_ns >= 0) && !json_array_append(jobs, job);
    json_decref(job);
    return is_whole;
}

static json_t *process_object(pid_t pid, const struct journal *journal)
{
    const struct journal_head *head = journal->head;
    struct board_row row;
    json_t *jobs = json_array();
    bool is_whole = jobs != NULL;
    for (uint32_t i = 0; is_whole && i < head->count; i++)
        if (journal_runs(&journal->records[i], &row)) is_whole = add_job(jobs, pid, head, &row);
    bool is_stopping = atomic_load(&head->state) != JOURNAL_RUNS;
    json_t *process = is_whole ? json_pack("{s:i, s:b, s:O}", "pid", (int)pid, "stopping", is_stopping, "jobs", jobs) : NULL;
    is_whole = process && show_bytes(process, "consumer", bytes_of(head->consumer));
    json_decref(jobs);
    if (is_whole) return process;
    json_decref(process);
    return NULL;
}

/* One that ends meanwhile, or is another user's, is none. false: no memory. */
static bool add_process(json_t *list, const char *dir, const char *name)
{
    char *path = NULL;
    pid_t pid = journal_pid(name);
    if (!pid) return true;
    if (asprintf(&path, "%s/%s", dir, name) < 0) return false;
    struct journal *journal = journal_read(path, false);
    bool is_added = !journal || !json_array_append_new(list, process_object(pid, journal));
    journal_drop(journal);
    free(path);
    return is_added;
}

static int read_machine(const char *dir, json_t *list, quern_error *err)
{
    DIR *names = opendir(dir);
    bool is_whole = list != NULL;
    if (!names && errno == ENOENT) return QUERN_OK; /* nobody has kept a journal there */
    if (!names) return err_set(err, QUERN_E_CONFIG, "journal_dir: cannot read %s: %s", dir, strerror(errno));
    for (struct dirent *entry; is_whole && (entry = readdir(names));) is_whole = add_process(list, dir, entry->d_name);
    closedir(names);
    return is_whole ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for what runs");
}

char *quern_machine_jobs(const quern_config *config, quern_error *err)
{
    if (!config || !config->journal_dir) {
        err_set(err, config ? QUERN_E_CONFIG : QUERN_E_ARGUMENT,
                config ? "journal_dir: not set; right would be the folder of the crash journals"
                       : "no configuration was given");
        return NULL;
    }
    json_t *list = json_array();
    int code = list ? read_machine(config->journal_dir, list, err) : QUERN_OK;
    if (!code) return show_text(list, err);
    json_decref(list);
    return NULL;
}
