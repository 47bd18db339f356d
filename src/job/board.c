/* SPDX-License-Identifier: MIT */
#include "job/board.h"

#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "run/forked.h"

enum { WORD = sizeof(uint64_t), TRIES = 1000 };

struct board_place *board_open(uint32_t count)
{
    return calloc(count, sizeof(struct board_place));
}

/* ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

int64_t board_cpu_ns(const struct board_thread *thread)
{
    struct timespec used;
    if (!thread->number || clock_gettime((clockid_t)thread->clock, &used)) return -1;
    return used.tv_sec * NS_PER_S + used.tv_nsec;
}

void board_here(struct board_thread *thread)
{
    clockid_t clock;
    thread->number = (int32_t)gettid();
    thread->clock = pthread_getcpuclockid(pthread_self(), &clock) ? (int32_t)CLOCK_THREAD_CPUTIME_ID : (int32_t)clock;
    thread->cpu_ns = board_cpu_ns(thread);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* offset: in the row, at a word; len: bytes there are at from, up to a whole word. */
static void put(struct board_place *place, size_t offset, const void *from, size_t len)
{
    for (size_t i = 0; i < (len + WORD - 1) / WORD; i++) {
        uint64_t value;
        memcpy(&value, (const char *)from + i * WORD, WORD);
        atomic_store_explicit(&place->words[offset / WORD + i], value, memory_order_release);
    }
}

static void get(const struct board_place *place, void *into, size_t len)
{
    for (size_t i = 0; i < len / WORD; i++) {
        uint64_t value = atomic_load_explicit(&place->words[i], memory_order_acquire);
        memcpy((char *)into + i * WORD, &value, WORD);
    }
}

/* false: somebody else writes. */
static bool try_begin(struct board_place *place)
{
    uint64_t turn = atomic_load_explicit(&place->turn, memory_order_relaxed);
    return !(turn & 1) &&
           atomic_compare_exchange_strong_explicit(&place->turn, &turn, turn + 1, memory_order_acquire, memory_order_relaxed);
}

static void end(struct board_place *place)
{
    uint64_t turn = atomic_load_explicit(&place->turn, memory_order_relaxed);
    atomic_store_explicit(&place->turn, turn + 1, memory_order_release);
}

/* The place is still that job's, and what stands there of fixed size is in head. A child that a handler has forked shares a
 * journal with its parent: what is told there is told to nobody. */
static bool begin_for(struct board_place *place, uint32_t generation, struct board_head *head)
{
    if (is_forked() || !try_begin(place)) return false;
    get(place, head, sizeof *head);
    if (head->generation == generation) return true;
    end(place);
    return false;
}

void board_start(struct board_place *place, struct board_head *head, quern_bytes event, quern_bytes id)
{
    char name[2 * BOARD_TEXT] = {0}; /* what is behind the last letter of a word is seen, too */
    head->tenths = BOARD_UNKNOWN;
    head->is_pending = false;
    head->event_len = (uint8_t)bytes_cut(event, BOARD_TEXT);
    head->id_len = (uint8_t)bytes_cut(id, BOARD_TEXT);
    head->note_len = 0;
    if (head->event_len) memcpy(name, event.at, head->event_len);
    if (head->id_len) memcpy(name + head->event_len, id.at, head->id_len);
    while (!try_begin(place)) sched_yield();
    put(place, 0, head, sizeof *head);
    put(place, offsetof(struct board_row, name), name, head->event_len + head->id_len);
    end(place);
}

void board_part(struct board_place *place, uint32_t generation)
{
    struct board_head head;
    if (!begin_for(place, generation, &head)) return;
    head.is_pending = true;
    head.thread = (struct board_thread){0};
    put(place, 0, &head, sizeof head);
    end(place);
}

void board_hand(struct board_place *place, uint32_t generation, const struct board_thread *thread)
{
    struct board_head head;
    if (!begin_for(place, generation, &head)) return;
    head.thread = *thread;
    put(place, 0, &head, sizeof head);
    end(place);
}

/* ── how far ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int16_t tenths_of(double percent)
{
    return !(percent >= 0) ? BOARD_UNKNOWN : percent >= 100 ? 1000 : (int16_t)(percent * 10);
}

/* What would steer a terminal, and what is no character, is a '?'. Whole characters only. */
static uint8_t write_note(char text[BOARD_TEXT], const char *note)
{
    quern_bytes rest = {note, strnlen(note, 4 * BOARD_NOTE)};
    size_t len = 0;
    while (rest.len) {
        uint32_t character;
        size_t n = bytes_character(rest, &character);
        bool is_harmless = n && !bytes_is_steering(character);
        if (len + (is_harmless ? n : 1) > BOARD_NOTE) break;
        if (is_harmless)
            memcpy(text + len, rest.at, n);
        else
            text[len] = '?';
        len += is_harmless ? n : 1;
        rest = (quern_bytes){rest.at + (n ? n : 1), rest.len - (n ? n : 1)};
    }
    return (uint8_t)len;
}

void board_tell(struct board_place *place, uint32_t generation, double percent, const char *note)
{
    struct board_head head;
    char text[BOARD_TEXT] = {0};
    uint8_t len = note ? write_note(text, note) : 0; /* before it is begun: a handler's memory may fault */
    if (!begin_for(place, generation, &head)) return;
    head.tenths = tenths_of(percent);
    if (note) head.note_len = len;
    put(place, 0, &head, sizeof head);
    if (note) put(place, offsetof(struct board_row, note), text, len);
    end(place);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

bool board_read(const struct board_place *place, struct board_row *row)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t turn = atomic_load_explicit(&place->turn, memory_order_acquire);
        if (turn == 0) return false;
        if (turn & 1) continue;
        get(place, row, sizeof *row);
        if (atomic_load_explicit(&place->turn, memory_order_relaxed) != turn) continue;
        /* A file may hold anything. */
        const struct board_head *head = &row->is;
        return head->generation && head->event_len <= BOARD_TEXT && head->id_len <= BOARD_TEXT && head->note_len <= BOARD_TEXT;
    }
    return false;
}
