/* SPDX-License-Identifier: MIT */
#include "job/slot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/stack.h"
#include "job/codec.h"
#include "job/witness.h"

struct slots {
    uint32_t count;
    _Atomic uint32_t ghosts;
    struct stack *free; /* the numbers of free slots */
    struct quern_job at[];
};

enum { STATE_BITS = 0xff, MARK_BITS = 0xff00 };

static const bool allowed[SLOT_STATES][SLOT_STATES] = {
    [SLOT_FREE] = {[SLOT_READY] = true, [SLOT_DONE] = true},    /* straight to DONE: malformed */
    [SLOT_READY] = {[SLOT_RUNNING] = true, [SLOT_DONE] = true}, /* straight to DONE: released */
    [SLOT_RUNNING] =
        {[SLOT_DONE] = true, [SLOT_PENDING] = true, [SLOT_READY] = true}, /* back: it waits for one that runs alone */
    [SLOT_PENDING] = {[SLOT_DONE] = true},
    [SLOT_DONE] = {[SLOT_FREE] = true},
};

static enum slot_state state_of(uint64_t word)
{
    return (enum slot_state)(word & STATE_BITS);
}

static uint32_t generation_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint64_t with_state(uint64_t word, enum slot_state state)
{
    return (word & ~(uint64_t)STATE_BITS) | state;
}

/* Zeroed, and at the beginning of a line. */
static void *new_lines(size_t size)
{
    size_t whole = (size + SLOT_LINE - 1) / SLOT_LINE * SLOT_LINE;
    void *at = aligned_alloc(SLOT_LINE, whole);
    return at ? memset(at, 0, whole) : NULL;
}

/* As it is before a job comes into it. */
static void reset(struct quern_job *job)
{
    atomic_store_explicit(&job->deadline_ns, CLOCK_NEVER, memory_order_relaxed);
    atomic_store_explicit(&job->overdue_ns, CLOCK_NEVER, memory_order_relaxed);
    job->started_ns = job->ended_ns = 0;
    job->outcome = OUTCOME_NONE;
    job->line = NULL;
    job->cpu_ns = -1;
    if (job->retry_after_ms != -1) job->retry_after_ms = -1;
    if (job->delay_ms) job->delay_ms = 0;
    if (job->cap) job->cap = NULL;
}

struct slots *slots_open(uint32_t count, _Atomic int64_t *drain_ns)
{
    struct slots *slots = new_lines(sizeof *slots + count * sizeof *slots->at);
    if (!slots) return NULL;
    slots->count = count;
    if (!(slots->free = stack_open(count))) return free(slots), NULL;
    for (uint32_t i = 0; i < count; i++) {
        reset(&slots->at[i]);
        slots->at[i].index = i;
        slots->at[i].drain_ns = drain_ns;
        atomic_init(&slots->at[i].word, UINT64_C(1) << 32 | SLOT_FREE);
        stack_push(slots->free, count - 1 - i);
    }
    return slots;
}

struct quern_job *slots_loose(size_t count)
{
    return new_lines(count * sizeof(struct quern_job));
}

void slots_set_owner(struct slots *slots, const char *consumer, const struct source *sources, int64_t depth_max)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        slots->at[i].consumer = consumer;
        slots->at[i].sources = sources;
        slots->at[i].depth_max = depth_max;
    }
}

void slots_set_board(struct slots *slots, struct board_place *first, size_t stride)
{
    for (uint32_t i = 0; i < slots->count; i++) slots->at[i].board = (struct board_place *)((char *)first + i * stride);
}

void slots_close(struct slots *slots)
{
    if (!slots) return;
    stack_close(slots->free);
    free(slots);
}

uint32_t slots_count(const struct slots *slots)
{
    return slots->count;
}

struct quern_job *slots_at(struct slots *slots, uint32_t index)
{
    return &slots->at[index];
}

