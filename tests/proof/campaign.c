/* SPDX-License-Identifier: MIT */

/* proof/campaign: a queue at work under faults that overlap, then without, until nothing is left; then its histories are judged.
 *
 *     campaign --seed N --minutes M       and what --help says
 *
 * Idea       pools, publishers, another group, a proxy and the server are processes of their own; this one starts them, ends
 *            them as roughly as the dice say, and starts them again at once. What it does it writes into a history of its own,
 *            like everybody. Same seed, same dice and same jobs; when what happens is the machine's.
 * Threads    one.
 * Never      ends a process that it has not started, and leaves none behind: they die with it. */
#include "proof/campaign.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "proof/children.h"
#include "proof/history.h"
#include "proof/thrower.h"

struct settings settings;
struct plan *plan;
struct asker asker;
char folder[100];

void campaign_fail(const char *what)
{
    fprintf(stderr, "campaign: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

uint64_t campaign_dice(uint64_t sides)
{
    static uint64_t thrown;
    return plan_mix(plan->seed + 100, thrown++) % sides;
}

void campaign_rest_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL);
}

/* ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct said *group_of(const struct said *groups, const char *name)
{
    for (size_t i = 0; groups && i < groups->count; i++) {
        const struct said *its = said_of(&groups->items[i], "name");
        if (its && its->text && !strcmp(its->text, name)) return &groups->items[i];
    }
    return NULL;
}

/* Feeders wait while the mill has enough. */
static void keep_level(void)
{
    const struct said *group = group_of(ask(&asker, "XINFO", "GROUPS", PLAN_STREAM, NULL), PLAN_GROUP),
                      *lag = said_of(group, "lag");
    bool is_full = lag && lag->kind == ':' && lag->number > 6000;
    if (!is_full) is_full = ask_number(&asker, "XLEN", PLAN_STREAM) > 60000;
    plan->is_full = is_full;
}

/* Has the group taken, and ended, all there is? */
static bool is_done(const char *name)
{
    char last[64] = "";
    const struct said *newest = said_at(ask(&asker, "XREVRANGE", PLAN_STREAM, "+", "-", "COUNT", "1", NULL), 0);
    if (newest) snprintf(last, sizeof last, "%s", said_at(newest, 0)->text);
    const struct said *group = group_of(ask(&asker, "XINFO", "GROUPS", PLAN_STREAM, NULL), name);
    const struct said *pending = said_of(group, "pending"), *delivered = said_of(group, "last-delivered-id"),
                      *lag = said_of(group, "lag");
    if (!group) return !*last;
    bool is_read = !*last || (lag && lag->kind == ':' && lag->number == 0) || !strcmp(delivered->text, last);
    return pending->number == 0 && is_read;
}

static bool is_drained(void)
{
    return ask_number(&asker, "XLEN", PLAN_STREAM ":" PLAN_GROUP ":retry") <= 0 &&
           ask_number(&asker, "XLEN", PLAN_STREAM ":" PLAN_GROUP ":alone") <= 0 &&
           ask_number(&asker, "ZCARD", PLAN_STREAM ":" PLAN_GROUP ":delayed") <= 0 &&
           ask_number(&asker, "ZCARD", PLAN_STREAM ":scheduled") <= 0 && is_done(PLAN_GROUP);
}

static void storm(void)
{
    uint64_t end_ns = history_now_ns() + settings.lasts_ms * MS, next_ns = history_now_ns() + 500 * MS, level_ns = 0;
    while (history_now_ns() < end_ns) {
        uint64_t now_ns = history_now_ns();
        children_see();
        thrower_end(false);
        if (now_ns >= level_ns) {
            keep_level();
            level_ns = now_ns + 50 * MS;
        }
        if (now_ns >= next_ns && settings.per_s > 0) {
            next_ns = now_ns + campaign_dice((uint64_t)(2e9 / settings.per_s));
            thrower_throw();
        }
        campaign_rest_ms(2);
    }
}

/* No more faults: what is there is to be worked off in time. false: it was not. */
static bool calm(void)
{
    plan->is_calm = true;
    thrower_end(true);
    children_wait_for_server();
    ask(&asker, "CONFIG", "SET", "maxmemory", "0", NULL);
    HISTORY(.kind = RECORD_CALM);
    plan->is_full = false;
    thrower_delete(20); /* while no process is ended that would have said it */
    plan->is_fed = true;
    uint64_t until_ns = history_now_ns() + settings.drain_ms * MS;
    bool is_fed = children_end('f', settings.drain_ms);
    unsigned looks = 0;
    while (looks < 3 && history_now_ns() < until_ns) {
        looks = is_drained() ? looks + 1 : 0;
        children_see();
        campaign_rest_ms(20);
    }
    if (looks < 3 || !is_fed) return false;
    HISTORY(.kind = RECORD_DRAINED);
    return true;
}

/* ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void make_folder(const struct plan *made)
{
    char path[200];
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/quern-proof-XXXXXX", tmp && strlen(tmp) < 60 ? tmp : "/tmp");
    if (!mkdtemp(folder)) campaign_fail("no folder");
    static const char *const parts[] = {"history", "journals", "output"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
        if (mkdir(path, 0700)) campaign_fail(path);
    }
    plan = plan_map(folder, true);
    if (!plan || !history_open(folder, 'c', 0, 0)) campaign_fail("no plan");
    memcpy(plan, made, sizeof *made);
    snprintf(path, sizeof path, "%s/redis", folder);
    asker_open(&asker, path, 5);
}

static void start_all(void)
{
    children_add('s', 0);
    children_wait_for_server();
    ask(&asker, "XGROUP", "CREATE", PLAN_STREAM, PLAN_GROUP, "0", "MKSTREAM", NULL);
    ask(&asker, "XGROUP", "CREATE", PLAN_STREAM, PLAN_WATCHER, "0", "MKSTREAM", NULL);
    children_add('p', 0);
    children_add('o', 0);
    for (unsigned i = 0; i < plan->workers; i++) children_add('w', i);
    for (unsigned i = 0; i < plan->feeders; i++) children_add('f', i);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    struct plan made;
    setvbuf(stdout, NULL, _IOLBF, 0);
    options_read(argc, argv, &made);
    children_find_programs();
    make_folder(&made);
    printf("campaign: seed %llu, %.1f s, folder %s\n", (unsigned long long)plan->seed, (double)settings.lasts_ms / 1000,
           folder);
    start_all();
    storm();
    bool is_in_time = calm();
    bool have_ended = children_end('w', 15000) & children_end('o', 15000);
    if (!is_in_time) printf("campaign: not worked off within %.0f s without faults\n", (double)settings.drain_ms / 1000);
    if (!have_ended) printf("campaign: some processes did not stop\n");
    bool is_good = children_judge() == 0 && is_in_time && have_ended && !children_had_surprise();
    children_kill_all();
    asker_close(&asker);
    printf("campaign: seed %llu: %s\n", (unsigned long long)plan->seed, is_good ? "proven" : "REFUTED");
    if (is_good && !settings.keeps)
        nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    else
        printf("campaign: what happened lies in %s\n", folder);
    return is_good ? 0 : 1;
}
