/* SPDX-License-Identifier: MIT */
#include "cli/print.h"
#include "cli/view.h"

static const struct column columns[] = {{"ENTRY", "entry", CELL_TEXT},
                                        {"PROCESS", "consumer", CELL_TEXT},
                                        {"IDLE", "idle_ms", CELL_MS},
                                        {"TRIES", "deliveries", CELL_NUMBER},
                                        {"RETRIES", "retries", CELL_NUMBER},
                                        {"AGE", "age_ms", CELL_MS},
                                        {"ID", "id", CELL_TEXT},
                                        {"EVENT", "event", CELL_TEXT},
                                        {NULL}};

static char *ask(const struct view *view, quern_error *err)
{
    return quern_queue_pending(view->config, (size_t)view->limit, err);
}

static void show(const struct view *view, const json_t *answer)
{
    print_table(answer, columns);
    view_say_limit(view, answer);
}

int verb_pending(int argc, char **argv)
{
    struct view view = {.limit = VIEW_LIMIT};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), VIEW_LIMIT_OPTION(&view), {NULL}};
    const struct view_verb verb = {"pending [options]", own, view_has_no_words, ask, show};
    return view_run(&view, &verb, argc, argv);
}
