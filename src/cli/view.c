/* SPDX-License-Identifier: MIT */
#include "cli/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "config/config.h"
#include "embed/embed.h"

bool view_has_no_words(const struct view *view)
{
    return view->count == 0;
}

unsigned view_flags(const struct view *view)
{
    return (view->is_dry_run ? QUERN_DRY_RUN : 0u) | (view->is_forced ? QUERN_FORCE : 0u);
}

long long view_number(const json_t *answer, const char *name)
{
    return (long long)json_number_value(json_object_get(answer, name));
}

void view_say_limit(const struct view *view, const json_t *list)
{
    if ((int64_t)json_array_size(list) == view->limit) say("the first %lld; more with --limit", (long long)view->limit);
}

static int status_of(int code)
{
    return code == QUERN_E_CONFIG || code == QUERN_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

static int show_answer(const struct view *view, const struct view_verb *verb, const char *text)
{
    json_t *answer = view->is_json ? NULL : json_loads(text, JSON_ALLOW_NUL, NULL);
    if (!answer && !view->is_json)
        answer = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL); /* of a job's numbers */
    if (answer)
        verb->show(view, answer);
    else if (view->is_json)
        printf("%s\n", text);
    else /* nested too deep to be read again */
        print_lines(text);
    json_decref(answer);
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_DONE;
    say("standard output: %s", strerror(errno));
    return EXIT_FAILED;
}

static int ask_and_show(const struct view *view, const struct view_verb *verb)
{
    quern_error err;
    char *text = verb->ask(view, &err);
    if (!text) {
        say("%s", err.text);
        return status_of(err.code);
    }
    int status = show_answer(view, verb, text);
    if (!status && view->is_well && !view->is_well(view, text)) status = EXIT_FAILED;
    quern_free(text);
    return status;
}

static int view_all(struct view *view, const struct view_verb *verb, int argc, char **argv)
{
    struct embed *embed;
    const struct verb_options options = {.own = verb->own, .may_mix = true};
    int rest, code = options_read(view->config, &options, argc, argv, &rest);
    if (code) return code == QUERN_E_GONE ? EXIT_DONE : EXIT_USAGE;
    view->words = argv + rest;
    view->count = argc - rest;
    if (!verb->is_right(view)) {
        if (view->count)
            say("%s: '%s' is not understood; right would be: quern %s", argv[0], view->words[view->count - 1], verb->right);
        else
            say("%s: something is missing; right would be: quern %s", argv[0], verb->right);
        return EXIT_USAGE;
    }
    const char *why = view->why_not ? view->why_not(view) : NULL;
    if (why) {
        say("%s: %s", argv[0], why);
        return EXIT_USAGE;
    }
    if (!server_has_place(view->config)) return EXIT_FAILED;
    if ((code = server_open(view->config, &(struct server_options){0}, &embed))) return status_of(code);
    int status = view->run ? view->run(view) : ask_and_show(view, verb);
    embed_close(embed);
    return status;
}

int view_run(struct view *view, const struct view_verb *verb, int argc, char **argv)
{
    view->config = quern_config_new();
    if (!view->config) {
        say("no memory");
        return EXIT_FAILED;
    }
    int status = view_all(view, verb, argc, argv);
    quern_config_free(view->config);
    return status;
}
