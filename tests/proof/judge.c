/* SPDX-License-Identifier: MIT */
#include "proof/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASES_MAX = 512, SHOWN_MAX = 2, TOLERANCE_MS = 3 };
static const uint64_t ms = 1000000;

/* One lease, as far as its owner knows it. */
struct lease {
    const struct process *process;
    const struct record *taken;
    uint64_t granted_ns;                                     /* at the earliest; grows with each renewal that was answered */
    uint64_t started_ns, finished_ns, asked_ns, answered_ns; /* 0: never */
    uint64_t renew_asked_ns;
    uint64_t grants[64]; /* when each of the last renewals, that were kept, was asked */
    unsigned grant_count;
    unsigned starts;
    uint8_t verdict, action, answer; /* letters; 0: none */
    bool is_doubtful;                /* a plain acknowledgement was asked for once more */
    bool is_spent;                   /* it explains a later lease */
};

struct life {
    const struct histories *histories;
    struct findings *findings;
    uint32_t job;
    struct lease leases[LEASES_MAX];
    unsigned lease_count;
    bool is_published, is_asked, is_uncertain, is_denied, is_seen, is_deleted, is_disturbed, has_vanished;
    uint64_t id, due_ms;
    unsigned accepted, maybe; /* terminal settles without a letter: certain, and possible */
};

/* ── saying ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

void judge_wrong(struct findings *findings, enum invariant which, const char *format, ...)
{
    va_list more;
    if (findings->violations[which]++ >= SHOWN_MAX) return;
    printf("WRONG I%d: ", (int)which);
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
    printf("\n");
}

void judge_tell(const struct histories *histories, uint32_t job)
{
    static const char *const kinds[] = {
        "",       "begin", "ready",  "end",     "publish", "published", "due",     "unpublished", "uncertain",
        "leased", "start", "finish", "settle",  "settled", "renew",     "renewed", "said",        "point",
        "spawn",  "death", "fault",  "deleted", "calm",    "drained",   "seen"};
    for (size_t i = histories->first[job]; i < histories->first[job + 1]; i++) {
        const struct event *event = &histories->events[i];
        const struct record *record = event->record;
        bool is_like_last = i > histories->first[job] && (record->kind == RECORD_RENEW || record->kind == RECORD_RENEWED) &&
                            record->letter != 'l' && event[-1].record->kind >= RECORD_RENEW &&
                            event[-1].record->kind <= RECORD_RENEWED;
        if (is_like_last) continue; /* many of a kind */
        printf("    %14.6f %c%u.%u %-11s %c lane %u entry %llu-%u deliveries %u/%u retries %u\n", (double)record->at_ns / 1e9,
               event->process->role, event->process->number, event->process->instance, kinds[record->kind],
               record->letter >= ' ' ? record->letter : ' ', record->lane, (unsigned long long)record->entry_ms,
               record->entry_seq, record->deliveries, record->total, record->retries);
    }
}