struct quern_job *slots_reserve(struct slots *slots)
{
    uint32_t index;
    return stack_pop(slots->free, &index) ? &slots->at[index] : NULL;
}

void slots_unreserve(struct slots *slots, struct quern_job *job)
{
    stack_push(slots->free, job->index);
}

uint32_t slots_held_count(struct slots *slots)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < slots->count; i++) held += slot_state(&slots->at[i]) != SLOT_FREE;
    return held;
}

uint32_t slots_free_count(const struct slots *slots)
{
    return stack_length(slots->free);
}

/* Two ids that are equal by it matter only where they were also given the same entry id. */
uint64_t message_identity(const struct message *message)
{
    return bytes_hash(message->id);
}

void slot_lease(struct quern_job *job, const struct admission *admission)
{
    atomic_store_explicit(&job->born_ms, message_first_ms(&job->message), memory_order_relaxed);
    atomic_store_explicit(&job->identity, message_identity(&job->message), memory_order_relaxed);
    atomic_store_explicit(&job->entry_ms, job->message.entry.ms, memory_order_relaxed);
    atomic_store_explicit(&job->entry_seq, job->message.entry.seq, memory_order_relaxed);
    atomic_store_explicit(&job->deliveries, admission->deliveries, memory_order_relaxed);
    atomic_store_explicit(&job->origin, admission->origin, memory_order_relaxed);
    atomic_store_explicit(&job->granted_ns, admission->granted_ns, memory_order_relaxed);
    atomic_store_explicit(&job->admitted_ns, admission->now_ns, memory_order_relaxed);
    assert(!atomic_load_explicit(&job->key, memory_order_relaxed)); /* who ends a job leaves its key */
    if (admission->is_unpended) atomic_fetch_or_explicit(&job->word, SLOT_GONE, memory_order_relaxed);
    if (witness) witness->leased(job);
}

bool slot_move(struct quern_job *job, enum slot_state from, enum slot_state to)
{
    if (!allowed[from][to]) {
        assert(!"a move that the table forbids");
        return false;
    }
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        if (state_of(word) != from) return false;
        /* release: what was written into the job comes before its new state; pairs with the heartbeat's and finisher's acquire */
        /* and in one order with the gate: who moves to RUNNING then looks whether it is closed (queue/gate) */
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, with_state(word, to), memory_order_seq_cst,
                                                    memory_order_relaxed));
    return true;
}

enum slot_state slot_state(const struct quern_job *job)
{
    return state_of(atomic_load_explicit(&job->word, memory_order_acquire));
}

bool slot_has(const struct quern_job *job, enum slot_mark mark)
{
    return (atomic_load_explicit(&job->word, memory_order_relaxed) & mark) != 0;
}

/* Worker and finisher race for the end of a job whose ticket is out:
 *   - CLAIMED first: the verdict is the finisher's. Who comes second, worker (→ PENDING) or finisher (→ SAID), sees the other's
 *     mark in the word that its own step replaced, and moves the slot to DONE.
 *   - DONE first (the handler did not say pending): the claim fails, the ticket is too late. */
enum slot_end slot_end(struct quern_job *job, bool is_pending)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed), next;
    enum slot_end end;
    do {
        end = word & SLOT_SAID ? END_SAID : is_pending || (word & SLOT_CLAIMED) ? END_THEIRS : END_OURS;
        next = with_state(word, end == END_THEIRS ? SLOT_PENDING : SLOT_DONE);
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, next, memory_order_acq_rel, memory_order_relaxed));
    return end;
}

uint64_t slot_ticket(struct quern_job *job)
{
    uint64_t word = atomic_fetch_or_explicit(&job->word, SLOT_TICKET, memory_order_acq_rel);
    return (uint64_t)generation_of(word) << 32 | (job->index + 1);
}

