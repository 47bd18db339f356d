/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/print.h"
#include "cli/view.h"

static bool is_right(const struct view *view)
{
    return view->count == 1 && *view->words[0];
}

static char *ask(const struct view *view, quern_error *err)
{
    return quern_queue_cancel(view->config, view->words[0], view_flags(view), err);
}

static void show(const struct view *view, const json_t *answer)
{
    const char *would = view->is_dry_run ? "would be " : "";
    if (json_is_true(json_object_get(answer, "marked")))
        printf("none is scheduled or delayed: %smarked; if it waits it will not start, if it runs its handler is told\n",
               would);
    else
        printf("%lld scheduled and %lld delayed %scancelled\n", view_number(answer, "scheduled"),
               view_number(answer, "delayed"), would);
}

int verb_cancel(int argc, char **argv)
{
    struct view view = {.limit = 0};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), VIEW_DRY_RUN_OPTION(&view), {NULL}};
    const struct view_verb verb = {"cancel ID [options]", own, is_right, ask, show};
    return view_run(&view, &verb, argc, argv);
}
