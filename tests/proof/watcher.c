/* SPDX-License-Identifier: MIT */

/* proof/watcher: another group on the same stream, which is no pool: it notes each job that it is handed. What the mill's group
 * does to the stream (trims, retries, dead letters) must not take anything from it.
 *
 *     watcher FOLDER NUMBER INSTANCE
 *
 * Idea       read, note, acknowledge, in that order; reads what it had not acknowledged first. It is slow now and then, so that
 *            there is something to be trimmed too early.
 * Threads    one. Ends by SIGTERM, when there is nothing left to read. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "proof/ask.h"
#include "proof/history.h"
#include "proof/plan.h"

enum { AT_ONCE = 400 };

static volatile sig_atomic_t is_asked_to_end;

static void end(int signal)
{
    (void)signal;
    is_asked_to_end = 1;
}

static void pause_us(long us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

static uint32_t number_of(const struct said *entry)
{
    const struct said *data = said_of(said_at(entry, 1), "data");
    return data && data->text ? (uint32_t)strtoul(data->text, NULL, 10) : NO_JOB;
}

/* Notes the entries of an answer; words: an XACK of them. */
static size_t note(const struct said *entries, const char **words, char ids[AT_ONCE][48])
{
    struct record records[AT_ONCE];
    size_t count = 0;
    for (size_t i = 0; entries && i < entries->count && count < AT_ONCE; i++, count++) {
        const struct said *entry = &entries->items[i];
        records[count] = (struct record){.kind = RECORD_SEEN, .job = number_of(entry)};
        snprintf(ids[count], 48, "%s", said_at(entry, 0)->text);
        words[3 + count] = ids[count];
    }
    history_write(records, count);
    return count;
}

/* How many there were; -1: the server or the group is away. */
static int read_some(struct asker *asker, const char *from)
{
    static char ids[AT_ONCE][48];
    const char *words[3 + AT_ONCE] = {"XACK", PLAN_STREAM, PLAN_WATCHER};
    const struct said *answer =
        ask(asker, "XREADGROUP", "GROUP", PLAN_WATCHER, "w", "COUNT", "400", "STREAMS", PLAN_STREAM, from, (char *)NULL);
    if (!answer || answer->kind == '-') return -1;
    if (answer->kind == '_') return 0;
    size_t count = note(said_at(said_at(answer, 0), 1), words, ids);
    if (count && !ask_words(asker, 3 + count, words)) return -1;
    return (int)count;
}

int main(int argc, char **argv)
{
    char path[104];
    struct asker asker;
    struct plan *plan;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, end);
    if (argc != 4 || !(plan = plan_map(argv[1], false)) || !history_open(argv[1], 'o', 0, 0))
        return fprintf(stderr, "watcher FOLDER NUMBER INSTANCE\n"), 2;
    snprintf(path, sizeof path, "%s/redis", argv[1]);
    asker_open(&asker, path, 5);
    for (unsigned turn = 0;; turn++) {
        int had = read_some(&asker, "0"), came = read_some(&asker, ">");
        if (had < 0 || came < 0) {
            ask(&asker, "XGROUP", "CREATE", PLAN_STREAM, PLAN_WATCHER, "0", "MKSTREAM", (char *)NULL);
            pause_us(5000);
        } else if (!had && !came && is_asked_to_end) {
            break;
        }
        if (came < AT_ONCE) pause_us(5000);
        if (!plan->is_calm && plan_mix(plan->seed + 6, turn) % 200 == 0) pause_us(400000);
    }
    HISTORY(.kind = RECORD_END);
    asker_close(&asker);
    return 0;
}
