/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "blame/blame.h"
#include "blame/hook.h"
#include "pool/leave.h"
#include "pool/pool.h"

static void say_without(quern_pool *pool, const char *why)
{
    log_event(pool->log, LOG_WARNING, "no_journal", LOG_TEXT("why", why),
              LOG_TEXT("then", "after a crash jobs come back when their leases are over, and none is blamed"));
}

static void open_journal(quern_pool *pool, const struct journal_words *words)
{
    const quern_config *config = pool->config;
    quern_error why;
    pool->journal = journal_open(config->journal_dir, config->journal_path, words, slots_count(pool->slots), &why);
    if (!pool->journal) say_without(pool, why.text);
}

void pool_leaves(quern_pool *pool)
{
    journal_leaves(pool->journal);
}

void past_settle(quern_pool *pool)
{
    const quern_config *config = pool->config;
    const struct journal_words words = {pool->url.shown, pool->consumer, pool->sources, pool->source_count,
                                        config->on_max_deliveries == ON_MAX_ALONE ? (uint32_t)config->max_deliveries : 0};
    if (config->crash_hook) hook_install();
    if (config->journal_dir && mkdir(config->journal_dir, 0700) && errno != EEXIST) {
        say_without(pool, strerror(errno));
        return;
    }
    if (config->journal_dir) /* the reaper, whose counter it is, has not begun */
        counter_add(&pool->reaper_counters.deleted,
                    blame_past(pool->conns[CONN_SETTLER], config->journal_dir, &words, pool->log));
    if (config->journal_dir || config->journal_path) open_journal(pool, &words);
}
