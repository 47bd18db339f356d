/* SPDX-License-Identifier: MIT */
#include "blame/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/uuid.h"

enum { VERSION = 3, COUNT_MAX = 1 << 20 };
static const char magic[8] = "quernjl";

/* ── whose it is ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* When a process started, in ticks since boot: together with its number it names one process. 0: there is none. */
static unsigned long long started_ticks(pid_t pid)
{
    char path[64], text[1024];
    unsigned long long ticks = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 3; at && field <= 22; field++) at = strchr(at + 1, ' ');
    return at && sscanf(at, " %llu", &ticks) == 1 ? ticks : 0;
}

char *journal_path(const char *dir)
{
    char id[UUID_SIZE], *path = NULL;
    uuid_text(id);
    id[8] = 0;
    return asprintf(&path, "%s/%d-%llu-%s.journal", dir, (int)getpid(), started_ticks(getpid()), id) < 0 ? NULL : path;
}

static bool read_name(const char *name, int *pid, unsigned long long *ticks)
{
    int end = 0;
    return sscanf(name, "%d-%llu-%*8[0-9a-f].journal%n", pid, ticks, &end) == 2 && end > 0 && !name[end];
}

bool journal_is_orphan(const char *name)
{
    int pid;
    unsigned long long ticks;
    /* of our own number, too: in a container every process has it */
    return read_name(name, &pid, &ticks) && started_ticks(pid) != ticks;
}

pid_t journal_pid(const char *name)
{
    int pid;
    unsigned long long ticks;
    return read_name(name, &pid, &ticks) && pid != getpid() && started_ticks(pid) == ticks ? pid : 0;
}

/* Ends with the process, whatever its children do; a second one of ours would be granted, so nobody opens it twice. */
static bool take_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &lock) == 0;
}

/* ── mapping ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static size_t records_at(void)
{
    size_t page = 4096;
    return (sizeof(struct journal_head) + page - 1) / page * page;
}

static size_t trace_at(uint32_t count)
{
    return records_at() + count * sizeof(struct record);
}

static bool map(struct journal *journal, size_t bytes, int protection)
{
    void *at = mmap(NULL, bytes, protection, MAP_SHARED, journal->fd, 0);
    if (at == MAP_FAILED) return false;
    journal->head = at;
    journal->records = (struct record *)((char *)at + records_at());
    journal->bytes = bytes;
    return true;
}

void journal_drop(struct journal *journal)
{
    if (!journal) return;
    if (journal->head) munmap(journal->head, journal->bytes);
    if (journal->fd >= 0) close(journal->fd);
    if (journal->trace_fd >= 0) close(journal->trace_fd);
    free(journal->path);
    free(journal);
}

static void read_boot(char text[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, 63);
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0) close(fd);
}

bool journal_is_of_this_boot(const struct journal *journal)
{
    char boot[64];
    read_boot(boot);
    return strncmp(journal->head->boot, boot, sizeof boot) == 0;
}

/* What is longer than its place is cut, and compared as far as it goes. */
#define IS_KEPT(place, word) (strncmp(place, word, sizeof(place) - 1) == 0)

static bool is_ours(const struct journal_source *source, const struct journal_words *words)
{
    for (uint32_t i = 0; i < words->source_count; i++)
        if (IS_KEPT(source->stream, words->sources[i].stream) && IS_KEPT(source->group, words->sources[i].group)) return true;
    return false;
}

bool journal_is_of(const struct journal *journal, const struct journal_words *words)
{
    if (!IS_KEPT(journal->head->redis, words->redis)) return false;
    for (uint32_t i = 0; i < journal->head->source_count; i++)
        if (is_ours(&journal->head->sources[i], words)) return true;
    return false;
}

static void write_words(struct journal_head *head, const struct journal_words *words)
{
    snprintf(head->redis, sizeof head->redis, "%s", words->redis);
    snprintf(head->consumer, sizeof head->consumer, "%s", words->consumer);
    head->alone_after = words->alone_after;
    head->source_count = words->source_count;
    for (uint32_t i = 0; i < words->source_count; i++) {
        snprintf(head->sources[i].stream, sizeof head->sources[i].stream, "%s", words->sources[i].stream);
        snprintf(head->sources[i].group, sizeof head->sources[i].group, "%s", words->sources[i].group);
    }
    read_boot(head->boot);
}

static struct journal *failed(struct journal *journal, const char *what, quern_error *err)
{
    err_set(err, QUERN_E_CONFIG, "no crash journal: %s %s: %s", what, journal->path ? journal->path : "its file",
            strerror(errno));
    if (journal->fd >= 0 && journal->path) unlink(journal->path);
    journal_drop(journal);
    return NULL;
}

