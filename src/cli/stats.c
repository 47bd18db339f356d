/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/print.h"
#include "cli/view.h"
#include "config/config.h"
#include "config/queues.h"

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
    {"open batches", "batches", CELL_NUMBER},
    {"dead", "dead", CELL_NUMBER},
    {"published per second", "published_per_s", CELL_REAL},
    {"done per second", "done_per_s", CELL_REAL},
    {"oldest waits for", "oldest_waiting_ms", CELL_MS},
    {"oldest held for", "oldest_held_ms", CELL_MS},
    {"completed log", "completed", CELL_NUMBER},
    {"stream's length", "length", CELL_NUMBER},
    {NULL},
};
static const struct column processes[] = {
    {"PROCESS", "consumer", CELL_TEXT}, {"HELD", "held", CELL_NUMBER}, {"IDLE", "idle_ms", CELL_MS}, {NULL}};

/* Of a queue that nobody has made yet. */
static json_t *absent(const quern_config *config, const quern_error *err)
{
    return json_pack("{s:s, s:s, s:b, s:s}", "stream", config->stream, "group", config->group, "has_group", 0, "error",
                     err->text);
}

/* A list of them, in the order of the queues. */
static char *ask_each(const struct view *view, const struct served *served, quern_error *err)
{
    json_t *list = json_array();
    char *text = NULL;
    bool is_whole = list != NULL;
    err_set(err, QUERN_E_MEMORY, "no memory for what was seen"); /* where nothing else is said */
    for (size_t i = 0; i < served->count && is_whole; i++) {
        char *one = quern_queue_stats(served->at[i], view->sample_ms, err);
        json_t *answer = one                         ? json_loads(one, JSON_ALLOW_NUL, NULL)
                         : err->code == QUERN_E_GONE ? absent(served->at[i], err)
                                                     : NULL;
        is_whole = json_array_append_new(list, answer) == 0;
        quern_free(one);
    }
    if (is_whole) text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static char *ask(const struct view *view, quern_error *err)
{
    struct served served;
    if (served_open(view->config, &served, err)) return NULL;
    char *answer = served.count == 1 ? quern_queue_stats(served.at[0], view->sample_ms, err) : ask_each(view, &served, err);
    served_close(&served);
    return answer;
}

static void show_paused(const json_t *events)
{
    for (size_t i = 0; i < json_array_size(events); i++) {
        const char *event = json_string_value(json_array_get(events, i));
        if (strcmp(event, "*") == 0)
            say("all of it is paused (quern resume)");
        else
            say("paused: %s (quern resume %s)", event, event);
    }
}

static void show_one(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "processes");
    if (json_object_get(answer, "error")) {
        say("%s", json_string_value(json_object_get(answer, "error")));
        return;
    }
    print_object(answer, queue);
    show_paused(json_object_get(answer, "paused"));
    if (json_array_size(list)) putchar('\n');
    if (json_array_size(list)) print_table(list, processes);
    if (!json_is_true(json_object_get(answer, "has_group")))
        say("the group is not there: no process has made it yet, or its name is wrong");
    else if (json_is_null(json_object_get(answer, "waiting")))
        say("at least %lld wait: Redis cannot tell how many, as some were deleted unread",
            (long long)json_integer_value(json_object_get(answer, "waiting_at_least")));
}

static void show(const struct view *view, const json_t *answer)
{
    (void)view;
    if (json_is_object(answer)) show_one(answer);
    for (size_t i = 0; i < json_array_size(answer); i++) {
        if (i) putchar('\n');
        show_one(json_array_get(answer, i));
    }
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
