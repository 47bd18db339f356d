/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/top_live.h"
#include "cli/top_screen.h"
#include "cli/view.h"
#include "config/config.h"
#include "config/queues.h"
#include "wire/url.h"

enum { EVERY_MS = 1000, EVERY_MIN_MS = 50, EVERY_MAX_MS = 3600000 };

/* A URL as it may be shown, without its passwords. Gives. */
static char *server_of(const char *text)
{
    struct url url;
    if (url_read(&url, text, NULL)) return NULL; /* why, is said where Redis would be */
    char *shown = strdup(url.shown);
    url_free(&url);
    return shown;
}

/* Two looks, every_ms apart; Redis takes the same time between its own two. */
static void look_twice(const struct view *view, const quern_config *queue, struct sight *sight)
{
    quern_error err;
    sight_of_machine(sight, view->config);
    int64_t end_ns = clock_deadline_ns(clock_now_ns(), view->every_ms);
    char *text = quern_queue_stats(queue, view->every_ms, &err);
    sight_of_queue(sight, text, &err);
    while (clock_now_ns() < end_ns) poll(NULL, 0, clock_poll_ms(end_ns)); /* Redis did not answer */
    sight_of_machine(sight, view->config);
    quern_free(text);
}

static void print_json(const struct sight *sight)
{
    json_t *object = sight_object(sight);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    if (text) printf("%s\n", text);
    free(text);
    json_decref(object);
}

static int show_once(const struct view *view, const quern_config *queue, struct page page)
{
    struct sight sight = {0};
    setlocale(LC_CTYPE, "");
    look_twice(view, queue, &sight);
    page.sight = &sight;
    page.stream = queue->stream;
    page.group = queue->group;
    if (view->is_json)
        print_json(&sight);
    else
        page_print(&page);
    bool is_seen = !*sight.why && !*sight.why_no_machine;
    if (!is_seen) say("%s", *sight.why ? sight.why : sight.why_no_machine);
    sight_close(&sight);
    if (fflush(stdout) == 0 && !ferror(stdout)) return is_seen ? EXIT_DONE : EXIT_FAILED;
    say("standard output: %s", strerror(errno));
    return EXIT_FAILED;
}

static bool is_once(const struct view *view)
{
    return view->is_once || view->is_json;
}

static const char *why_not(const struct view *view)
{
    return is_once(view) ? NULL : screen_why_not();
}

static int show(const struct view *view, struct served *served)
{
    char *server = server_of(view->config->redis);
    const struct page page = {.server = server ? server : "", .state = "", .width = PAGE_WIDTH_MAX};
    int status = is_once(view) ? show_once(view, served->at[0], page) : live_view(view->config, served, view->every_ms, page);
    if (is_once(view)) served_close(served);
    free(server);
    return status;
}

static int run(const struct view *view)
{
    struct served served;
    quern_error err;
    if (!journals_find(view->config, &err) && !served_open(view->config, &served, &err)) return show(view, &served);
    say("%s", err.text);
    return EXIT_USAGE;
}

int verb_top(int argc, char **argv)
{
    struct view view = {.every_ms = EVERY_MS, .why_not = why_not, .run = run};
    const struct verb_option own[] = {
        VIEW_JSON_OPTION(&view),
        {"once", .is_switch = true, .take = option_switch, .into = &view.is_once},
        {"every", .take = option_number, .into = &view.every_ms, .min = EVERY_MIN_MS, .max = EVERY_MAX_MS},
        {NULL}};
    const struct view_verb verb = {.right = "top [options]", .own = own, .is_right = view_has_no_words};
    return view_run(&view, &verb, argc, argv);
}
