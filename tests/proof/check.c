/* SPDX-License-Identifier: MIT */

/* proof/check: reads the histories of a campaign and what is left in Redis, and says whether the promises held.
 *
 *     check FOLDER              the verdict: exit status 0 they held, 1 they did not, 2 it could not be judged
 *     check FOLDER --job N      what happened to a job
 *
 * Never      shares code with the runtime. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/ask.h"
#include "proof/faults.h"
#include "proof/judge.h"
#include "proof/saying.h"

#define N(x) ((unsigned long long)(x))

struct sayings {
    uint64_t of[SAYINGS];
    uint64_t losses; /* told after the faults */
};

/* ── what is left in Redis ───────────────────────────────────────────────────────────────────────────────────────── */

static const char *behind(const char *text, const char *name)
{
    const char *at = text ? strstr(text, name) : NULL;
    return at ? at + strlen(name) : NULL;
}

static enum reason reason_of(const char *data)
{
    static const struct {
        const char *name;
        enum reason reason;
    } table[] = {{"retries_exhausted", REASON_RETRIES},
                 {"timeout", REASON_TIMEOUT},
                 {"rejected", REASON_REJECTED},
                 {"poison", REASON_POISON},
                 {"malformed", REASON_MALFORMED}};
    const char *at = behind(data, "\"reason\":");
    at += at && at[0] == ' ';
    for (size_t i = 0; at && i < sizeof table / sizeof *table; i++)
        if (!strncmp(at + 1, table[i].name, strlen(table[i].name))) return table[i].reason;
    return REASON_OTHER;
}

/* The number of the job that a letter is about. */
static uint32_t job_of(const char *data)
{
    const char *at = behind(data, "\"original_data\":");
    while (at && (*at == ' ' || *at == '"')) at++;
    return at && *at >= '0' && *at <= '9' ? (uint32_t)strtoul(at, NULL, 10) : NO_JOB;
}

static void note_letter(const struct said *letter, struct ending *endings, uint32_t job_count, struct findings *findings)
{
    const struct said *data = said_of(said_at(letter, 1), "data"), *retries = said_of(said_at(letter, 1), "retries");
    uint32_t job = job_of(data ? data->text : NULL);
    if (job >= job_count) {
        judge_wrong(findings, I2, "a dead letter is about no job of ours: %s", data && data->text ? data->text : "no data");
        return;
    }
    endings[job].letters++;
    endings[job].reason = (uint8_t)reason_of(data->text);
    endings[job].retries = (uint8_t)(retries ? atoi(retries->text) : 0);
}

/* false: Redis did not answer. */
static bool read_letters(struct asker *asker, struct ending *endings, uint32_t job_count, struct findings *findings)
{
    char from[64] = "-";
    for (;;) {
        const struct said *page = ask(asker, "XRANGE", PLAN_STREAM ":failed", from, "+", "COUNT", "500", (char *)NULL);
        if (!page || page->kind != '*') return false;
        if (!page->count) return true;
        for (size_t i = 0; i < page->count; i++) note_letter(&page->items[i], endings, job_count, findings);
        snprintf(from, sizeof from, "(%s", said_at(&page->items[page->count - 1], 0)->text);
    }
}

/* When all pools have stopped, what they needed for themselves is gone. */
static void check_keys(struct asker *asker, struct findings *findings)
{
    /* of the group's own: as long as it knows consumers that have died within the last ten leases */
    static const char *const may_stay[] = {"jobs",
                                           "jobs:failed",
                                           "jobs:mill:completed",
                                           "jobs:mill:settles",
                                           "jobs:mill:retry",
                                           "jobs:mill:reaper",
                                           "jobs:scheduled",
                                           "jobs:scheduled:jobs"};
    const struct said *keys = ask(asker, "KEYS", "*", (char *)NULL);
    for (size_t i = 0; keys && i < keys->count; i++) {
        const char *key = keys->items[i].text;
        bool is_known = !strncmp(key, "jobs:unique:", 12) || !strncmp(key, "jobs:published:", 15);
        for (size_t k = 0; k < sizeof may_stay / sizeof *may_stay; k++) is_known |= !strcmp(key, may_stay[k]);
        if (!is_known) judge_wrong(findings, I13, "the key %s is left over", key);
    }
}

/* ── what processes tell ─────────────────────────────────────────────────────────────────────────────────────────── */

