/* SPDX-License-Identifier: MIT */

/* cli/view: what the verbs that look into a queue, or repair it, have in common: options, the server, one question to the
 * library, and its answer as JSON or for people.
 * Threads    main. */
#ifndef QUERN_CLI_VIEW_H
#define QUERN_CLI_VIEW_H

#include <jansson.h>

#include "cli/cli.h"

enum { VIEW_LIMIT = 100, VIEW_LIMIT_MAX = 1000000 };

struct view {
    quern_config *config;
    bool is_json, is_once, is_dry_run, is_forced;
    int64_t limit, sample_ms, every_ms, per_s;
    const char *event, *reason;
    char **words; /* behind the options */
    int count;
    bool (*is_well)(const struct view *view,
                    const char *text); /* does the answer say so? else the status is EXIT_FAILED; NULL: it says nothing of it */
    /* Either may be NULL. Before any server is asked: why it cannot be done here, NULL: it can. For more than one question and
     * answer, instead of the verb's own: returns the exit status. */
    const char *(*why_not)(const struct view *view);
    int (*run)(const struct view *view);
};

struct view_verb {
    const char *right; /* how it is used */
    const struct verb_option *own;
    bool (*is_right)(const struct view *view);                   /* are these the words that it takes? */
    char *(*ask)(const struct view *view, quern_error *err);     /* one of quern_queue_…() */
    void (*show)(const struct view *view, const json_t *answer); /* on standard output */
};

/* The options that every one of them has, and those of lists. */
#define VIEW_JSON_OPTION(view)                                                     \
    {                                                                              \
        "json", .is_switch = true, .take = option_switch, .into = &(view)->is_json \
    }
#define VIEW_LIMIT_OPTION(view)                                                                 \
    {                                                                                           \
        "limit", .take = option_number, .into = &(view)->limit, .min = 1, .max = VIEW_LIMIT_MAX \
    }

#define VIEW_DRY_RUN_OPTION(view)                                                        \
    {                                                                                    \
        "dry_run", .is_switch = true, .take = option_switch, .into = &(view)->is_dry_run \
    }

bool view_has_no_words(const struct view *view);

/* The bits that the options stand for. */
unsigned view_flags(const struct view *view);

/* A number of the answer; 0: there is none. */
long long view_number(const json_t *answer, const char *name);

/* Says so where a list may be longer than what is shown. */
void view_say_limit(const struct view *view, const json_t *list);

/* The whole verb. Returns the exit status. */
int view_run(struct view *view, const struct view_verb *verb, int argc, char **argv);

#endif
