/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"

static const struct column columns[] = {{"ENTRY", "entry", CELL_TEXT},          {"DIED", "died_at", CELL_TEXT},
                                        {"REASON", "reason", CELL_TEXT},        {"RETRIES", "retries", CELL_NUMBER},
                                        {"EVENT", "original_event", CELL_TEXT}, {"JOB", "original_id", CELL_TEXT},
                                        {"ERROR", "error", CELL_TEXT},          {NULL}};
static const struct column letter[] = {{"entry", "entry", CELL_TEXT},
                                       {"id", "id", CELL_TEXT},
                                       {"died", "died_at", CELL_TEXT},
                                       {"job", "original_id", CELL_TEXT},
                                       {"event", "original_event", CELL_TEXT},
                                       {"reason", "reason", CELL_TEXT},
                                       {"error", "error", CELL_TEXT},
                                       {"group", "group", CELL_TEXT},
                                       {"retries", "retries", CELL_NUMBER},
                                       {"deliveries", "deliveries", CELL_NUMBER},
                                       {NULL}};

static bool is_show(const struct view *view)
{
    return strcmp(view->words[0], "show") == 0;
}

static bool is_right(const struct view *view)
{
    if (view->count == 1) return strcmp(view->words[0], "list") == 0;
    return view->count == 2 && is_show(view);
}

static char *ask(const struct view *view, quern_error *err)
{
    return is_show(view) ? quern_queue_letter(view->config, view->words[1], err)
                         : quern_queue_dead(view->config, (size_t)view->limit, err);
}

/* Whatever else the entry has, by its own names. */
static void show_fields(const json_t *fields)
{
    static const struct column name = {"name", "name", CELL_TEXT}, value = {"value", "value", CELL_TEXT};
    for (size_t i = 0; i < json_array_size(fields); i++) {
        char *one = print_value(json_array_get(fields, i), &name), *other = print_value(json_array_get(fields, i), &value);
        printf("%s: %s\n", one ? one : "?", other ? other : "?");
        free(one);
        free(other);
    }
}

static void show_letter(const json_t *answer)
{
    const json_t *data = json_object_get(answer, "data");
    char *text = data ? json_dumps(data, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
    print_object(answer, letter);
    printf("\nIts fields:\n");
    show_fields(json_object_get(answer, "fields"));
    printf("data: ");
    print_lines(text ? text : "?");
    free(text);
}

static void show(const struct view *view, const json_t *answer)
{
    if (is_show(view)) {
        show_letter(answer);
        return;
    }
    print_table(answer, columns);
    view_say_limit(view, answer);
}

int verb_dead(int argc, char **argv)
{
    struct view view = {.limit = VIEW_LIMIT};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), VIEW_LIMIT_OPTION(&view), {NULL}};
    const struct view_verb verb = {"dead list [options], or: quern dead show ID [options]", own, is_right, ask, show};
    return view_run(&view, &verb, argc, argv);
}