static void wrong(struct life *life, enum invariant which, const char *what)
{
    bool is_shown = life->findings->violations[which] < SHOWN_MAX;
    judge_wrong(life->findings, which, "job %u: %s", life->job, what);
    if (is_shown) judge_tell(life->histories, life->job);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The lease that a record is about: of the same process and entry, the last one. */
static struct lease *lease_of(struct life *life, const struct event *event)
{
    for (unsigned i = life->lease_count; i-- > 0;) {
        struct lease *lease = &life->leases[i];
        if (lease->process == event->process && lease->taken->lane == event->record->lane &&
            lease->taken->entry_ms == event->record->entry_ms && lease->taken->entry_seq == event->record->entry_seq)
            return lease;
    }
    return NULL;
}

static void see_lease(struct life *life, const struct event *event)
{
    if (life->lease_count == LEASES_MAX) return;
    life->leases[life->lease_count++] =
        (struct lease){.process = event->process, .taken = event->record, .granted_ns = event->record->also};
}

static bool is_of_done(uint8_t action)
{
    return action == 'a' || action == 'd';
}

/* A plain acknowledgement that is asked for once more, by a script: which of its batch were still pending may be beyond knowing. */
static void see_settle(struct lease *lease, const struct record *record)
{
    lease->is_doubtful |= lease->action == 'a' && record->letter == 'd';
    if (lease->is_doubtful) return;
    if (!lease->asked_ns || lease->action != record->letter) lease->asked_ns = record->at_ns;
    lease->action = record->letter;
}

static void see_settled(struct life *life, struct lease *lease, const struct record *record)
{
    struct findings *findings = life->findings;
    lease->answer = lease->is_doubtful ? '?' : record->letter;
    lease->answered_ns = record->at_ns;
    findings->answers[record->letter & 127]++;
    if (lease->answer == 'd') life->accepted++;
    if (lease->answer == '?' || lease->answer == 'a') life->maybe++;
    if (record->letter == 'l') findings->refused++;
    if (record->letter == 'a') findings->ambiguous++;
}

static void see_renewed(struct life *life, struct lease *lease, const struct record *record)
{
    if (record->letter == 'l') life->findings->refused_renewals++;
    if (record->letter != 'k') return;
    lease->grants[lease->grant_count++ % 64] = lease->renew_asked_ns;
}

/* What a worker did under a lease. */
static void see_deed(struct life *life, const struct event *event)
{
    const struct record *record = event->record;
    struct lease *lease = lease_of(life, event);
    if (!lease) {
        if (record->kind == RECORD_START) wrong(life, I6, "it was run under no lease");
        return;
    }
    switch (record->kind) {
    case RECORD_START:
        lease->starts++;
        lease->started_ns = record->at_ns;
        break;
    case RECORD_FINISH:
        lease->finished_ns = record->at_ns;
        lease->verdict = record->letter;
        break;
    case RECORD_SETTLE:
        see_settle(lease, record);
        break;
    case RECORD_SETTLED:
        see_settled(life, lease, record);
        break;
    case RECORD_RENEW:
        lease->renew_asked_ns = record->at_ns;
        break;
    case RECORD_RENEWED:
        see_renewed(life, lease, record);
        break;
    default:
        break;
    }
}

static void see_published(struct life *life, const struct record *record)
{
    if (life->id && life->id != record->also) wrong(life, I8, "two publications of one key were told different jobs");
    life->id = record->also;
    life->is_published = true;
    life->findings->duplicates += record->letter == 'd';
}

static void see(struct life *life, const struct event *event)
{
    const struct record *record = event->record;
    switch (record->kind) {
    case RECORD_PUBLISH:
        life->is_asked = true;
        life->is_denied = false;
        break;
    case RECORD_PUBLISHED:
        see_published(life, record);
        break;
    case RECORD_UNPUBLISHED:
        life->is_denied = true;
        break;
    case RECORD_UNCERTAIN:
        life->is_uncertain = true;
        break;
    case RECORD_DUE:
        if (!life->due_ms) life->due_ms = record->entry_ms;
        break;
    case RECORD_LEASED:
        see_lease(life, event);
        break;
    case RECORD_SEEN:
        life->is_seen = true;
        break;
    case RECORD_DELETED:
        life->is_deleted = true;
        life->has_vanished |= record->letter == 'p' && record->at_ns > life->histories->calm_ns && life->histories->calm_ns;
        break;
    default:
        see_deed(life, event);
    }
}

/* Leases in the order in which Redis gave them, which is not that in which their answers came: the entry that a job was moved to
 * is younger than that which it was moved from, and of one entry the deliveries are counted. */
static int compare_leases(const void *left, const void *right)
{
    const struct record *a = ((const struct lease *)left)->taken, *b = ((const struct lease *)right)->taken;
    if (a->entry_ms != b->entry_ms) return a->entry_ms < b->entry_ms ? -1 : 1;
    if (a->lane != b->lane) return a->lane < b->lane ? -1 : 1;
    if (a->entry_seq != b->entry_seq) return a->entry_seq < b->entry_seq ? -1 : 1;
    if (a->deliveries != b->deliveries) return a->deliveries < b->deliveries ? -1 : 1;
    return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

/* ── I6: why was it taken again? ─────────────────────────────────────────────────────────────────────────────────── */

/* The last time before then that the lease was certainly ours, at the earliest. */
static uint64_t granted_before(const struct lease *lease, uint64_t at_ns)
{
    uint64_t granted_ns = lease->granted_ns;
    unsigned known = lease->grant_count < 64 ? lease->grant_count : 64;
    for (unsigned i = 0; i < known; i++)
        if (lease->grants[i] > granted_ns && lease->grants[i] < at_ns) granted_ns = lease->grants[i];
    return granted_ns;
}

static bool has_ended_it(const struct lease *lease)
{
    return lease->answer == 'd' || lease->answer == 'b';
}

static bool has_moved(const struct lease *lease, uint64_t by_ns)
{
    bool is_move = lease->action == 'r' || lease->action == 'g';
    return is_move && lease->asked_ns < by_ns && (lease->answer == 'r' || lease->answer == 'g' || !lease->answer);
}

/* Does the earlier lease explain that the job was taken again at that time? */
static bool explains(const struct life *life, const struct lease *earlier, uint64_t at_ns, struct findings *counts)
{
    uint64_t lease_ns = life->histories->plan->lease_ms * ms;
    if (has_moved(earlier, at_ns)) return counts->again_by_move++, true;
    if (has_ended_it(earlier) || earlier->answer == 'r') return false;
    if (load_has_crashed(earlier->process) && earlier->process->last_ns < at_ns) return counts->again_by_crash++, true;
    bool is_disturbed = life->histories->fault_count > 0; /* without any fault nobody lets a lease run out */
    if (is_disturbed && at_ns + TOLERANCE_MS * ms >= granted_before(earlier, at_ns) + lease_ns)
        return counts->again_by_lapse++, true;
    return earlier->answer == 'e';
}

static void judge_repetition(struct life *life, unsigned at)
{
    struct lease *later = &life->leases[at];
    for (unsigned i = at; i-- > 0;) {
        struct lease *earlier = &life->leases[i];
        if (earlier->is_spent || !explains(life, earlier, later->taken->at_ns, life->findings)) continue;
        earlier->is_spent = true;
        return;
    }
    if (life->is_disturbed) {
        life->findings->again_by_deletion++;
        return;
    }
    wrong(life, I6, "it was taken once more, and nobody had let go of it");
}

/* ── I5: did a late owner change anything? ───────────────────────────────────────────────────────────────────────── */

static void judge_lateness(struct life *life, unsigned at)
{
    const struct lease *late = &life->leases[at];
    bool is_fenced = late->action && late->action != 'a', was_accepted = strchr("drb", late->answer) && late->answer;
    for (unsigned i = at + 1; i < life->lease_count; i++) {
        uint64_t taken_ns = life->leases[i].taken->at_ns;
        if (is_fenced && was_accepted && taken_ns < late->asked_ns) {
            wrong(life, I5, "who had lost its lease has settled it");
            return;
        }
        for (unsigned g = 0; g < late->grant_count && g < 64; g++)
            if (taken_ns < late->grants[g]) {
                wrong(life, I5, "who had lost its lease has renewed it");
                return;
            }
    }
}

/* ── I3, I10: runs ───────────────────────────────────────────────────────────────────────────────────────────────── */

static void judge_run(struct life *life, unsigned at)
{
    const struct lease *lease = &life->leases[at];
    const struct plan *plan = life->histories->plan;
    if (lease->starts > 1) wrong(life, I6, "it was started twice under one lease");
    if (lease->started_ns && life->due_ms &&
        (lease->started_ns + lease->process->unix_ns) / ms + 1 + TOLERANCE_MS < life->due_ms)
        wrong(life, I10, "it was started before it was due");
    if (is_of_done(lease->action) && lease->asked_ns && (lease->verdict != 'd' || lease->finished_ns > lease->asked_ns))
        wrong(life, I3, "it was acknowledged, and no handler had finished it");
    if (lease->taken->retries > plan->retry_limit) wrong(life, I7, "it was tried again more often than retry_limit says");
    if (lease->action != 'r' || lease->answer != 'r' || lease->process->role != 'w') return;
    uint64_t least_ns = (plan->retry_base_ms * ms << lease->taken->retries) / 2;
    for (unsigned i = at + 1; i < life->lease_count; i++)
        if (life->leases[i].taken->retries == lease->taken->retries + 1 && !life->is_disturbed &&
            life->leases[i].taken->at_ns + TOLERANCE_MS * ms < lease->asked_ns + least_ns)
            wrong(life, I10, "it was tried again before its wait was over");
}

/* ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* It ran when its process ended, and may be what ended it: it has by its nature, or nothing ran beside it. */
static bool is_crash(const struct life *life, const struct lease *lease)
{
    enum nature nature = plan_nature(life->histories->plan, life->job);
    bool is_suspect =
        nature == NATURE_BREAKER || nature == NATURE_POISON || lease->taken->lane == 2 || lease->process->running <= 1;
    return is_suspect && lease->started_ns && load_has_crashed(lease->process) && !lease->answer;
}

/* Has it ended as many processes as it must have to be dead for it? A start with nothing else beside it is counted before it is
 * made, and taken back by its outcome: so one whose owner let the lease run out counts, too, once there was a crash at all. */
static bool is_to_blame(const struct life *life)
{
    unsigned starts = 0, crashes = 0, silences = 0;
    for (unsigned i = 0; i < life->lease_count; i++) {
        const struct lease *lease = &life->leases[i];
        bool has_crashed = is_crash(life, lease);
        starts += lease->started_ns && load_has_crashed(lease->process);
        crashes += has_crashed;
        silences += !has_crashed && lease->taken->lane == 2 && (!lease->answer || lease->answer == 'l');
    }
    return starts && crashes + silences >= life->histories->plan->max_crashes;
}

static bool has_verdict(const struct life *life, uint8_t verdict)
{
    for (unsigned i = 0; i < life->lease_count; i++)
        if (life->leases[i].verdict == verdict) return true;
    return false;
}

/* Was it started at each of its attempts? */
static bool has_tried_all(const struct life *life)
{
    for (unsigned retries = 0; retries <= life->histories->plan->retry_limit; retries++) {
        bool is_tried = false;
        for (unsigned i = 0; i < life->lease_count; i++)
            is_tried |= life->leases[i].started_ns && life->leases[i].taken->retries == retries;
        if (!is_tried) return false;
    }
    return true;
}

static void judge_letter(struct life *life, const struct ending *ending)
{
    const struct plan *plan = life->histories->plan;
    struct findings *findings = life->findings;
    switch ((enum reason)ending->reason) {
    case REASON_RETRIES:
    case REASON_TIMEOUT:
        findings->exhausted++;
        if (ending->retries != plan->retry_limit)
            wrong(life, I3, "it is dead of too many attempts, and was not tried so often");
        if (!has_tried_all(life) && !life->is_disturbed)
            wrong(life, I3, "it is dead of too many attempts, of which some were not made");
        break;
    case REASON_REJECTED:
        findings->rejected++;
        if (!has_verdict(life, 'x')) wrong(life, I3, "it is dead (rejected), and no handler has said so");
        break;
    case REASON_POISON:
        findings->poisoned++;
        if (!is_to_blame(life)) wrong(life, I3, "it is dead (poison), and has not ended so many processes");
        break;
    case REASON_MALFORMED:
        findings->malformed++;
        if (plan_nature(plan, life->job) != NATURE_GARBLED) wrong(life, I3, "it is dead (malformed), and was well-formed");
        break;
    default:
        wrong(life, I3, "it is dead for a reason that there was none for");
    }
}

/* A settle that was asked for and never answered may have been made. */
static bool may_be_done(const struct life *life)
{
    if (life->accepted || life->maybe) return true;
    for (unsigned i = 0; i < life->lease_count; i++) {
        const struct lease *lease = &life->leases[i];
        if (!is_of_done(lease->action)) continue;
        if (!lease->answer || lease->answer == 'g') return true;
        /* in a private stream what is done and pending for nobody is deleted, and told as lost */
        if (lease->answer == 'l' && lease->taken->lane && life->is_disturbed) return true;
    }
    return false;
}

static void judge_end(struct life *life, const struct ending *ending)
{
    struct findings *findings = life->findings;
    bool is_ended = ending->letters || may_be_done(life);
    if (!life->is_asked) {
        if (life->lease_count || ending->letters) wrong(life, I2, "it was never published, and is there");
        return;
    }
    findings->published += life->is_published;
    findings->uncertain += !life->is_published && !life->is_denied;
    findings->never_published += !life->is_published && life->is_denied;
    findings->done += life->accepted > 0 || (!ending->letters && is_ended);
    findings->dead += ending->letters > 0;
    findings->excused += life->is_published && !is_ended && life->is_deleted;
    if (life->has_vanished && !is_ended) {
        findings->vanished++;
        findings->vanished_last = life->job;
    }
    if (life->is_denied && !life->is_published && !life->is_uncertain && life->lease_count)
        wrong(life, I2, "its publisher was told that it is not there, and it is");
    if (life->is_published && !is_ended && !life->is_deleted) wrong(life, I1, "it was lost");
    if (!life->is_published && life->lease_count && !is_ended && !life->is_deleted)
        wrong(life, I1, "it was there, and was lost");
    if (life->is_disturbed) return;
    if (life->accepted > 1) wrong(life, I4, "it was settled as done more than once");
    if (ending->letters > 1) wrong(life, I4, "it has more than one dead letter");
    if (life->accepted && ending->letters) wrong(life, I4, "it was settled as done, and is dead");
}

/* ── how soon it came back ───────────────────────────────────────────────────────────────────────────────────────── */

static void keep(uint64_t **list, size_t *count, size_t *size, uint64_t value)
{
    if (*count == *size) {
        uint64_t *more = realloc(*list, (*size * 2 + 1024) * sizeof **list);
        if (!more) return;
        *list = more;
        *size = *size * 2 + 1024;
    }
    (*list)[(*count)++] = value;
}

/* Was another fault thrown between? */
static bool is_quiet(const struct histories *histories, uint64_t from_ns, uint64_t to_ns)
{
    size_t low = 0, high = histories->fault_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (histories->fault_ns[middle] <= from_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low == histories->fault_count || histories->fault_ns[low] > to_ns;
}

static void measure_recovery(struct life *life, unsigned at)
{
    const struct lease *lease = &life->leases[at], *next = lease + 1;
    struct findings *findings = life->findings;
    uint64_t died_ns = lease->process->died_ns;
    if (life->is_disturbed || at + 1 >= life->lease_count || lease->answer || !load_has_crashed(lease->process)) return;
    if (lease->taken->at_ns > died_ns || next->taken->at_ns < died_ns) return;
    uint64_t took_ns = next->taken->at_ns - died_ns, second = 1000 * ms;
    keep(&findings->recoveries_ns, &findings->recovery_count, &findings->recovery_size, took_ns);
    /* The fault that ended it may be noted just before; what came shortly before still lasts. */
    if (is_quiet(life->histories, died_ns + 5 * ms, next->taken->at_ns) &&
        is_quiet(life->histories, died_ns - second, died_ns - 50 * ms))
        keep(&findings->quiet_ns, &findings->quiet_count, &findings->quiet_size, took_ns);
}

void judge_job(const struct histories *histories, uint32_t job, const struct ending *ending, struct findings *findings)
{
    static struct life life;
    life.histories = histories;
    life.findings = findings;
    life.job = job;
    life.lease_count = life.accepted = life.maybe = 0;
    life.is_published = life.is_asked = life.is_uncertain = life.is_denied = life.is_seen = life.is_deleted = false;
    life.has_vanished = false;
    life.id = life.due_ms = 0;
    size_t from = histories->first[job], to = histories->first[job + 1];
    life.is_disturbed = to > from && load_is_destroyed_between(histories, histories->events[from].record->at_ns,
                                                               histories->events[to - 1].record->at_ns);
    for (size_t i = from; i < to; i++) see(&life, &histories->events[i]);
    qsort(life.leases, life.lease_count, sizeof *life.leases, compare_leases);
    if (life.lease_count > findings->most_deliveries) findings->most_deliveries = life.lease_count;
    unsigned starts = 0;
    for (unsigned i = 0; i < life.lease_count; i++) {
        starts += life.leases[i].starts;
        if (i) judge_repetition(&life, i);
        if (!life.is_disturbed && !life.is_deleted) judge_lateness(&life, i);
        judge_run(&life, i);
        measure_recovery(&life, i);
        if (life.leases[i].taken->retries > findings->most_retries) findings->most_retries = life.leases[i].taken->retries;
    }
    findings->starts += starts;
    if (starts > findings->most_starts) findings->most_starts = starts;
    judge_end(&life, ending);
    if (ending->letters) judge_letter(&life, ending);
    if (life.is_published && !life.is_seen && !life.is_deleted && !life.is_disturbed)
        wrong(&life, I11, "another group was never handed it: it was trimmed, or lost, too early");
}
