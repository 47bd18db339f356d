/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"

static bool is_right(const struct view *view)
{
    static const char *const places[] = {"waiting", "delayed", "scheduled", "dead", "completed"};
    for (size_t i = 0; view->count == 1 && i < sizeof places / sizeof *places; i++)
        if (strcmp(view->words[0], places[i]) == 0) return true;
    return false;
}

static char *ask(const struct view *view, quern_error *err)
{
    return quern_queue_purge(view->config, view->words[0], view_flags(view), err);
}

static void show(const struct view *view, const json_t *answer)
{
    bool is_exact = !json_is_null(json_object_get(answer, "purged"));
    printf("%s%lld %s %s purged\n", is_exact ? "" : "at least ", view_number(answer, "purged_at_least"), view->words[0],
           view->is_dry_run ? "would be" : "were");
}

int verb_purge(int argc, char **argv)
{
    struct view view = {.limit = 0};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), VIEW_DRY_RUN_OPTION(&view), {NULL}};
    const struct view_verb verb = {"purge waiting|delayed|scheduled|dead|completed [options] (what runs is not purged)", own,
                                   is_right, ask, show};
    return view_run(&view, &verb, argc, argv);
}
