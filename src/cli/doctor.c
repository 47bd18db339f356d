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

/* says_stream: there are several. */
static void show_finding(const json_t *finding, bool says_stream)
{
    char *level = text_of(finding, "level"), *check = text_of(finding, "check");
    char *stream = says_stream && json_is_string(json_object_get(finding, "stream")) ? text_of(finding, "stream") : NULL;
    char *found = text_of(finding, "found"), *what_to_do = text_of(finding, "what_to_do");
    if (level && check && found && what_to_do)
        printf("%-8s %s%s%s: %s\n         -> %s\n", level, check, stream ? " of " : "", stream ? stream : "", found,
               what_to_do);
    free(level);
    free(check);
    free(stream);
    free(found);
    free(what_to_do);
}

static void show(const struct view *view, const json_t *answer)
{
    static const struct column server[] = {
        {"server", "server", CELL_TEXT}, {"version", "version", CELL_TEXT}, {"redis", "redis", CELL_TEXT}, {NULL}};
    static const struct column queues[] = {{"STREAM", "stream", CELL_TEXT}, {"GROUP", "group", CELL_TEXT}, {NULL}};
    const json_t *list = json_object_get(answer, "findings");
    bool says_stream = json_array_size(json_object_get(answer, "queues")) > 1;
    (void)view;
    print_object(answer, server);
    putchar('\n');
    print_table(json_object_get(answer, "queues"), queues);
    putchar('\n');
    for (size_t i = 0; i < json_array_size(list); i++) show_finding(json_array_get(list, i), says_stream);
    if (!json_array_size(list)) puts("nothing is wrong");
}

/* Notes do not count. */
static bool is_well(const struct view *view, const char *text)
{
    (void)view;
    json_t *answer = json_loads(text, 0, NULL);
    const json_t *list = json_object_get(answer, "findings");
    bool is_wrong = !answer;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *level = json_string_value(json_object_get(json_array_get(list, i), "level"));
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
