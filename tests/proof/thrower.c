/* SPDX-License-Identifier: MIT */
#include "proof/thrower.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/campaign.h"
#include "proof/children.h"
#include "proof/faults.h"
#include "proof/history.h"

static uint64_t memory_until_ns; /* 0: there is enough */
static uint64_t paused_until_ns; /* till then no client is unblocked: Redis 7.0 would end itself */

static void note_fault(enum fault fault, uint64_t for_ms, uint64_t whom)
{
    HISTORY(.kind = RECORD_FAULT, .letter = (uint8_t)fault, .entry_ms = for_ms, .job = (uint32_t)whom);
}

/* Does a line of CLIENT LIST have this field, and does its value begin so? */
static bool has_field(const char *line, const char *line_end, const char *field, char first)
{
    const char *at = strstr(line, field);
    return at && at < line_end && at[strlen(field)] == first;
}

/* The id of a connection by chance that a pool or a publisher has named; only_blocked: of those that wait for an entry. false: there
 * is none. */
static bool choose_client(char id[32], bool only_blocked)
{
    const struct said *list = ask(&asker, "CLIENT", "LIST", "TYPE", "normal", NULL);
    unsigned count = 0;
    for (const char *at = list && list->text ? list->text : ""; at && (at = strstr(at, "id=")); at++) {
        const char *line_end = strchr(at, '\n');
        if (!line_end || has_field(at, line_end, " name=", ' ')) continue;
        if (only_blocked && !has_field(at, line_end, " flags=", 'b')) continue;
        if (campaign_dice(++count) == 0) snprintf(id, 32, "%llu", strtoull(at + 3, NULL, 10));
        at = line_end;
    }
    return count > 0;
}

static void note_deleted(const struct said *numbers, bool is_pending)
{
    for (size_t i = 0; numbers && numbers->kind == '*' && i < numbers->count; i++)
        if (numbers->items[i].text)
            HISTORY(.kind = RECORD_DELETED, .job = (uint32_t)strtoul(numbers->items[i].text, NULL, 10),
                    .letter = is_pending ? 'p' : 'u');
}

/* In one step with the look: what is deleted is known to the letter. */
static void delete_entry(bool is_pending)
{
    static const char script[] =
        "local id if ARGV[2] == '1' then local rows = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 20)\n"
        "  if #rows > 0 then id = rows[math.ceil(#rows / 2)][1] end\n"
        "else local row = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] id = row and row[1] end\n"
        "local entry = id and redis.call('XRANGE', KEYS[1], id, id)[1] if not entry then return {} end\n"
        "redis.call('XDEL', KEYS[1], id)\n"
        "for f = 1, #entry[2], 2 do if entry[2][f] == 'data' then return {entry[2][f + 1]} end end return {}";
    note_deleted(ask(&asker, "EVAL", script, "1", PLAN_STREAM, PLAN_GROUP, is_pending ? "1" : "0", NULL), is_pending);
}

static void raze(void)
{
    static const char script[] =
        "if redis.call('XLEN', KEYS[1]) > 2000 then return {} end\n"
        "local lost = {} for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do\n"
        "for f = 1, #entry[2], 2 do if entry[2][f] == 'data' then lost[#lost + 1] = entry[2][f + 1] end end end\n"
        "redis.call('DEL', KEYS[1]) return lost";
    note_deleted(ask(&asker, "EVAL", script, "1", PLAN_STREAM, NULL), false);
}

static void stop_worker(struct child *worker)
{
    uint64_t for_ms = plan->lease_ms / 2 + campaign_dice(2 * plan->lease_ms);
    worker->stopped_until_ns = history_now_ns() + for_ms * MS;
    note_fault(FAULT_STOP, for_ms, worker->number);
    children_tell(worker, SIGSTOP);
}

/* It has begun; one that lasts longer than a later one goes on. */
static void see_pause(uint64_t for_ms)
{
    uint64_t until_ns = history_now_ns() + 2 * for_ms * MS;
    if (until_ns > paused_until_ns) paused_until_ns = until_ns;
}

