/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/print.h"
#include "cli/view.h"
#include "config/queues.h"

/* The group stands there as a word, so that none is removed because it is the default. */
static bool is_right(const struct view *view)
{
    return view->count == 1;
}

static char *ask(const struct view *view, quern_error *err)
{
    quern_config *one = served_one(view->config, err);
    char *answer = NULL;
    if (one && !quern_config_set(one, "group", view->words[0], err))
        answer = quern_queue_remove_group(one, view_flags(view), err);
    quern_config_free(one);
    return answer;
}

static void show(const struct view *view, const json_t *answer)
{
    printf("the group %s of %s %s removed, with %lld pending, %lld delayed, %lld in its retry stream and %lld to run alone\n",
           view->words[0], json_string_value(json_object_get(answer, "stream")), view->is_dry_run ? "would be" : "was",
           view_number(answer, "pending"), view_number(answer, "delayed"), view_number(answer, "retry"),
           view_number(answer, "alone"));
}

int verb_remove(int argc, char **argv)
{
    struct view view = {.limit = 0};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view),
                                      VIEW_DRY_RUN_OPTION(&view),
                                      {"force", .is_switch = true, .take = option_switch, .into = &view.is_forced},
                                      {NULL}};
    const struct view_verb verb = {"remove GROUP [options]", own, is_right, ask, show};
    return view_run(&view, &verb, argc, argv);
}
