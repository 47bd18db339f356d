/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"

enum { PER_S_MAX = 1000000 };

static bool is_right(const struct view *view)
{
    return view->count == 1 && *view->words[0];
}

static bool is_all(const struct view *view)
{
    return strcmp(view->words[0], "all") == 0;
}

static char *ask(const struct view *view, quern_error *err)
{
    const quern_replay which = {.size = sizeof which,
                                .id = is_all(view) ? NULL : view->words[0],
                                .event = view->event,
                                .reason = view->reason,
                                .limit = (size_t)view->limit,
                                .per_s = (unsigned)view->per_s};
    return quern_queue_replay(view->config, &which, view_flags(view), err);
}

/* What did not go where one would look for it, or did not go at all. */
static void say_rest(const json_t *answer)
{
    const char *stream = json_string_value(json_object_get(answer, "stream")),
               *why = json_string_value(json_object_get(answer, "failed_because"));
    long long to_stream = view_number(answer, "to_stream"), gone = view_number(answer, "gone");
    long long homeless = view_number(answer, "without_group"), unreadable = view_number(answer, "unreadable");
    long long failed = view_number(answer, "failed");
    if (to_stream)
        say("%lld of these name no group: they go into the stream %s, where every group reads them", to_stream, stream);
    if (gone) say("%lld were gone: somebody else has replayed or deleted them", gone);
    if (homeless) say("%lld stay: their group is not there any more", homeless);
    if (unreadable) say("%lld stay: no job can be made of what they hold", unreadable);
    if (failed) say("%lld stay: Redis could not write them: %s", failed, why ? why : "?");
}

static void show(const struct view *view, const json_t *answer)
{
    long long replayed = view_number(answer, "replayed");
    printf("%lld dead letter%s %s replayed\n", replayed, replayed == 1 ? "" : "s",
           view->is_dry_run ? "would be"
           : replayed == 1  ? "was"
                            : "were");
    say_rest(answer);
}

/* Who asked for one letter asked for it to be replayed; of all some may stay. */
static bool is_well(const struct view *view, const char *text)
{
    json_t *answer = is_all(view) || view->is_dry_run ? NULL : json_loads(text, JSON_ALLOW_NUL, NULL);
    bool has_stayed =
        answer && view_number(answer, "without_group") + view_number(answer, "unreadable") + view_number(answer, "failed");
    json_decref(answer);
    return !has_stayed;
}

int verb_replay(int argc, char **argv)
{
    struct view view = {.is_well = is_well};
    const struct verb_option own[] = {VIEW_JSON_OPTION(&view),
                                      VIEW_LIMIT_OPTION(&view),
                                      VIEW_DRY_RUN_OPTION(&view),
                                      {"event", .take = option_text, .into = &view.event},
                                      {"reason", .take = option_text, .into = &view.reason},
                                      {"per_s", .take = option_number, .into = &view.per_s, .min = 1, .max = PER_S_MAX},
                                      {NULL}};
    const struct view_verb verb = {"replay all | ID [options]", own, is_right, ask, show};
    return view_run(&view, &verb, argc, argv);
}
