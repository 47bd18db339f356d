/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "blame/blame.h"

static uint32_t settle(struct conn *conn, const struct journal *journal, struct log *log)
{
    struct blame_sums sums = {0};
    quern_error why;
    if (blame_settle(conn, journal, NULL, &sums, &why)) {
        log_event(log, LOG_WARNING, "journal_left", LOG_TEXT("path", journal->path), LOG_TEXT("why", why.text),
                  LOG_TEXT("then", "it is read at the next start; leases that are over come back without it"));
        blame_tell_deleted(log, journal->head->consumer, &sums);
        return sums.deleted;
    }
    blame_tell(log, journal->head->consumer, &sums);
    unlink(journal->path);
    return sums.deleted;
}

/* Whoever is gone with it: its jobs come back when their leases are over. */
static void drop(const char *path, struct log *log)
{
    unlink(path);
    log_event(log, LOG_WARNING, "journal_dropped", LOG_TEXT("path", path),
              LOG_TEXT("why", "another version of quern has written it"),
              LOG_TEXT("then", "what it held comes back when its leases are over, and none is blamed"));
}

uint32_t blame_past(struct conn *conn, const char *dir, const struct journal_words *words, struct log *log)
{
    uint32_t deleted = 0;
    DIR *list = opendir(dir);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char *path = NULL;
        if (!journal_is_orphan(entry->d_name) || asprintf(&path, "%s/%s", dir, entry->d_name) < 0) continue;
        struct journal *journal = journal_read(path, true);
        if (journal && journal_is_of(journal, words)) deleted += settle(conn, journal, log);
        if (!journal && journal_is_outdated(path)) drop(path, log);
        journal_drop(journal);
        free(path);
    }
    if (list) closedir(list);
    return deleted;
}
