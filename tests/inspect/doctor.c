/* SPDX-License-Identifier: MIT */

/* inspect/doctor: which faults a version has, and what is wrong with a server, by what it says of itself. */
#include "inspect/doctor.h"

#include "inspect/info.h"
#include "support/unit.h"

/* ── versions and their faults ───────────────────────────────────────────────────────────────────────────────────── */

static struct version version_of(const char *text)
{
    struct version version;
    assert_true(version_read((quern_bytes){text, strlen(text)}, &version));
    return version;
}

static bool has_fault(enum product product, const char *version, const char *words)
{
    const struct fault *fault;
    for (size_t at = 0; (fault = fault_next(product, version_of(version), &at));)
        if (strstr(fault->what, words)) return true;
    return false;
}

static void a_version_is_read_from_its_text(void **state)
{
    (void)state;
    struct version version = {9, 9, 9};
    assert_true(version_read(bytes_of("7.0.15"), &version));
    assert_true(version.major == 7 && version.minor == 0 && version.patch == 15);
    assert_true(version_read(bytes_of("8.2"), &version));
    assert_true(version.major == 8 && version.minor == 2 && version.patch == 0);
    assert_true(version_read(bytes_of("8.0-m01"), &version) && version.patch == 0);
    static const char *const wrong[] = {"", "7", "7.", "x.1", ".1", "-1.0", "seven"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (version_read(bytes_of(wrong[i]), &version)) fail_msg("'%s' passed", wrong[i]);
    assert_false(version_read((quern_bytes){NULL, 0}, &version));
}

static void a_fault_begins_and_ends_with_its_versions(void **state)
{
    (void)state;
    static const struct {
        enum product product;
        const char *words, *last_before, *first_with, *last_with, *first_mended;
    } rows[] = {
        {PRODUCT_REDIS, "CVE-2022-31144", "6.2.16", "7.0.0", "7.0.3", "7.0.4"},
        {PRODUCT_REDIS, "CVE-2022-35951", "6.2.16", "7.0.0", "7.0.4", "7.0.5"},
        {PRODUCT_REDIS, "CVE-2024-31449", "6.2.16", "7.0.15", "7.2.5", "7.2.6"},
        {PRODUCT_REDIS, "CVE-2024-31449", "7.2.6", "7.4.0", "7.4.0", "7.4.1"},
        {PRODUCT_REDIS, "CVE-2024-46981", "6.2.16", "7.0.15", "7.2.6", "7.2.7"},
        {PRODUCT_REDIS, "CVE-2024-46981", "7.2.7", "7.4.0", "7.4.1", "7.4.2"},
        {PRODUCT_REDIS, "blocking read", "7.0.15", "7.2.0", "7.2.4", "7.2.5"},
        {PRODUCT_REDIS, "CVE-2025-49844", "6.2.16", "7.0.0", "7.2.10", "7.2.11"},
        {PRODUCT_REDIS, "CVE-2025-49844", "7.2.11", "7.4.0", "7.4.5", "7.4.6"},
        {PRODUCT_REDIS, "CVE-2025-49844", "7.4.6", "8.0.0", "8.0.3", "8.0.4"},
        {PRODUCT_REDIS, "CVE-2025-49844", "8.0.4", "8.2.0", "8.2.1", "8.2.2"},
        {PRODUCT_REDIS, "CVE-2025-62507", "8.0.4", "8.2.0", "8.2.2", "8.2.3"},
        {PRODUCT_REDIS, "CVE-2026-23479", "8.4.3", "8.6.0", "8.6.2", "8.6.3"},
        {PRODUCT_VALKEY, "CVE-2025-49844", "7.2.4", "8.0.0", "8.0.5", "8.0.6"},
        {PRODUCT_VALKEY, "CVE-2025-49844", "8.0.6", "8.1.0", "8.1.3", "8.1.4"},
        {PRODUCT_VALKEY, "CVE-2026-23479", "7.2.13", "8.0.0", "8.0.7", "8.0.8"},
        {PRODUCT_VALKEY, "CVE-2026-63639", "9.0.5", "9.1.0", "9.1.0", "9.1.1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool is_right = !has_fault(rows[i].product, rows[i].last_before, rows[i].words) &&
                        has_fault(rows[i].product, rows[i].first_with, rows[i].words) &&
                        has_fault(rows[i].product, rows[i].last_with, rows[i].words) &&
                        !has_fault(rows[i].product, rows[i].first_mended, rows[i].words);
        if (!is_right) fail_msg("%s from %s to %s", rows[i].words, rows[i].first_with, rows[i].last_with);
    }
    assert_false(has_fault(PRODUCT_VALKEY, "7.2.0", "CVE-2024-46981"));
    assert_false(has_fault(PRODUCT_REDIS, "99.0.0", ""));
}

static void the_least_versions_are_those_of_the_readme(void **state)
{
    (void)state;
    assert_false(version_is_served(PRODUCT_REDIS, version_of("6.2.16")));
    assert_true(version_is_served(PRODUCT_REDIS, version_of("7.0.0")));
    assert_false(version_is_served(PRODUCT_VALKEY, version_of("7.0.99")));
    assert_true(version_is_served(PRODUCT_VALKEY, version_of("7.2.4")));
}

/* ── what INFO says ──────────────────────────────────────────────────────────────────────────────────────────────── */

static void fields_of_info_are_found_by_their_whole_name(void **state)
{
    (void)state;
    static const char info[] =
        "# Memory\r\nused_memory_rss:5\r\nused_memory:1048576\r\nrole:master\r\nused_cpu_sys:12.034500\r\nempty:\r\n";
    assert_int_equal(info_number(info, "used_memory", -1), 1048576);
    assert_int_equal(info_number(info, "memory", -1), -1);
    assert_int_equal(info_number(info, "role", -1), -1);
    assert_int_equal(info_number(info, "empty", -1), -1);
    assert_int_equal(info_number(NULL, "used_memory", 7), 7);
    assert_true(info_is(info, "role", "master"));
    assert_false(info_is(info, "role", "mast"));
    assert_int_equal(info_us(info, "used_cpu_sys"), 12034500);
    assert_int_equal(info_us(info, "used_memory_rss"), 5000000);
    assert_int_equal(info_us(info, "used_cpu_user"), -1);
}

/* ── a server ────────────────────────────────────────────────────────────────────────────────────────────────────── */

#define SOUND                                                                                                            \
    "redis_version:99.0.0\r\nloading:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\naof_last_bgrewrite_status:ok\r\n" \
    "rdb_last_bgsave_status:ok\r\nused_memory:100000000\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n"               \
    "connected_clients:10\r\n"

/* Behind each other: the first of a name counts, so what is wrong stands in front. */
static json_t *judge(const char *wrong, const struct facts *like, bool *may_go_on)
{
    char info[4096];
    struct findings findings = {0};
    struct facts facts = like ? *like : (struct facts){.has_config = true, .has_snapshots = true, .appendfsync = "everysec"};
    snprintf(info, sizeof info, "%s" SOUND, wrong);
    facts.info = info;
    facts_take_info(&facts);
    doctor_server(&facts, &findings, may_go_on);
    json_t *list = findings_sorted(&findings);
    findings_close(&findings);
    assert_non_null(list);
    return list;
}

static void finds(const char *wrong, const struct facts *like, const char *level, const char *check, const char *words)
{
    size_t i;
    bool may_go_on, is_found = false;
    json_t *finding, *list = judge(wrong, like, &may_go_on);
    json_array_foreach(list, i, finding) is_found =
        is_found || (!strcmp(json_string_value(json_object_get(finding, "level")), level) &&
                     !strcmp(json_string_value(json_object_get(finding, "check")), check) &&
                     strstr(json_string_value(json_object_get(finding, "found")), words) &&
                     json_string_length(json_object_get(finding, "what_to_do")) > 0);
    if (!is_found || json_array_size(list) != 1) {
        char *text = json_dumps(list, JSON_INDENT(1));
        fail_msg("%s '%s' is not what was found: %s", level, words, text);
    }
    json_decref(list);
}

static void a_sound_server_has_no_findings(void **state)
{
    (void)state;
    bool may_go_on;
    json_t *list = judge("", NULL, &may_go_on);
    assert_int_equal(json_array_size(list), 0);
    assert_true(may_go_on);
    json_decref(list);
}

static void what_is_wrong_with_a_server_is_found(void **state)
{
    (void)state;
    const struct facts sound = {.has_config = true, .has_snapshots = true, .appendfsync = "everysec"};
    struct facts facts = sound;
    finds("redis_version:7.4.0\r\nvalkey_version:7.0.1\r\n", NULL, "error", "version", "Valkey 7.0.1");
    finds("redis_version:6.2.16\r\n", NULL, "error", "version", "Redis 6.2.16");
    finds("redis_version:8.6.4\r\n", NULL, "warning", "known_fault", "mended since 8.6.5");
    finds("loading:1\r\nloading_eta_seconds:7\r\n", NULL, "error", "loading", "7 s more");
    finds("aof_enabled:0\r\nrdb_changes_since_last_save:42\r\n", NULL, "warning", "persistence", "42 changes");
    finds("aof_last_write_status:err\r\n", NULL, "error", "disk", "append-only file");
    finds("rdb_last_bgsave_status:err\r\n", NULL, "error", "disk", "snapshot");
    finds("aof_last_bgrewrite_status:err\r\n", NULL, "warning", "disk", "rewrite");
    finds("maxmemory:1000000000\r\nmaxmemory_policy:allkeys-lru\r\n", NULL, "error", "eviction", "allkeys-lru");
    finds("evicted_keys:3\r\n", NULL, "warning", "eviction", "3 keys");
    finds("maxmemory:105000000\r\n", NULL, "warning", "memory", "95 of 100 MiB");
    finds("maxmemory:100000000\r\n", NULL, "error", "memory", "full");
    finds("rejected_connections:5\r\n", NULL, "warning", "clients", "5 connections were refused");
    finds("maxclients:11\r\n", NULL, "warning", "clients", "10 of 11");
    finds("role:slave\r\nmaster_link_status:down\r\n", NULL, "error", "replica", "is down");
    finds("min_slaves_good_slaves:0\r\n", NULL, "error", "replica", "NOREPLICAS");
    facts.min_replicas = 2;
    finds("min_slaves_good_slaves:1\r\n", &facts, "error", "replica", "1 replicas");
    facts = sound;
    facts.has_snapshots = false;
    finds("aof_enabled:0\r\n", &facts, "error", "persistence", "nothing to its disk");
    facts = sound;
    facts.timeout_s = 30;
    finds("", &facts, "warning", "idle_timeout", "timeout is 30");
    facts = (struct facts){.has_config = true, .has_snapshots = true, .appendfsync = "no"};
    finds("", &facts, "warning", "persistence", "appendfsync is no");
    facts = (struct facts){.why_not = "NOPERM"};
    finds("", &facts, "note", "config", "NOPERM");
}

static void a_clock_is_judged_as_far_as_the_way_lets_it_be_known(void **state)
{
    (void)state;
    bool may_go_on;
    struct facts facts = {.has_config = true, .has_snapshots = true, .ahead_ms = 1500, .unsure_ms = 600};
    json_t *list = judge("", &facts, &may_go_on);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    facts.unsure_ms = 400;
    finds("", &facts, "warning", "clock", "1.5 s ahead of");
    facts.ahead_ms = -7200000;
    finds("", &facts, "warning", "clock", "2 h behind");
}

static void what_a_distribution_mends_is_a_note(void **state)
{
    (void)state;
    size_t i;
    bool may_go_on;
    json_t *finding, *list = judge("redis_version:7.0.15\r\n", NULL, &may_go_on);
    assert_true(json_array_size(list) > 0);
    json_array_foreach(list, i, finding) assert_string_equal(json_string_value(json_object_get(finding, "level")), "note");
    json_decref(list);
    finds("redis_version:8.0.3\r\n", NULL, "warning", "known_fault", "mended since 8.0.4");
}

static void behind_a_server_that_cannot_serve_nothing_is_looked_at(void **state)
{
    (void)state;
    bool may_go_on;
    json_decref(judge("loading:1\r\n", NULL, &may_go_on));
    assert_false(may_go_on);
    json_decref(judge("redis_version:6.2.16\r\n", NULL, &may_go_on));
    assert_false(may_go_on);
    json_decref(judge("role:slave\r\n", NULL, &may_go_on));
    assert_true(may_go_on);
}

static void a_server_that_tells_nothing_of_itself_is_a_note(void **state)
{
    (void)state;
    bool may_go_on;
    struct findings findings = {0};
    struct facts facts = {.has_config = true};
    doctor_server(&facts, &findings, &may_go_on);
    assert_true(may_go_on);
    assert_int_equal(json_array_size(findings.list), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(findings.list, 0), "check")), "info");
    findings_close(&findings);
}

