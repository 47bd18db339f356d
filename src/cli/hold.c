/* SPDX-License-Identifier: MIT */

/* The verbs pause and resume: of an event, or of all. */
#include <stdio.h>

#include "cli/print.h"
#include "cli/view.h"

static bool is_right(const struct view *view)
{
    return view->count == 0 || (view->count == 1 && *view->words[0]);
}

static const char *event_of(const struct view *view)
{
    return view->count ? view->words[0] : NULL;
}

static char *pause_it(const struct view *view, quern_error *err)
{
    return quern_queue_pause(view->config, event_of(view), view_flags(view), err);
}

static char *resume_it(const struct view *view, quern_error *err)
{
    return quern_queue_resume(view->config, event_of(view), view_flags(view), err);
}

static void show(const struct view *view, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "paused");
    if (!json_is_true(json_object_get(answer, "changed"))) say("that was so already");
    if (view->is_dry_run) say("nothing was changed: it was a dry run");
    printf("%s\n", json_array_size(list) ? "paused:" : "nothing is paused");
    for (size_t i = 0; i < json_array_size(list); i++) print_lines(json_string_value(json_array_get(list, i)));
}

static int run(const struct view_verb *verb, int argc, char **argv)
{
    struct view view = {.limit = 0};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view), VIEW_DRY_RUN_OPTION(&view), {NULL}};
    struct view_verb whole = *verb;
    whole.own = own;
    return view_run(&view, &whole, argc, argv);
}

int verb_pause(int argc, char **argv)
{
    return run(&(struct view_verb){"pause [EVENT] [options]", NULL, is_right, pause_it, show}, argc, argv);
}

int verb_resume(int argc, char **argv)
{
    return run(&(struct view_verb){"resume [EVENT] [options]", NULL, is_right, resume_it, show}, argc, argv);
}
