/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"

/* The jobs at a place as people read them; what is left out is in the JSON. */
static const struct column lying[] = {{"ENTRY", "entry", CELL_TEXT},
                                      {"AGE", "age_ms", CELL_MS},
                                      {"RETRIES", "retries", CELL_NUMBER},
                                      {"ID", "id", CELL_TEXT},
                                      {"EVENT", "event", CELL_TEXT},
                                      {"DATA", "data", CELL_CUT},
                                      {NULL}};
static const struct column timed[] = {{"DUE IN", "due_ms", CELL_MS},
                                      {"AGE", "age_ms", CELL_MS},
                                      {"RETRIES", "retries", CELL_NUMBER},
                                      {"ID", "id", CELL_TEXT},
                                      {"EVENT", "event", CELL_TEXT},
                                      {"DATA", "data", CELL_CUT},
                                      {NULL}};
static const struct column held[] = {{"ENTRY", "entry", CELL_TEXT}, {"PROCESS", "consumer", CELL_TEXT},
                                     {"IDLE", "idle_ms", CELL_MS},  {"ID", "id", CELL_TEXT},
                                     {"EVENT", "event", CELL_TEXT}, {NULL}};
static const struct column buried[] = {{"ENTRY", "entry", CELL_TEXT},
                                       {"DIED", "died_at", CELL_TEXT},
                                       {"REASON", "reason", CELL_TEXT},
                                       {"EVENT", "original_event", CELL_TEXT},
                                       {"JOB", "original_id", CELL_TEXT},
                                       {"ERROR", "error", CELL_CUT},
                                       {NULL}};
static const struct column logged[] = {{"FINISHED", "finished_at", CELL_TEXT},
                                       {"RUN MS", "run_ms", CELL_REAL},
                                       {"RETRIES", "retries", CELL_NUMBER},
                                       {"ID", "id", CELL_TEXT},
                                       {"EVENT", "event", CELL_TEXT},
                                       {"RESULT", "result", CELL_CUT},
                                       {NULL}};

static const struct column gathered[] = {{"CLOSED IN", "deadline_ms", CELL_MS},   {"ID", "id", CELL_TEXT},
                                         {"PUBLISHED", "published", CELL_NUMBER}, {"OPEN", "open", CELL_NUMBER},
                                         {"DONE", "done", CELL_NUMBER},           {"DEAD", "dead", CELL_NUMBER},
                                         {"WANTED", "wanted", CELL_NUMBER},       {NULL}};

static const struct place {
    const char *name;
    const struct column *columns;
} places[] = {{"waiting", lying}, {"running", held}, {"delayed", timed},    {"scheduled", timed},
              {"alone", lying},   {"dead", buried},  {"completed", logged}, {"batches", gathered}};

static const struct place *place_of(const struct view *view)
{
    for (size_t i = 0; view->count == 1 && i < sizeof places / sizeof *places; i++)
        if (strcmp(view->words[0], places[i].name) == 0) return &places[i];
    return NULL;
}

static bool is_right(const struct view *view)
{
    return place_of(view);
}

static char *ask(const struct view *view, quern_error *err)
{
    return quern_queue_peek(view->config, view->words[0], (size_t)view->limit, err);
}

static void show(const struct view *view, const json_t *answer)
{
    print_table(answer, place_of(view)->columns);
    view_say_limit(view, answer);
}

int verb_peek(int argc, char **argv)
{
    struct view view = {.limit = VIEW_LIMIT};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), VIEW_LIMIT_OPTION(&view), {NULL}};
    const struct view_verb verb = {"peek waiting|running|delayed|scheduled|alone|dead|completed|batches [options]", own,
                                   is_right, ask, show};
    return view_run(&view, &verb, argc, argv);
}