static void findings_are_worst_first_and_plain(void **state)
{
    (void)state;
    struct findings findings = {0};
    finding_add(&findings, FINDING_NOTE, "a", "do", "one");
    finding_add(&findings, FINDING_ERROR, "b", "do", "tw\no \xff");
    finding_add(&findings, FINDING_WARNING, "c", "do", "gr\xc3\xbcn");
    finding_add(&findings, FINDING_ERROR, "d", "do", "four");
    json_t *list = findings_sorted(&findings);
    static const char *const order[] = {"b", "d", "c", "a"};
    assert_int_equal(json_array_size(list), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "check")), order[i]);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "found")), "tw?o ?");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "found")), "gr\xc3\xbcn");
    json_decref(list);
    findings_close(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_read_from_its_text),
        cmocka_unit_test(a_fault_begins_and_ends_with_its_versions),
        cmocka_unit_test(the_least_versions_are_those_of_the_readme),
        cmocka_unit_test(fields_of_info_are_found_by_their_whole_name),
        cmocka_unit_test(a_sound_server_has_no_findings),
        cmocka_unit_test(what_is_wrong_with_a_server_is_found),
        cmocka_unit_test(a_clock_is_judged_as_far_as_the_way_lets_it_be_known),
        cmocka_unit_test(what_a_distribution_mends_is_a_note),
        cmocka_unit_test(behind_a_server_that_cannot_serve_nothing_is_looked_at),
        cmocka_unit_test(a_server_that_tells_nothing_of_itself_is_a_note),
        cmocka_unit_test(findings_are_worst_first_and_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
