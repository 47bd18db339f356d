/* SPDX-License-Identifier: MIT */
#include "job/bill.h"

#include <stdlib.h>
#include <string.h>

struct bill_line {
    struct bill_line *next; /* an older one */
    char *event;
    _Atomic int64_t cpu_ns; /* the only thing that many add to: once in a while, see run/meter */
    struct counter ends[BILL_ENDS];
    struct histogram wait, run;
};

struct bill {
    _Atomic(struct bill_line *) newest; /* a line is whole when it is put here: who reads needs no lock */
    struct bill_line *unhandled;        /* the oldest */
};

static struct bill_line *find(const struct bill *bill, const char *event)
{
    struct bill_line *line = atomic_load_explicit(&bill->newest, memory_order_acquire);
    while (line != bill->unhandled && strcmp(line->event, event) != 0) line = line->next;
    return line != bill->unhandled ? line : NULL;
}

static struct bill_line *make(struct bill *bill, const char *event)
{
    struct bill_line *line = calloc(1, sizeof *line);
    if (!line || !(line->event = strdup(event))) return free(line), NULL;
    line->next = atomic_load_explicit(&bill->newest, memory_order_relaxed);
    atomic_store_explicit(&bill->newest, line, memory_order_release);
    return line;
}

struct bill *bill_open(void)
{
    struct bill *bill = calloc(1, sizeof *bill);
    if (!bill) return NULL;
    if (!(bill->unhandled = make(bill, "(unhandled)"))) return free(bill), NULL;
    return bill;
}

void bill_free(struct bill *bill)
{
    if (!bill) return;
    for (struct bill_line *line = bill->newest, *next; line; line = next) {
        next = line->next;
        free(line->event);
        free(line);
    }
    free(bill);
}

struct bill_line *bill_line(struct bill *bill, const char *event)
{
    struct bill_line *line = find(bill, event);
    return line ? line : make(bill, event);
}

void bill_add(struct bill *bill, struct bill_line *line, const struct bill_item *item)
{
    if (!line) line = bill->unhandled;
    counter_add(&line->ends[item->end], 1);
    histogram_add(&line->wait, item->wait_us);
    if (item->run_us >= 0) histogram_add(&line->run, item->run_us);
}

void bill_took(struct bill_line *line, int64_t cpu_ns)
{
    if (line) atomic_fetch_add_explicit(&line->cpu_ns, cpu_ns, memory_order_relaxed);
}

static int64_t jobs_of(const struct bill_line *line)
{
    int64_t jobs = 0;
    for (int end = 0; end < BILL_ENDS; end++) jobs += counter_read(&line->ends[end]);
    return jobs;
}

static void read_line(const struct bill_line *line, struct bill_sums *sums)
{
    *sums = (struct bill_sums){
        .event = line->event,
        .jobs = jobs_of(line),
        .done = counter_read(&line->ends[BILL_DONE]),
        .retry = counter_read(&line->ends[BILL_RETRY]),
        .dead = counter_read(&line->ends[BILL_DEAD]),
        .cpu_ns = atomic_load_explicit(&line->cpu_ns, memory_order_relaxed),
    };
    histogram_read(&line->wait, &sums->wait);
    histogram_read(&line->run, &sums->run);
}

bool bill_each(const struct bill *bill, bool (*each)(void *user, const struct bill_sums *sums), void *user)
{
    struct bill_sums sums;
    for (const struct bill_line *line = atomic_load_explicit(&bill->newest, memory_order_acquire); line; line = line->next) {
        if (!jobs_of(line)) continue;
        read_line(line, &sums);
        if (!each(user, &sums)) return false;
    }
    return true;
}