static void ask_fault(enum fault fault)
{
    char id[32], ms[32];
    uint64_t for_ms = 20 + campaign_dice(plan->lease_ms);
    snprintf(ms, sizeof ms, "%llu", (unsigned long long)for_ms);
    note_fault(fault, for_ms, 0);
    switch (fault) {
    case FAULT_KILL_CLIENT:
        if (choose_client(id, false)) ask(&asker, "CLIENT", "KILL", "ID", id, NULL);
        break;
    case FAULT_KILL_CLIENTS:
        ask(&asker, "CLIENT", "KILL", "TYPE", "normal", NULL);
        break;
    case FAULT_PAUSE:
        ask(&asker, "CLIENT", "PAUSE", ms, "ALL", NULL);
        break;
    case FAULT_PAUSE_WRITE:
        ask(&asker, "CLIENT", "PAUSE", ms, "WRITE", NULL);
        break;
    case FAULT_FORGET:
        ask(&asker, "SCRIPT", "FLUSH", NULL);
        break;
    case FAULT_UNBLOCK:
        if (history_now_ns() > paused_until_ns && choose_client(id, true))
            ask(&asker, "CLIENT", "UNBLOCK", id, campaign_dice(2) ? "TIMEOUT" : "ERROR", NULL);
        break;
    case FAULT_MEMORY:
        ask(&asker, "CONFIG", "SET", "maxmemory", "100kb", NULL);
        memory_until_ns = history_now_ns() + for_ms * MS;
        break;
    case FAULT_SLEEP:
        ask(&asker, "DEBUG", "SLEEP", (const char *[]){"0.1", "0.4", "1.3"}[campaign_dice(3)], NULL);
        break;
    case FAULT_DELETE:
        delete_entry(campaign_dice(2));
        break;
    case FAULT_UNGROUP:
        ask(&asker, "XGROUP", "DESTROY", PLAN_STREAM, PLAN_GROUP, NULL);
        break;
    case FAULT_UNGROUP_RETRY:
        ask(&asker, "XGROUP", "DESTROY", PLAN_STREAM ":" PLAN_GROUP ":retry", PLAN_GROUP, NULL);
        break;
    default:
        raze();
    }
    if (fault == FAULT_PAUSE || fault == FAULT_PAUSE_WRITE) see_pause(for_ms);
    HISTORY(.kind = RECORD_FAULT, .letter = (uint8_t)fault, .lane = 1);
}

static void throw_fault(enum fault fault)
{
    struct child *worker = children_find('w', campaign_dice(plan->workers));
    switch (fault) {
    case FAULT_KILL:
        note_fault(fault, 0, worker->number);
        children_tell(worker, SIGKILL);
        break;
    case FAULT_STOP:
        if (!worker->stopped_until_ns && worker->pid) stop_worker(worker);
        break;
    case FAULT_TERM:
        note_fault(fault, 0, worker->number);
        children_tell(worker, SIGTERM);
        break;
    case FAULT_KILL_FEEDER:
        worker = children_find('f', campaign_dice(plan->feeders));
        note_fault(fault, 0, worker->number);
        children_tell(worker, SIGKILL);
        break;
    case FAULT_KILL_SERVER:
        note_fault(fault, 0, 0);
        children_kill_server();
        memory_until_ns = 0;
        break;
    default:
        ask_fault(fault);
    }
}

/* Is it one of those that --only names, parted by commas? */
static bool is_wanted(const char *name)
{
    size_t len = strlen(name);
    for (const char *at = settings.only; at; at = strchr(at, ',')) {
        at += strspn(at, ", ");
        if (!strncmp(at, name, len) && (!at[len] || at[len] == ',')) return true;
    }
    return !settings.only;
}

static enum fault choose_fault(void)
{
    static const struct {
        enum fault fault;
        unsigned weight;
        bool deletes;
    } table[] = {{FAULT_KILL, 110, false},        {FAULT_STOP, 60, false},       {FAULT_TERM, 20, false},
                 {FAULT_KILL_FEEDER, 25, false},  {FAULT_KILL_SERVER, 8, false}, {FAULT_KILL_CLIENT, 250, false},
                 {FAULT_KILL_CLIENTS, 25, false}, {FAULT_PAUSE, 30, false},      {FAULT_PAUSE_WRITE, 30, false},
                 {FAULT_FORGET, 130, false},      {FAULT_UNBLOCK, 130, false},   {FAULT_MEMORY, 8, false},
                 {FAULT_SLEEP, 20, false},        {FAULT_DELETE, 100, true},     {FAULT_UNGROUP, 2, true},
                 {FAULT_UNGROUP_RETRY, 3, true},  {FAULT_RAZE, 1, true}};
    unsigned all = 0, chosen = FAULTS;
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        if (!is_wanted(fault_names[table[i].fault]) || (table[i].deletes && !plan->deletes)) continue;
        unsigned weight = settings.only ? 1 : table[i].weight;
        all += weight;
        if (campaign_dice(all) < weight)
            chosen = table[i].fault; /* each as likely as it weighs; those that were named are alike */
    }
    return (enum fault)chosen;
}

void thrower_end(bool at_once)
{
    children_continue(at_once);
    if (!memory_until_ns || (!at_once && history_now_ns() < memory_until_ns)) return;
    memory_until_ns = 0;
    ask(&asker, "CONFIG", "SET", "maxmemory", "0", NULL);
}

void thrower_delete(unsigned count)
{
    for (; plan->deletes && count; count--) {
        delete_entry(true);
        campaign_rest_ms(10);
    }
}

void thrower_throw(void)
{
    enum fault fault = choose_fault();
    if (fault != FAULTS) throw_fault(fault);
}
