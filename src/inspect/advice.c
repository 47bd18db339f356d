/* SPDX-License-Identifier: MIT */
#include "inspect/advice.h"

#include <string.h>

#include "base/err.h"
#include "inspect/doctor.h"
#include "inspect/info.h"

/* Whatever maxmemory is now: it can be set at any time. */
static int check_policy(const struct facts *facts, const quern_config *config, quern_error *err)
{
    quern_bytes policy = info_field(facts->info, "maxmemory_policy");
    if (!policy.len || bytes_is(policy, "noeviction") || config->allow_eviction) return QUERN_OK;
    return err_set(
        err, QUERN_E_CONFIG,
        "allow_eviction: the server's maxmemory-policy is %.*s: when it is full it deletes keys, and streams of jobs are "
        "keys; set maxmemory-policy noeviction there, or allow_eviction here",
        (int)policy.len, policy.at);
}

static const char *text_of(const json_t *finding, const char *name)
{
    return json_string_value(json_object_get(finding, name));
}

/* One line for each check: of a version's faults the worst is told, and how many more there are. */
static void say(struct log *log, const json_t *sorted)
{
    for (size_t i = 0; i < json_array_size(sorted);) {
        const json_t *finding = json_array_get(sorted, i);
        const char *check = text_of(finding, "check");
        size_t same = 1;
        while (i + same < json_array_size(sorted) && !strcmp(text_of(json_array_get(sorted, i + same), "check"), check)) same++;
        log_event(log, strcmp(text_of(finding, "level"), "note") ? LOG_WARNING : LOG_INFO, "advice", LOG_TEXT("check", check),
                  LOG_TEXT("found", text_of(finding, "found")), LOG_INT("more", same - 1),
                  LOG_TEXT("then", text_of(finding, "what_to_do")));
        i += same;
    }
}

int advice_give(struct conn *conn, const quern_config *config, struct log *log, quern_error *err)
{
    struct look look = {.conn = conn, .url = *conn_url(conn)}; /* lent, not to be closed */
    struct facts facts;
    struct findings findings = {0};
    if (facts_ask(&look, &facts, NULL)) return QUERN_OK;
    int code = check_policy(&facts, config, err);
    if (!code && facts.info) doctor_advice(&facts, &findings);
    json_t *sorted = code ? NULL : findings_sorted(&findings);
    say(log, sorted);
    json_decref(sorted);
    findings_close(&findings);
    facts_close(&facts);
    return code;
}
