/* SPDX-License-Identifier: MIT */

/* proof/feeder: one publisher of a campaign: block after block of numbered jobs, its own and those that all publish.
 *
 *     feeder FOLDER NUMBER INSTANCE
 *
 * Idea       what is certainly not there is published again; what may be there only where its jobs have keys of their own, which
 *            must make it one. One that is started again begins with the block that the last one was at, if that has keys.
 * Threads    one. */
#include <quern.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "proof/history.h"
#include "proof/plan.h"

static struct plan *plan;
static unsigned number;
static quern_publisher *marked, *unmarked;

static void fail(const char *what)
{
    fprintf(stderr, "feeder: %s\n", what);
    exit(2);
}

static void sleep_us(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&time, &time)) continue;
}

static quern_publisher *open_publisher(const char *folder, bool is_marked)
{
    quern_error error;
    char url[600];
    quern_config *config = quern_config_new();
    snprintf(url, sizeof url, "unix://%s/proxy", folder);
    if (!config || quern_config_set(config, "redis", url, &error) || quern_config_set(config, "stream", PLAN_STREAM, &error) ||
        quern_config_set(config, "publish_ms", "400", &error) || quern_config_set(config, "backoff_ms", "5", &error) ||
        quern_config_set(config, "batch_size", "16", &error) || /* so that a block is several of them */
        quern_config_set(config, "publish_marked", is_marked ? "true" : "false", &error))
        fail(error.text);
    quern_publisher *publisher = quern_publisher_open(config, &error);
    if (!publisher) fail(error.text);
    quern_config_free(config);
    return publisher;
}

/* ── one block ───────────────────────────────────────────────────────────────────────────────────────────────────── */

struct block {
    enum manner manner;
    size_t count; /* of those that are still to be published */
    uint32_t jobs[BLOCK];
    char data[BLOCK][16], keys[BLOCK][16];
    quern_message messages[BLOCK];
    quern_receipt receipts[BLOCK];
};

static void lay_out(struct block *block, uint32_t place, uint32_t job)
{
    bool is_garbled = plan_nature(plan, job) == NATURE_GARBLED;
    block->jobs[place] = job;
    int len = snprintf(block->data[place], sizeof block->data[place], "%u%s", job, is_garbled ? "}" : "");
    snprintf(block->keys[place], sizeof block->keys[place], "k%u", job);
    block->messages[place] =
        (quern_message){.size = sizeof(quern_message),
                        .event = "job",
                        .data = {block->data[place], (size_t)len},
                        .is_raw = is_garbled,
                        .unique = block->manner == MANNER_KEYED ? block->keys[place] : NULL,
                        .delay_ms = block->manner == MANNER_DELAYED ? 20 + (int64_t)(plan_mix(plan->seed + 5, job) % 700) : 0};
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(1469598103934665603);
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

static void note_asked(const struct block *block)
{
    struct record records[BLOCK];
    for (size_t i = 0; i < block->count; i++) records[i] = (struct record){.kind = RECORD_PUBLISH, .job = block->jobs[i]};
    history_write(records, block->count);
}

static struct record answer_of(const struct block *block, size_t i)
{
    const quern_receipt *receipt = &block->receipts[i];
    struct record record = {.kind = RECORD_UNPUBLISHED, .job = block->jobs[i], .letter = (uint8_t)receipt->code};
    if (receipt->code == QUERN_E_UNKNOWN) record.kind = RECORD_UNCERTAIN;
    if (receipt->code != QUERN_OK) return record;
    record.kind = RECORD_PUBLISHED;
    record.letter = receipt->is_duplicate ? 'd' : 'n';
    record.also = hash_of(receipt->id);
    return record;
}

/* Notes what became of each, and keeps those that are to be published again. */
static void note_answers(struct block *block)
{
    struct record records[2 * BLOCK];
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        const quern_receipt *receipt = &block->receipts[i];
        records[count++] = answer_of(block, i);
        if (receipt->code == QUERN_OK && receipt->due_ms)
            records[count++] =
                (struct record){.kind = RECORD_DUE, .job = block->jobs[i], .entry_ms = (uint64_t)receipt->due_ms};
        bool is_again = receipt->code == QUERN_E_UNKNOWN ? block->manner == MANNER_KEYED : receipt->code != QUERN_OK;
        if (is_again) lay_out(block, (uint32_t)kept++, block->jobs[i]);
    }
    history_write(records, count);
    block->count = kept;
}

static void publish_block(uint32_t at)
{
    struct block block = {.manner = plan_manner(plan, at), .count = BLOCK};
    for (uint32_t i = 0; i < BLOCK; i++) lay_out(&block, i, at * BLOCK + i);
    while (block.count) {
        quern_error error;
        note_asked(&block);
        for (size_t i = 0; i < block.count; i++) block.receipts[i] = (quern_receipt){.code = QUERN_E_TIMEOUT};
        int code = quern_publish(block.manner == MANNER_UNMARKED ? unmarked : marked, block.messages, block.count,
                                 block.receipts, &error);
        note_answers(&block);
        if (code) sleep_us(2000);
    }
}

/* ── one after the other ─────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_mine(uint32_t block)
{
    return block % plan->feeders == number || plan_is_shared(plan, block);
}

/* Not faster than the plan says, nor while the mill has enough. */
static void keep_pace(uint64_t *next_ns)
{
    uint64_t now_ns = history_now_ns(), each_ns = UINT64_C(1000000000) * BLOCK * plan->feeders / plan->rate;
    if (*next_ns + 50 * each_ns < now_ns) *next_ns = now_ns;
    if (*next_ns > now_ns) sleep_us((*next_ns - now_ns) / 1000);
    *next_ns += each_ns;
    while (plan->is_full && !plan->is_fed) sleep_us(2000);
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 4 || !(plan = plan_map(argv[1], false))) fail("feeder FOLDER NUMBER INSTANCE");
    number = (unsigned)atoi(argv[2]);
    if (!history_open(argv[1], 'f', number, (unsigned)atoi(argv[3]))) fail("no history");
    marked = open_publisher(argv[1], true);
    unmarked = open_publisher(argv[1], false);
    /* What the last one was at may be there: once more only where that is no harm. */
    uint32_t block = plan->block[number], begun = UINT32_MAX;
    bool is_first = strcmp(argv[3], "0") == 0;
    if (!is_first && plan_manner(plan, block) == MANNER_KEYED) begun = block;
    if (!is_first && begun != block) block++;
    uint64_t next_ns = history_now_ns();
    for (;; block++) {
        if (!is_mine(block)) continue;
        if (plan->is_fed && block != begun) break;
        plan->block[number] = block;
        publish_block(block);
        keep_pace(&next_ns);
    }
    HISTORY(.kind = RECORD_END);
    return quern_publisher_close(marked) | quern_publisher_close(unmarked);
}