/* I9: what one consumer is handed the first time comes in the order of the stream. */
static void check_order(const struct histories *histories, const struct process *process, struct findings *findings)
{
    const struct record *last = NULL;
    for (size_t i = 0; i < process->count; i++) {
        const struct record *record = &process->records[i];
        if (record->kind != RECORD_LEASED || record->lane || record->deliveries != 1) continue;
        bool is_behind = !last || record->entry_ms > last->entry_ms ||
                         (record->entry_ms == last->entry_ms && record->entry_seq > last->entry_seq);
        if (!is_behind && !load_is_destroyed_between(histories, process->records[0].at_ns, record->at_ns))
            judge_wrong(findings, I9, "%c%u.%u was handed %llu-%u behind %llu-%u", process->role, process->number,
                        process->instance, (unsigned long long)record->entry_ms, record->entry_seq,
                        (unsigned long long)last->entry_ms, last->entry_seq);
        last = record;
    }
}

/* I13: a pool that has nothing to do holds no more than when it began. */
static void check_resources(const struct plan *plan, const struct process *process, struct findings *findings)
{
    const struct record *ready = NULL;
    for (size_t i = 0; i < process->count; i++) {
        const struct record *record = &process->records[i];
        if (record->kind == RECORD_READY) ready = record;
        if (record->kind != RECORD_END || !ready) continue;
        /* a handler that has outstayed its time may still be inside, and its thread was replaced */
        bool has_grown = record->job > ready->job + 2 || record->entry_seq > ready->entry_seq + plan->threads + 1;
        if (has_grown)
            judge_wrong(findings, I13, "w%u.%u had %u descriptors and %u threads when it began, %u and %u when it ended",
                        process->number, process->instance, ready->job, ready->entry_seq, record->job, record->entry_seq);
    }
}

static void count_sayings(const struct histories *histories, const struct process *process, struct sayings *said)
{
    for (size_t r = 0; r < process->count; r++) {
        const struct record *record = &process->records[r];
        if (record->kind != RECORD_SAID || record->letter >= SAYINGS) continue;
        said->of[record->letter] += record->also;
        bool is_of_deletion = record->letter == SAYING_PENDING_DELETED || record->letter == SAYING_ENTRY_DELETED;
        if (is_of_deletion && histories->calm_ns && record->at_ns > histories->calm_ns) said->losses += record->also;
    }
}

static void check_processes(const struct histories *histories, struct findings *findings, struct sayings *said)
{
    uint64_t ended = 0; /* after the faults, by a job: what it had to say may be lost */
    for (size_t i = 0; i < histories->process_count; i++) {
        const struct process *process = &histories->processes[i];
        if (process->role != 'w') continue;
        check_order(histories, process, findings);
        bool is_of_the_end = process->count && histories->calm_ns && process->last_ns > histories->calm_ns;
        if (is_of_the_end) check_resources(histories->plan, process, findings);
        ended += is_of_the_end && load_has_crashed(process);
        count_sayings(histories, process, said);
    }
    bool is_silent =
        findings->vanished && !said->losses && !ended; /* how many cannot be compared: a log holds back what it repeats */
    if (!is_silent) return;
    judge_wrong(findings, I12,
                "%llu jobs were deleted while they were pending, and nothing was said; the last of them is job %u",
                N(findings->vanished), findings->vanished_last);
    judge_tell(histories, findings->vanished_last);
}

/* I14: what must have happened for the rest to say anything. */
static void check_rare(const struct histories *histories, struct findings *findings, const struct sayings *said)
{
    static const char letters[] = "abdlrg?";
    if (!histories->plan->is_whole) return;
    for (unsigned i = 0; i < FAULTS; i++)
        if (!histories->faults[i]) judge_wrong(findings, I14, "never thrown: %s", fault_names[i]);
    for (unsigned i = 0; i < SAYINGS; i++)
        if (!said->of[i]) judge_wrong(findings, I14, "never said: %s", sayings[i]);
    for (const char *letter = letters; *letter; letter++)
        if (!findings->answers[(unsigned char)*letter]) judge_wrong(findings, I14, "never answered: %c", *letter);
}

/* ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void tell_times(const char *what, uint64_t *list, size_t count)
{
    if (!count) return;
    qsort(list, count, sizeof *list, compare_times);
    printf("%s: %zu jobs, p50 %.0f ms, p99 %.0f ms, max %.0f ms\n", what, count, (double)list[count / 2] / 1e6,
           (double)list[count * 99 / 100] / 1e6, (double)list[count - 1] / 1e6);
}

static void tell_faults(const struct histories *histories)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < FAULTS; i++) all += histories->faults[i];
    printf("faults: %llu", N(all));
    for (unsigned i = 0; i < FAULTS; i++)
        if (histories->faults[i]) printf(", %s %llu", fault_names[i], N(histories->faults[i]));
    printf("\n");
}

static void tell_jobs(const struct findings *found)
{
    printf("jobs: %llu published, %llu perhaps, %llu not; %llu done, %llu dead, %llu deleted on purpose\n", N(found->published),
           N(found->uncertain), N(found->never_published), N(found->done), N(found->dead), N(found->excused));
    printf("runs: %llu; taken again after a move %llu, a crash %llu, a lapse %llu, a deletion %llu; most leases of a job %u, "
           "starts %u\n",
           N(found->starts), N(found->again_by_move), N(found->again_by_crash), N(found->again_by_lapse),
           N(found->again_by_deletion), found->most_deliveries, found->most_starts);
    printf("dead: %llu retries, %llu rejected, %llu poison, %llu malformed\n", N(found->exhausted), N(found->rejected),
           N(found->poisoned), N(found->malformed));
    printf("refused: %llu settles, %llu renewals of late owners; %llu ambiguous, %llu duplicates told\n", N(found->refused),
           N(found->refused_renewals), N(found->ambiguous), N(found->duplicates));
}

static void tell_rare(const struct findings *found, const struct sayings *said)
{
    printf("answers:");
    for (unsigned i = ' '; i < 128; i++)
        if (found->answers[i]) printf(" %c %llu", (char)i, N(found->answers[i]));
    printf("\nsaid:");
    for (unsigned i = 0; i < SAYINGS; i++) printf(" %s %llu", sayings[i], N(said->of[i]));
    printf("\n");
}

static int tell_verdict(const struct findings *found)
{
    static const char *const texts[INVARIANTS] = {
        "",
        "no job is lost",
        "what is unknown is there once or not at all",
        "what is done was run, what is dead is so for its reason",
        "one settle each",
        "a late owner changes nothing",
        "what runs again does so for a reason",
        "bounds",
        "one key, one job",
        "first deliveries in order",
        "nothing before its time",
        "nothing is trimmed that a group needs",
        "what is deleted is said",
        "nothing is left over",
        "rare things were reached",
    };
    uint64_t all = 0;
    for (int i = I1; i < INVARIANTS; i++) {
        all += found->violations[i];
        if (found->violations[i]) printf("I%d %s: BROKEN %llu times\n", i, texts[i], N(found->violations[i]));
    }
    if (!all) printf("I1 to I14 hold\n");
    return all ? 1 : 0;
}

static int judge_all(struct histories *histories, struct asker *asker, struct ending *endings)
{
    struct findings found = {0};
    struct sayings said = {0};
    if (!read_letters(asker, endings, histories->job_count, &found))
        return fprintf(stderr, "check: Redis does not answer\n"), 2;
    if (!histories->drained_ns) judge_wrong(&found, I7, "without faults it was not worked off in time");
    for (uint32_t job = 0; job < histories->job_count; job++) judge_job(histories, job, &endings[job], &found);
    check_processes(histories, &found, &said);
    check_rare(histories, &found, &said);
    if (histories->drained_ns) check_keys(asker, &found);
    tell_faults(histories);
    tell_jobs(&found);
    tell_rare(&found, &said);
    tell_times("back after a process has ended", found.recoveries_ns, found.recovery_count);
    tell_times("the same, no other fault near", found.quiet_ns, found.quiet_count);
    free(found.recoveries_ns);
    free(found.quiet_ns);
    return tell_verdict(&found);
}

int main(int argc, char **argv)
{
    struct histories histories;
    struct asker asker;
    char path[200];
    int status = 2;
    if (argc != 2 && (argc != 4 || strcmp(argv[2], "--job"))) return fprintf(stderr, "usage: check FOLDER [--job N]\n"), 2;
    if (!load(&histories, argv[1])) return 2;
    if (argc == 4) judge_tell(&histories, (uint32_t)atoi(argv[3]));
    snprintf(path, sizeof path, "%s/redis", argv[1]);
    asker_open(&asker, path, 20);
    struct ending *endings = argc == 2 ? calloc(histories.job_count + 1, sizeof *endings) : NULL;
    if (endings) status = judge_all(&histories, &asker, endings);
    free(endings);
    asker_close(&asker);
    unload(&histories);
    return argc == 4 ? 0 : status;
}
