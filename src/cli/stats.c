/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/print.h"
#include "cli/view.h"

enum { SAMPLE_MS = 1000, SAMPLE_MAX_MS = 3600000 };

static const struct column queue[] = {
    {"stream", "stream", CELL_TEXT},
    {"group", "group", CELL_TEXT},
    {"waiting", "waiting", CELL_NUMBER},
    {"running", "running", CELL_NUMBER},
    {"delayed", "delayed", CELL_NUMBER},
    {"scheduled", "scheduled", CELL_NUMBER},
    {"next is due in", "next_due_ms", CELL_MS},
    {"to run alone", "alone", CELL_NUMBER},
    {"dead", "dead", CELL_NUMBER},
    {"done per second", "done_per_s", CELL_REAL},
    {"oldest waits for", "oldest_waiting_ms", CELL_MS},
    {"oldest held for", "oldest_held_ms", CELL_MS},
    {"completed log", "completed", CELL_NUMBER},
    {"stream's length", "length", CELL_NUMBER},
    {NULL},
};
static const struct column processes[] = {
    {"PROCESS", "consumer", CELL_TEXT}, {"HELD", "held", CELL_NUMBER}, {"IDLE", "idle_ms", CELL_MS}, {NULL}};

static char *ask(const struct view *view, quern_error *err)
{
    return quern_queue_stats(view->config, view->sample_ms, err);
}

static void show(const struct view *view, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "processes");
    (void)view;
    print_object(answer, queue);
    if (json_array_size(list)) putchar('\n');
    if (json_array_size(list)) print_table(list, processes);
    if (!json_is_true(json_object_get(answer, "has_group")))
        say("the group is not there: no process has made it yet, or its name is wrong");
    else if (json_is_null(json_object_get(answer, "waiting")))
        say("at least %lld wait: Redis cannot tell how many, as some were deleted unread",
            (long long)json_integer_value(json_object_get(answer, "waiting_at_least")));
}

int verb_stats(int argc, char **argv)
{
    struct view view = {.sample_ms = SAMPLE_MS};
    const struct verb_option own[] = {
        VIEW_JSON_OPTION(&view),
        {"sample_ms", .take = option_number, .into = &view.sample_ms, .min = 0, .max = SAMPLE_MAX_MS},
        {NULL}};
    const struct view_verb verb = {"stats [options]", own, view_has_no_words, ask, show};
    return view_run(&view, &verb, argc, argv);
}
