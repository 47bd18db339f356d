/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "embed/keeper.h"

static const struct verb table[] = {
    {"run", "[-c FILE] [--KEY VALUE ...] [EVENT -- COMMAND ...]", "take jobs from the stream and run them", verb_run,
     "Runs the worker modules that the configuration file names (\"workers\"), or one command per job of EVENT: the data on "
     "its\n"
     "standard input, QUERN_ID, QUERN_EVENT and QUERN_RETRIES in its environment; it exits with 0 when the job is done, with "
     "65\n"
     "when it can never be, with anything else when another try may help.\n\n"
     "The first SIGINT or SIGTERM: no new jobs, the unstarted ones go back at once, the running ones are finished. The second "
     "one:\n"
     "out. SIGTSTP pauses: nothing more is started, what was fetched stays ours; SIGCONT goes on. SIGHUP reads file, environment and\n"
     "options again, and opens the modules anew, while jobs run: all of it or nothing. A server that is down is waited for.\n\n"
     "  quern run image.resize -- ./resize.sh\n"
     "  quern run -c config/quern.json --redis redis://10.0.0.5 --threads 8\n"
     "  quern run -c quern.json --until-empty\n"},
    {"publish", "[--KEY VALUE ...] [--timeout SECONDS] EVENT [JSON | @FILE | -]", "put jobs into the stream", verb_publish,
     "Publishes one job whose data is JSON (an empty object if there is none) or the contents of FILE, and prints its id; or, "
     "with\n"
     "-, one job per line of standard input. Each batch is in the stream once or not at all, whatever becomes of the "
     "connection.\n"
     "After --timeout seconds (default: publish_ms) without an answer it gives up, and says which line was not confirmed "
     "first.\n\n"
     "  quern publish mail.send '{\"to\": \"a@example.org\"}'\n"
     "  quern publish image.resize @job.json\n"
     "  quern publish log.parse - < lines.jsonl\n"},
    {"help", "[VERB]", "say how a verb is used", verb_help, "quern help run\n"},
};

const struct verb *verbs(size_t *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}

void say(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
    fprintf(stderr, "quern: %s\n", text);
}

/* Where 0, 1 or 2 is closed, the next descriptor opened would take its number, and what we print would go to Redis. */
static bool has_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], KEEPER_VERB) == 0) return embed_keeper_main(argc, argv);
    if (!has_standard_descriptors()) return EXIT_FAILED;
    if (argc < 2) {
        say("no verb; right would be run, publish or help, as in: quern help run");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("quern %s\n", quern_version());
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return verb_help(1, argv);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(argv[1], table[i].name) == 0) return table[i].run(argc - 1, argv + 1);
    say("no verb '%s'; right would be run, publish or help", argv[1]);
    return EXIT_USAGE;
}
