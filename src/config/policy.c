/* SPDX-License-Identifier: MIT */
#include "config/policy.h"

#include <jansson.h>

#include "base/err.h"
#include "config/config.h"
#include "config/table.h"
#include "config/value.h"
#include "config/workers.h"

/* Reads the object; NULL: what is wrong is in problems. Gives. */
static json_t *policy_parse(const char *text, struct problems *problems)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json && value_is_starved(&error))
        problems->is_out_of_memory = true;
    else if (!json)
        problems_add(problems, NULL, "not JSON at character %d; use an object such as {\"timeout_ms\": 60000}", error.position);
    else if (!json_is_object(json))
        problems_add(problems, NULL, "not an object; use one such as {\"timeout_ms\": 60000}");
    else
        workers_check_policy(json, "", problems);
    return json;
}

/* All per-event members of policy: from the object where it has them, else from config. */
static void policy_fill(const quern_config *config, const json_t *json, struct policy *policy, struct problems *problems)
{
    size_t count;
    const struct config_row *row = config_rows(&count);
    for (const struct config_row *end = row + count; row < end; row++) {
        if (!(row->flags & CONFIG_PER_EVENT)) continue;
        const json_t *own = json_object_get(json, row->name);
        void *to = (char *)policy + row->policy_at;
        bool is_filled = own ? value_store(row, own, to) : value_copy(row, (const char *)config + row->at, to);
        problems->is_out_of_memory |= !is_filled;
    }
}

int policy_read(const quern_config *config, const char *policy_json, struct policy *policy, quern_error *err)
{
    struct problems problems = {.where = "policy"};
    struct policy read = {0};
    json_t *json = policy_json ? policy_parse(policy_json, &problems) : NULL;
    int code = problems_verdict(&problems, err);
    if (!code) {
        policy_fill(config, json, &read, &problems);
        code = problems_verdict(&problems, err);
    }
    if (!code) *policy = read;
    json_decref(json);
    problems_clear(&problems);
    return code;
}
