/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/campaign.h"

enum kind { NUMBER, REAL, MINUTES, SECONDS, TEXT, YES, NO };

/* Where the value goes: into the plan, or into the settings. */
struct option {
    const char *name;
    enum kind kind;
    void *at;
    const char *sentence;
};

static void use(const struct option *option, const char *value)
{
    switch (option->kind) {
    case NUMBER:
        *(uint32_t *)option->at = (uint32_t)strtoul(value, NULL, 10);
        break;
    case REAL:
        *(double *)option->at = atof(value);
        break;
    case MINUTES:
        *(uint64_t *)option->at = (uint64_t)(atof(value) * 60000);
        break;
    case SECONDS:
        *(uint64_t *)option->at = (uint64_t)(atof(value) * 1000);
        break;
    case TEXT:
        *(const char **)option->at = value;
        break;
    case YES:
        *(uint32_t *)option->at = 1;
        break;
    case NO:
        *(uint32_t *)option->at = 0;
    }
}

static void help(const struct option *options, FILE *to)
{
    fprintf(to, "usage: campaign --seed N --minutes M [options]\n");
    for (; options->name; options++) {
        bool has_value = options->kind != YES && options->kind != NO;
        fprintf(to, "  --%s%-*s %s\n", options->name, (int)(14 - strlen(options->name)), has_value ? " N" : "",
                options->sentence);
    }
}

static void set_defaults(struct plan *made)
{
    settings = (struct settings){.per_s = 8, .proxy_per_s = 4, .lasts_ms = 60000, .drain_ms = 60000};
    *made =
        (struct plan){.workers = 3, .feeders = 2, .rate = 6000, .threads = 3, .lease_ms = 600, .reap_ms = 200, .deletes = 1};
    made->retry_limit = made->max_crashes = 3;
    made->retry_base_ms = 40;
    made->timeout_ms = 2500;
    made->grace_ms = 300;
    made->max_deliveries = 8;
}

/* NULL: there is none of that name. */
static const struct option *find(const struct option *options, const char *word)
{
    if (strncmp(word, "--", 2)) return NULL;
    while (options->name && strcmp(word + 2, options->name)) options++;
    return options->name ? options : NULL;
}

static void check(const struct option *options, const struct plan *made)
{
    bool is_right = made->workers && made->workers <= 8 && made->feeders && made->feeders <= FEEDERS_MAX && made->rate;
    if (is_right) return;
    help(options, stderr);
    exit(2);
}

void options_read(int argc, char **argv, struct plan *made)
{
    static uint32_t keeps, is_durable;
    static const char *seed = "1";
    const struct option options[] = {
        {"seed", TEXT, &seed, "of all dice and of all jobs"},
        {"minutes", MINUTES, &settings.lasts_ms, "how long it lasts with faults (1)"},
        {"seconds", SECONDS, &settings.lasts_ms, "the same"},
        {"faults", REAL, &settings.per_s, "that the campaign throws, a second (8)"},
        {"proxy", REAL, &settings.proxy_per_s, "that the proxy throws, a second (4)"},
        {"only", TEXT, &settings.only, "those of the campaign's faults that are named, parted by commas"},
        {"workers", NUMBER, &made->workers, "pool processes, 1 to 8 (3)"},
        {"feeders", NUMBER, &made->feeders, "publishers, 1 to 8 (2)"},
        {"threads", NUMBER, &made->threads, "of a pool (3)"},
        {"rate", NUMBER, &made->rate, "jobs a second that are published at most (6000)"},
        {"lease", NUMBER, &made->lease_ms, "milliseconds (600)"},
        {"reap", NUMBER, &made->reap_ms, "milliseconds (200)"},
        {"latency", NUMBER, &made->latency_us, "microseconds of each way (0)"},
        {"no-deletes", NO, &made->deletes, "nothing is deleted that jobs need"},
        {"gentle", YES, &made->is_gentle, "no handler ends its process: a sanitizer would take it for its own"},
        {"durable", YES, &is_durable, "the server syncs each write"},
        {"patience", SECONDS, &settings.drain_ms, "how many seconds the end may take without faults (60)"},
        {"keep", YES, &keeps, "the folder stays, whatever the verdict"},
        {NULL, YES, NULL, NULL},
    };
    set_defaults(made);
    for (int i = 1; i < argc; i++) {
        const struct option *option = find(options, argv[i]);
        bool is_asked = !strcmp(argv[i], "--help"), has_value = option && option->kind != YES && option->kind != NO;
        if (!option || (has_value && i + 1 == argc)) {
            help(options, is_asked ? stdout : stderr);
            exit(is_asked ? 0 : 2);
        }
        use(option, has_value ? argv[++i] : NULL);
    }
    check(options, made);
    made->seed = strtoull(seed, NULL, 10);
    settings.keeps = keeps;
    settings.is_durable = is_durable;
    made->is_whole = settings.lasts_ms >= 180000 && !settings.only && settings.per_s >= 8 && made->deletes && !made->is_gentle;
}
