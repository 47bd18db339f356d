/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/bytes.h"
#include "inspect/doctor.h"
#include "inspect/info.h"

enum { CLOCK_MS = 1000, NEARLY_FULL = 90 /* percent */ };

static int64_t number(const struct facts *facts, const char *name)
{
    return info_number(facts->info, name, 0);
}

static bool is(const struct facts *facts, const char *name, const char *value)
{
    return info_is(facts->info, name, value);
}

/* ── which server it is ──────────────────────────────────────────────────────────────────────────────────────────── */

static void check_faults(const struct facts *facts, struct findings *findings)
{
    const struct fault *fault;
    bool may_be_mended = version_is_distributed(facts->product, facts->version);
    for (size_t at = 0; (fault = fault_next(facts->product, facts->version, &at));)
        finding_add(findings, may_be_mended ? FINDING_NOTE : FINDING_WARNING, "known_fault",
                    may_be_mended
                        ? "see that your distribution's last security update is installed: it mends this version without "
                          "changing its number"
                        : "take a later version of the server, unless your distribution has mended this one",
                    "%s %s: %s; mended since %d.%d.%d", facts_product(facts), facts->version_text, fault->what,
                    fault->mended.major, fault->mended.minor, fault->mended.patch);
}

static bool check_version(const struct facts *facts, struct findings *findings)
{
    bool is_served = !facts->has_version || version_is_served(facts->product, facts->version);
    if (!is_served)
        finding_add(findings, FINDING_ERROR, "version", "take a later one: Redis 7.0 or Valkey 7.2 is the least",
                    "the server is %s %s, which quern does not work with", facts_product(facts), facts->version_text);
    else if (facts->has_version)
        check_faults(facts, findings);
    return is_served;
}

/* ── does it keep what it is told? ───────────────────────────────────────────────────────────────────────────────── */

static void check_persistence(const struct facts *facts, struct findings *findings)
{
    if (is(facts, "aof_enabled", "0") && facts->has_config && !facts->has_snapshots)
        finding_add(findings, FINDING_ERROR, "persistence", "set appendonly yes",
                    "the server writes nothing to its disk: whatever ends it, all jobs are lost");
    else if (is(facts, "aof_enabled", "0"))
        finding_add(findings, FINDING_WARNING, "persistence", "set appendonly yes",
                    "its append-only file is off: what came since the last snapshot is lost with the server (%" PRId64
                    " changes by now), and what was done since then is done again",
                    number(facts, "rdb_changes_since_last_save"));
    else if (bytes_is(bytes_of(facts->appendfsync), "no"))
        finding_add(findings, FINDING_WARNING, "persistence", "set appendfsync everysec",
                    "appendfsync is no: a power loss takes what the kernel has not written yet, half a minute of jobs or so");
}

static void check_disk(const struct facts *facts, struct findings *findings)
{
    if (is(facts, "aof_last_write_status", "err"))
        finding_add(findings, FINDING_ERROR, "disk", "look into the server's log, and make room on its disk",
                    "the last write to its append-only file has failed: it refuses jobs");
    if (is(facts, "rdb_last_bgsave_status", "err"))
        finding_add(findings, FINDING_ERROR, "disk", "look into the server's log, and make room on its disk or in its memory",
                    "its last snapshot has failed: it refuses jobs, unless stop-writes-on-bgsave-error is no");
    if (is(facts, "aof_last_bgrewrite_status", "err"))
        finding_add(findings, FINDING_WARNING, "disk", "look into the server's log: the file grows until it is rewritten",
                    "the last rewrite of its append-only file has failed");
}

static void check_memory(const struct facts *facts, struct findings *findings)
{
    int64_t max = number(facts, "maxmemory"), used = number(facts, "used_memory"), evicted = number(facts, "evicted_keys");
    quern_bytes policy = info_field(facts->info, "maxmemory_policy");
    if (max > 0 && policy.len && !bytes_is(policy, "noeviction"))
        finding_add(findings, FINDING_ERROR, "eviction", "set maxmemory-policy noeviction",
                    "maxmemory-policy is %.*s: a full server deletes keys, and streams of jobs are keys", (int)policy.len,
                    policy.at);
    if (evicted > 0)
        finding_add(findings, FINDING_WARNING, "eviction", "see that no stream is missing; set maxmemory-policy noeviction",
                    "%" PRId64 " keys were evicted since the server began", evicted);
    if (max > 0 && used >= max)
        finding_add(findings, FINDING_ERROR, "memory", "raise maxmemory, or have more jobs done than are published",
                    "the server is full (%" PRId64 " MiB): it takes no more jobs", max >> 20);
    else if (max > 0 && used >= max / 100 * NEARLY_FULL)
        finding_add(findings, FINDING_WARNING, "memory", "raise maxmemory, or have more jobs done than are published",
                    "%" PRId64 " of %" PRId64 " MiB are used: a full server takes no more jobs", used >> 20, max >> 20);
}

