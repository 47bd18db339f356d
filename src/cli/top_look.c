/* SPDX-License-Identifier: MIT */
#include "cli/top_look.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"

static void take_reason(char *why, size_t size, const quern_error *err)
{
    snprintf(why, size, "%s", err->text);
}

void sight_of_no_queue(struct sight *sight)
{
    json_decref(sight->queue);
    sight->queue = NULL;
    sight->why[0] = 0;
}

void sight_of_queue(struct sight *sight, const char *answer, const quern_error *err)
{
    sight_of_no_queue(sight);
    if (answer)
        sight->queue = json_loads(answer, JSON_ALLOW_NUL, NULL);
    else
        take_reason(sight->why, sizeof sight->why, err);
    if (answer && !sight->queue) snprintf(sight->why, sizeof sight->why, "what it answered could not be read");
}

/* ── the machine ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Between the look before and this one; null: the thread was not there then, or has none. */
static json_t *cpu_percent(const struct sight *before, const struct sight *now, const char *thread, const json_t *used)
{
    const json_t *then = json_object_get(before->used, thread);
    int64_t elapsed_ms = now->at_ms - before->at_ms;
    if (!json_is_integer(then) || !json_is_integer(used) || elapsed_ms <= 0) return json_null();
    return json_real(100.0 * (double)(json_integer_value(used) - json_integer_value(then)) / (double)elapsed_ms);
}

static bool add_job(const struct sight *before, struct sight *now, const json_t *process, json_t *job)
{
    char thread[64];
    const json_t *pid = json_object_get(process, "pid"), *used = json_object_get(job, "thread_cpu_ms");
    snprintf(thread, sizeof thread, "%lld:%lld", (long long)json_integer_value(pid),
             (long long)json_integer_value(json_object_get(job, "thread")));
    return !json_object_set(job, "pid", (json_t *)pid) &&
           !json_object_set(job, "consumer", json_object_get(process, "consumer")) &&
           !json_object_set_new(job, "cpu_percent", cpu_percent(before, now, thread, used)) &&
           (!json_is_integer(used) || !json_object_set(now->used, thread, (json_t *)used)) &&
           !json_array_append(now->jobs, job);
}

/* What is kept of a process is how many jobs it has. */
static bool add_process(const struct sight *before, struct sight *now, json_t *process)
{
    json_t *jobs = json_object_get(process, "jobs"), *job;
    size_t i;
    json_array_foreach(jobs, i, job) if (!add_job(before, now, process, job)) return false;
    return !json_object_set_new(process, "jobs", json_integer((json_int_t)json_array_size(jobs))) &&
           !json_array_append(now->processes, process);
}

static bool take_machine(const struct sight *before, struct sight *now, const char *answer)
{
    json_t *list = json_loads(answer, JSON_ALLOW_NUL, NULL), *process;
    size_t i;
    bool is_whole = list && now->processes && now->jobs && now->used;
    json_array_foreach(list, i, process) if (is_whole) is_whole = add_process(before, now, process);
    json_decref(list);
    return is_whole;
}

static void drop_machine(struct sight *sight)
{
    json_decref(sight->processes);
    json_decref(sight->jobs);
    json_decref(sight->used);
}

void sight_of_machine(struct sight *sight, const quern_config *config)
{
    struct sight before = *sight;
    quern_error err;
    char *answer = quern_machine_jobs(config, &err);
    sight->at_ms = clock_now_ns() / NS_PER_MS;
    sight->processes = json_array();
    sight->jobs = json_array();
    sight->used = json_object();
    sight->why_no_machine[0] = 0;
    if (!answer)
        take_reason(sight->why_no_machine, sizeof sight->why_no_machine, &err);
    else if (!take_machine(&before, sight, answer))
        snprintf(sight->why_no_machine, sizeof sight->why_no_machine, "no memory for what was seen");
    drop_machine(&before);
    quern_free(answer);
}

json_t *sight_object(const struct sight *sight)
{
    const char *why = *sight->why ? sight->why : *sight->why_no_machine ? sight->why_no_machine : NULL;
    return json_pack("{s:O?, s:s?, s:O?, s:O?}", "queue", sight->queue, "error", why, "jobs", sight->jobs, "processes",
                     sight->processes);
}

void sight_close(struct sight *sight)
{
    json_decref(sight->queue);
    drop_machine(sight);
}