/* The board first: what it says was true of that generation, and the word then tells whether it is still there. */
bool slot_runs(struct quern_job *job, struct board_row *row)
{
    if (!job->board || !board_read(job->board, row)) return false;
    uint64_t word = atomic_load_explicit(&job->word, memory_order_acquire);
    return generation_of(word) == row->is.generation && (state_of(word) == SLOT_RUNNING || state_of(word) == SLOT_PENDING);
}

struct quern_job *slots_named(struct slots *slots, uint64_t ticket)
{
    uint32_t number = (uint32_t)ticket;
    if (number == 0 || number > slots->count) return NULL;
    struct quern_job *job = &slots->at[number - 1];
    uint64_t word = atomic_load_explicit(&job->word, memory_order_acquire);
    bool is_held = state_of(word) == SLOT_RUNNING || state_of(word) == SLOT_PENDING;
    return generation_of(word) == ticket >> 32 && is_held && !(word & SLOT_CLAIMED) ? job : NULL;
}

struct quern_job *slots_claim(struct slots *slots, uint64_t ticket)
{
    uint32_t number = (uint32_t)ticket;
    if (number == 0 || number > slots->count) return NULL;
    struct quern_job *job = &slots->at[number - 1];
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        bool is_held = state_of(word) == SLOT_RUNNING || state_of(word) == SLOT_PENDING;
        if (generation_of(word) != ticket >> 32 || !is_held || !(word & SLOT_TICKET) || (word & SLOT_CLAIMED)) return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, word | SLOT_CLAIMED, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return job;
}

void slot_pull(struct quern_job *job)
{
    atomic_fetch_or_explicit(&job->word, SLOT_TICKET | SLOT_PULLED, memory_order_acq_rel);
}

struct quern_job *slots_return(struct slots *slots, uint64_t ticket)
{
    uint32_t number = (uint32_t)ticket;
    if (number == 0 || number > slots->count) return NULL;
    struct quern_job *job = &slots->at[number - 1];
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        if (generation_of(word) != ticket >> 32 || state_of(word) != SLOT_RUNNING || !(word & SLOT_PULLED) ||
            (word & SLOT_RETURNED))
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, word | SLOT_RETURNED, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return job;
}

bool slot_said(struct quern_job *job)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed), next;
    do {
        next = word | SLOT_SAID;
        if (state_of(word) == SLOT_PENDING) next = with_state(next, SLOT_DONE);
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, next, memory_order_acq_rel, memory_order_relaxed));
    return state_of(next) == SLOT_DONE;
}

void slot_merge(struct quern_job *job)
{
    bool is_late = job->said.ended_ns >= atomic_load_explicit(&job->deadline_ns, memory_order_relaxed);
    job->outcome = job->said.outcome;
    job->ended_ns = job->said.ended_ns;
    if (job->outcome == OUTCOME_SEIZED) return;
    if (is_late && job->outcome == OUTCOME_RETRY) job->outcome = OUTCOME_TIMEOUT;
    if (job->is_not_json) job->outcome = OUTCOME_MALFORMED;
    if (!job->said.error) return;
    free(job->error);
    job->error = job->said.error;
    job->said.error = NULL;
}

static bool is_marked(const struct quern_job *job, enum slot_mark mark)
{
    if (slot_has(job, mark)) return true;
    if (!job->body) return false;
    uint64_t word = atomic_load_explicit(&job->body->word, memory_order_relaxed);
    return generation_of(word) == job->body_generation && (word & mark);
}

bool slot_is_gone(const struct quern_job *job)
{
    return is_marked(job, SLOT_GONE);
}

bool slot_is_cancelled(const struct quern_job *job)
{
    return is_marked(job, SLOT_CANCELLED);
}

bool slot_is_lost(const struct quern_job *job)
{
    return is_marked(job, SLOT_LOST);
}

bool slot_seize(struct quern_job *job, uint32_t generation)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        bool is_held = state_of(word) == SLOT_RUNNING || state_of(word) == SLOT_PENDING;
        if (generation_of(word) != generation || !is_held || (word & SLOT_CLAIMED)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, word | SLOT_CLAIMED, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}