/* ── does it serve? ──────────────────────────────────────────────────────────────────────────────────────────────── */

static bool check_loading(const struct facts *facts, struct findings *findings)
{
    bool is_loading = is(facts, "loading", "1") || is(facts, "async_loading", "1");
    if (is_loading)
        finding_add(findings, FINDING_ERROR, "loading", "wait until it has; then ask again: the queue was not looked at",
                    "the server reads its files, and serves nobody until it has: %" PRId64 " s more, it says",
                    number(facts, "loading_eta_seconds"));
    return !is_loading;
}

static void check_replication(const struct facts *facts, struct findings *findings)
{
    quern_bytes good = info_field(facts->info, "min_slaves_good_slaves");
    if (is(facts, "role", "slave"))
        finding_add(findings, FINDING_ERROR, "replica", "name the primary in the key redis",
                    "this server is a replica (its link to the primary is %.*s): it takes no jobs and no outcomes",
                    (int)info_field(facts->info, "master_link_status").len, info_field(facts->info, "master_link_status").at);
    else if (good.at && number(facts, "min_slaves_good_slaves") < (facts->min_replicas ? facts->min_replicas : 1))
        finding_add(findings, FINDING_ERROR, "replica", "bring its replicas back, or lower min-replicas-to-write",
                    "%" PRId64 " replicas follow, fewer than min-replicas-to-write: it refuses to write (NOREPLICAS)",
                    number(facts, "min_slaves_good_slaves"));
}

static void check_clients(const struct facts *facts, struct findings *findings)
{
    int64_t rejected = number(facts, "rejected_connections"), max = number(facts, "maxclients");
    int64_t connected = number(facts, "connected_clients");
    if (rejected > 0)
        finding_add(findings, FINDING_WARNING, "clients",
                    "raise maxclients, or find who opens so many connections (CLIENT LIST)",
                    "%" PRId64 " connections were refused since the server began: there were too many", rejected);
    if (max > 0 && connected >= max * NEARLY_FULL / 100)
        finding_add(findings, FINDING_WARNING, "clients",
                    "raise maxclients, or find who opens so many connections (CLIENT LIST)",
                    "%" PRId64 " of %" PRId64 " connections are open", connected, max);
    if (facts->timeout_s > 0)
        finding_add(findings, FINDING_WARNING, "idle_timeout", "set timeout 0: dead peers are found by tcp-keepalive",
                    "timeout is %" PRId64 ": it closes what is silent for so many seconds, as publishers and idle pools are",
                    facts->timeout_s);
}

static void check_clock(const struct facts *facts, struct findings *findings)
{
    int64_t away_ms = facts->ahead_ms < 0 ? -facts->ahead_ms : facts->ahead_ms;
    char span[SPAN_SIZE];
    if (away_ms - facts->unsure_ms <= CLOCK_MS) return;
    finding_add(findings, FINDING_WARNING, "clock", "set both clocks by NTP",
                "the server's clock is %s %s this machine's: ages, expire_at and what is due are off by as much",
                finding_span(away_ms, span), facts->ahead_ms < 0 ? "behind" : "ahead of");
}

void doctor_advice(const struct facts *facts, struct findings *findings)
{
    if (facts->has_version) check_faults(facts, findings);
    check_persistence(facts, findings);
}

void doctor_server(const struct facts *facts, struct findings *findings, bool *may_go_on)
{
    *may_go_on = true;
    check_clock(facts, findings);
    if (!facts->has_config)
        finding_add(findings, FINDING_NOTE, "config", "allow +config|get to the user that looks, or ask who runs the server",
                    "appendfsync, save, timeout and min-replicas-to-write were not looked at: CONFIG GET is refused (%s)",
                    facts->why_not[0] ? facts->why_not : "it says nothing");
    if (!facts->info) {
        finding_add(findings, FINDING_NOTE, "info", "allow +info to the user that looks",
                    "version, memory, disk, replicas and clients were not looked at: INFO is refused");
        return;
    }
    *may_go_on = check_version(facts, findings) && check_loading(facts, findings);
    check_persistence(facts, findings);
    check_disk(facts, findings);
    check_memory(facts, findings);
    check_replication(facts, findings);
    check_clients(facts, findings);
}
