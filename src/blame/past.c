/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "blame/blame.h"

static bool is_ours(const struct journal_source *source, const struct journal_words *words)
{
    for (uint32_t i = 0; i < words->source_count; i++)
        if (!strcmp(source->stream, words->sources[i].stream) && !strcmp(source->group, words->sources[i].group)) return true;
    return false;
}

/* One queue in common is enough: a list of queues may have become longer or shorter since, and what is left over of another one is left
 * over no less. */
static bool is_same(const struct journal_head *head, const struct journal_words *words)
{
    if (strcmp(head->redis, words->redis) != 0) return false;
    for (uint32_t i = 0; i < head->source_count; i++)
        if (is_ours(&head->sources[i], words)) return true;
    return false;
}

static void settle(struct conn *conn, const struct journal *journal, struct log *log)
{
    struct blame_sums sums;
    quern_error why;
    if (blame_settle(conn, journal, NULL, &sums, &why)) {
        log_event(log, LOG_WARNING, "journal_left", LOG_TEXT("path", journal->path), LOG_TEXT("why", why.text),
                  LOG_TEXT("then", "it is read at the next start; leases that are over come back without it"));
        return;
    }
    blame_tell(log, journal->head->consumer, &sums);
    unlink(journal->path);
}

/* Whoever is gone with it: its jobs come back when their leases are over. */
static void drop(const char *path, struct log *log)
{
    unlink(path);
    log_event(log, LOG_WARNING, "journal_dropped", LOG_TEXT("path", path),
              LOG_TEXT("why", "another version of quern has written it"),
              LOG_TEXT("then", "what it held comes back when its leases are over, and none is blamed"));
}

void blame_past(struct conn *conn, const char *dir, const struct journal_words *words, struct log *log)
{
    DIR *list = opendir(dir);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char *path = NULL;
        if (!journal_is_orphan(entry->d_name) || asprintf(&path, "%s/%s", dir, entry->d_name) < 0) continue;
        struct journal *journal = journal_read(path, true);
        if (journal && is_same(journal->head, words)) settle(conn, journal, log);
        if (!journal && journal_is_outdated(path)) drop(path, log);
        journal_drop(journal);
        free(path);
    }
    if (list) closedir(list);
}
