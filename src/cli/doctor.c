/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"

static char *ask(const struct view *view, quern_error *err)
{
    return quern_queue_doctor(view->config, err);
}

static char *text_of(const json_t *object, const char *member)
{
    return print_value(object, &(struct column){"", member, CELL_TEXT});
}

static void show_finding(const json_t *finding)
{
    char *level = text_of(finding, "level"), *check = text_of(finding, "check");
    char *found = text_of(finding, "found"), *what_to_do = text_of(finding, "what_to_do");
    if (level && check && found && what_to_do) printf("%-8s %s: %s\n         -> %s\n", level, check, found, what_to_do);
    free(level);
    free(check);
    free(found);
    free(what_to_do);
}

static void show(const struct view *view, const json_t *answer)
{
    static const struct column server[] = {{"server", "server", CELL_TEXT}, {"version", "version", CELL_TEXT},
                                           {"redis", "redis", CELL_TEXT},   {"stream", "stream", CELL_TEXT},
                                           {"group", "group", CELL_TEXT},   {NULL}};
    size_t i;
    const json_t *finding, *list = json_object_get(answer, "findings");
    (void)view;
    print_object(answer, server);
    putchar('\n');
    json_array_foreach((json_t *)(uintptr_t)list, i, finding) show_finding(finding);
    if (!json_array_size(list)) puts("nothing is wrong");
}

/* Notes do not count. */
static bool is_well(const char *text)
{
    size_t i;
    json_t *finding, *answer = json_loads(text, 0, NULL);
    bool is_wrong = !answer;
    json_array_foreach(json_object_get(answer, "findings"), i, finding)
    {
        const char *level = json_string_value(json_object_get(finding, "level"));
        is_wrong = is_wrong || !level || strcmp(level, "note") != 0;
    }
    json_decref(answer);
    return !is_wrong;
}

int verb_doctor(int argc, char **argv)
{
    struct view view = {.is_well = is_well};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), {NULL}};
    const struct view_verb verb = {"doctor [options]", own, view_has_no_words, ask, show};
    return view_run(&view, &verb, argc, argv);
}