/* Reads only what was written before the handler began, and what it cannot write. */
struct quern_job *slots_ghost(struct slots *slots, struct quern_job *job)
{
    const struct message *message = &job->message;
    struct reply fields = {REPLY_ARRAY, message->fields_count, {.items = message->fields}};
    struct entry entry = {.id = message->entry, .fields = &fields};
    struct quern_job *ghost = slots_ghost_count(slots) < slots->count ? slots_loose(1) : NULL;
    if (!ghost) return NULL;
    ghost->body = job;
    ghost->body_generation = generation_of(atomic_load_explicit(&job->word, memory_order_relaxed));
    atomic_init(&ghost->word, SLOT_DONE);
    atomic_init(&ghost->deliveries, atomic_load_explicit(&job->deliveries, memory_order_relaxed));
    atomic_init(&ghost->origin, atomic_load_explicit(&job->origin, memory_order_relaxed));
    if (slot_has(job, SLOT_GONE)) atomic_store_explicit(&ghost->word, SLOT_DONE | SLOT_GONE, memory_order_relaxed);
    ghost->admitted_ns = job->admitted_ns;
    ghost->started_ns = job->started_ns;
    ghost->policy = job->policy;
    ghost->line = job->line;
    ghost->cpu_ns = -1;
    ghost->retry_after_ms = -1;
    atomic_fetch_add(&slots->ghosts, 1);
    if (!message_read(&ghost->message, &entry, message->is_private, UINT32_MAX / 2, NULL) && message_detach(&ghost->message))
        return ghost;
    slots_ghost_free(slots, ghost);
    return NULL;
}

void slots_ghost_free(struct slots *slots, struct quern_job *ghost)
{
    message_free(&ghost->message);
    free(ghost->error);
    free(ghost);
    atomic_fetch_sub(&slots->ghosts, 1);
}

uint32_t slots_ghost_count(const struct slots *slots)
{
    return atomic_load(&slots->ghosts);
}

static void drop(char **text)
{
    if (*text) free(*text), *text = NULL;
}

void slots_free(struct slots *slots, struct quern_job *job)
{
    if (job->body) {
        slot_mark(job->body, job->body_generation, SLOT_LOST);
        slots_ghost_free(slots, job);
        return;
    }
    span_release(&job->span);
    message_free(&job->message);
    if (job->json) codec_drop(job->json), job->json = NULL;
    drop(&job->error);
    drop(&job->said.error);
    drop(&job->how);
    drop(&job->result);
    if (job->result_len) job->result_len = 0;
    if (job->is_not_json | job->is_gone | job->is_ambiguous | job->is_unreadable)
        job->is_not_json = job->is_gone = job->is_ambiguous = job->is_unreadable = false;
    reset(job);
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed), next;
    assert(state_of(word) == SLOT_DONE);
    do next = (uint64_t)(generation_of(word) + 1) << 32 | SLOT_FREE; /* marks of the heartbeat may still come in: they go too */
    while (!atomic_compare_exchange_weak_explicit(&job->word, &word, next, memory_order_acq_rel, memory_order_relaxed));
    slots_unreserve(slots, job);
}

bool slot_look(struct quern_job *job, struct lease *lease)
{
    uint64_t before = atomic_load_explicit(&job->word, memory_order_acquire); /* pairs with slot_move() */
    if (state_of(before) == SLOT_FREE) return false;
    *lease = (struct lease){
        .generation = generation_of(before),
        .index = job->index,
        .origin = atomic_load_explicit(&job->origin, memory_order_relaxed),
        .deliveries = atomic_load_explicit(&job->deliveries, memory_order_relaxed),
        .entry = {atomic_load_explicit(&job->entry_ms, memory_order_relaxed),
                  atomic_load_explicit(&job->entry_seq, memory_order_relaxed)},
        .granted_ns = atomic_load_explicit(&job->granted_ns, memory_order_relaxed),
        .identity = atomic_load_explicit(&job->identity, memory_order_relaxed),
    };
    /* The fields are written only while the slot is FREE, between two generations: the same generation behind them means that
     * they belong together. The read-modify-write orders the reads above before it. */
    uint64_t after = atomic_fetch_or_explicit(&job->word, 0, memory_order_acq_rel);
    return generation_of(after) == lease->generation;
}