struct journal *journal_open(const char *dir, const char *path, const struct journal_words *words, uint32_t count,
                             quern_error *err)
{
    struct journal *journal = calloc(1, sizeof *journal);
    size_t bytes = trace_at(count) + JOURNAL_TRACE;
    if (!journal) return err_set(err, QUERN_E_MEMORY, "no memory for a crash journal"), NULL;
    journal->owner = getpid();
    journal->fd = journal->trace_fd = -1;
    if (!(journal->path = path ? strdup(path) : journal_path(dir))) return failed(journal, "no memory for", err);
    journal->fd = open(journal->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (journal->fd < 0) return failed(journal, "cannot create", err);
    /* Blocks that are not there would be missed only when a worker writes to them, which would end the process. */
    if (!take_lock(journal->fd) || (errno = posix_fallocate(journal->fd, 0, (off_t)bytes)))
        return failed(journal, "cannot use", err);
    if (!map(journal, bytes, PROT_READ | PROT_WRITE)) return failed(journal, "cannot map", err);
    journal->trace_fd = open(journal->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (journal->trace_fd >= 0) lseek(journal->trace_fd, (off_t)trace_at(count), SEEK_SET);
    write_words(journal->head, words);
    journal->head->version = VERSION;
    journal->head->count = count;
    atomic_store(&journal->head->state, JOURNAL_RUNS);
    memcpy(journal->head->magic, magic, sizeof magic); /* last: only a whole one is believed */
    return journal;
}

void journal_stops(struct journal *journal)
{
    uint32_t expected = JOURNAL_RUNS;
    if (journal) atomic_compare_exchange_strong(&journal->head->state, &expected, JOURNAL_STOPS);
}

void journal_leaves(struct journal *journal)
{
    if (journal) atomic_store(&journal->head->state, JOURNAL_LEAVES);
}

void journal_close(struct journal *journal)
{
    if (!journal) return;
    unlink(journal->path);
    journal_drop(journal);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_text(const char *text, size_t size)
{
    return memchr(text, 0, size) && *text;
}

static bool has_sources(const struct journal_head *head)
{
    if (!head->source_count || head->source_count > JOURNAL_SOURCES) return false;
    for (uint32_t i = 0; i < head->source_count; i++) {
        const struct journal_source *source = &head->sources[i];
        if (!is_text(source->stream, sizeof source->stream) || !is_text(source->group, sizeof source->group)) return false;
    }
    return true;
}

static bool is_whole(const struct journal *journal)
{
    const struct journal_head *head = journal->head;
    return memcmp(head->magic, magic, sizeof magic) == 0 && head->version == VERSION && head->count <= COUNT_MAX &&
           journal->bytes >= trace_at(head->count) + JOURNAL_TRACE && is_text(head->redis, JOURNAL_WORD) &&
           is_text(head->consumer, JOURNAL_WORD) && has_sources(head);
}

/* The state behind the board, too: a job that has ended in between is not shown. */
bool journal_runs(const struct record *record, struct board_row *row)
{
    return atomic_load_explicit(&record->state, memory_order_acquire) != RECORD_EMPTY && board_read(&record->board, row) &&
           atomic_load_explicit(&record->state, memory_order_acquire) != RECORD_EMPTY;
}

struct journal *journal_read(const char *path, bool takes_lock)
{
    struct journal *journal = calloc(1, sizeof *journal);
    struct stat stat;
    if (!journal) return NULL;
    journal->trace_fd = -1;
    journal->path = strdup(path);
    journal->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool is_read = journal->path && journal->fd >= 0 && !fstat(journal->fd, &stat) && S_ISREG(stat.st_mode) &&
                   stat.st_uid == geteuid() && (size_t)stat.st_size >= records_at() &&
                   (!takes_lock || take_lock(journal->fd)) && map(journal, (size_t)stat.st_size, PROT_READ) &&
                   is_whole(journal);
    if (is_read) {
        journal->trace = (const char *)journal->head + trace_at(journal->head->count);
        return journal;
    }
    journal_drop(journal);
    return NULL;
}

bool journal_is_outdated(const char *path)
{
    struct journal_head head;
    struct stat stat;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    size_t known = offsetof(struct journal_head, version) + sizeof head.version;
    bool is_ours = !fstat(fd, &stat) && S_ISREG(stat.st_mode) && stat.st_uid == geteuid() && take_lock(fd);
    bool is_journal = is_ours && pread(fd, &head, known, 0) == (ssize_t)known && memcmp(head.magic, magic, sizeof magic) == 0;
    close(fd);
    return is_journal && head.version != VERSION;
}
