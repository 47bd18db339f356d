/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/table.h"

static void print_line(void *user, const char *text)
{
    (void)user;
    printf("  %s\n", text);
}

static void print_verb(const struct verb *verb)
{
    printf("quern %s %s\n    %s\n\n%s", verb->name, verb->arguments, verb->sentence, verb->manual);
    if (strcmp(verb->name, "help") == 0) return;
    printf("\nOptions, each also a key of the file given by -c and, as QUERN_<KEY>, a variable of the environment:\n");
    config_help(print_line, NULL);
}

static void print_all(void)
{
    size_t count;
    const struct verb *verb = verbs(&count);
    printf("quern %s: runs jobs from a Redis stream on all cores, and loses none.\n\n", quern_version());
    for (size_t i = 0; i < count; i++) printf("  quern %-8s %s\n      %s\n", verb[i].name, verb[i].arguments, verb[i].sentence);
    printf("  quern --version\n\nExit status: 0 done, 1 it could not do what was asked, 2 wrong usage or configuration.\n");
}

int verb_help(int argc, char **argv)
{
    size_t count;
    const struct verb *verb = verbs(&count);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_all();
        return EXIT_DONE;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(argv[1], verb[i].name) != 0) continue;
        print_verb(&verb[i]);
        return EXIT_DONE;
    }
    return refuse_verb(argv[1]);
}