bool slot_lease_of(struct quern_job *job, struct lease *lease)
{
    return !slot_has(job, SLOT_LOST) && !slot_has(job, SLOT_GONE) && slot_look(job, lease);
}

bool slots_hold(struct slots *slots, uint32_t origin, struct entry_id entry)
{
    struct lease lease;
    for (uint32_t i = 0; i < slots->count; i++)
        if (slot_look(&slots->at[i], &lease) && lease.origin == origin && entry_id_compare(lease.entry, entry) == 0)
            return true;
    return false;
}

void slot_renewed(struct quern_job *job, uint32_t generation, int64_t granted_ns)
{
    struct lease lease;
    /* A slot that moves on between the look and the write gets a grant that is older than its own: renewed earlier, no harm. */
    if (!slot_lease_of(job, &lease) || lease.generation != generation) return;
    int64_t expected = lease.granted_ns;
    atomic_compare_exchange_strong_explicit(&job->granted_ns, &expected, granted_ns, memory_order_relaxed,
                                            memory_order_relaxed);
}

bool slot_mark(struct quern_job *job, uint32_t generation, enum slot_mark mark)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        /* One that has ended is the settler's: its lease may just have been given up by the acknowledgement itself. That its entry is
         * gone is certain, and the settler must know. */
        bool is_over = state_of(word) == SLOT_FREE || (state_of(word) == SLOT_DONE && mark != SLOT_GONE);
        if (generation_of(word) != generation || is_over || (word & mark)) return false;
    } while (
        !atomic_compare_exchange_weak_explicit(&job->word, &word, word | mark, memory_order_acq_rel, memory_order_relaxed));
    return true;
}

bool slot_lose(struct quern_job *job, const struct lease *lease)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_acquire); /* pairs with slot_regrant() */
    do {
        bool is_over = state_of(word) == SLOT_FREE || state_of(word) == SLOT_DONE;
        if (generation_of(word) != lease->generation || is_over || (word & (SLOT_LOST | SLOT_GONE))) return false;
        if (atomic_load_explicit(&job->granted_ns, memory_order_relaxed) != lease->granted_ns) return false;
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, word | SLOT_LOST, memory_order_acq_rel,
                                                    memory_order_acquire));
    return true;
}

struct quern_job *slots_find(struct slots *slots, uint32_t origin, struct entry_id entry, struct lease *lease)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        struct quern_job *job = &slots->at[i];
        if (slot_look(job, lease) && lease->origin == origin && entry_id_compare(lease->entry, entry) == 0 &&
            !slot_has(job, SLOT_LOST))
            return job;
    }
    return NULL;
}

/* The new grant is written before the mark goes. Whoever marks the old one LOST meanwhile either sees the new grant and leaves it, or
 * is first with the word, which is seen here. In a slot that has become FREE what was written is overwritten by its next lease. */
bool slot_regrant(struct quern_job *job, uint32_t generation, uint32_t deliveries, int64_t granted_ns)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    atomic_store_explicit(&job->deliveries, deliveries, memory_order_relaxed);
    atomic_store_explicit(&job->granted_ns, granted_ns, memory_order_relaxed);
    do {
        if (generation_of(word) != generation || state_of(word) == SLOT_FREE || (word & SLOT_LOST)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, word & ~(uint64_t)SLOT_GONE, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}

bool slot_supersede(struct quern_job *job, uint32_t generation)
{
    uint64_t word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        if (generation_of(word) != generation || state_of(word) == SLOT_FREE || (word & SLOT_LOST)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&job->word, &word, word | SLOT_LOST, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}
