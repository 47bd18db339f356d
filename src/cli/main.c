/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/cli.h"
#include "embed/keeper.h"
#include "supervise/child.h"

static const struct verb table[] = {
    {"run", "[-c FILE] [--KEY VALUE ...] [EVENT -- COMMAND ...]", "take jobs from the stream and run them", verb_run,
     "Runs the worker modules that the configuration file names (\"workers\"), or one command per job of EVENT: the data on "
     "its\n"
     "standard input, QUERN_ID, QUERN_EVENT and QUERN_RETRIES in its environment; it exits with 0 when the job is done, with "
     "65\n"
     "when it can never be, with anything else when another try may help.\n\n"
     "The first SIGINT or SIGTERM: no new jobs, the unstarted ones go back at once, the running ones are finished. The second "
     "one:\n"
     "out. SIGTSTP pauses: nothing more is started, what was fetched stays ours; SIGCONT goes on. SIGHUP reads file, "
     "environment and\n"
     "options again, and opens the modules anew, while jobs run: all of it or nothing. A server that is down is waited for.\n\n"
     "  quern run image.resize -- ./resize.sh\n"
     "  quern run -c config/quern.json --redis redis://10.0.0.5 --threads 8\n"
     "  quern run -c quern.json --until-empty\n"},
    {"publish", "[--KEY VALUE ...] [OPTION ...] EVENT [JSON | @FILE | -]", "put jobs into the stream", verb_publish,
     "Publishes one job whose data is JSON (an empty object if there is none) or the contents of FILE, and prints its id; or, "
     "with\n"
     "-, one job per line of standard input. Each batch is in the stream once or not at all, whatever becomes of the "
     "connection.\n"
     "After --timeout seconds (default: publish_ms) without an answer it gives up, and says which line was not confirmed "
     "first.\n\n"
     "  --delay_ms N       not before N milliseconds are over          --at_ms N   not before then (Unix milliseconds)\n"
     "  --expire_at_ms N   dead if no thread has taken it until then   --key TEXT  its field \"key\"\n"
     "  --raw              the data is bytes, not JSON (module digest takes them; a handler sees data_type \"bytes\")\n"
     "  --unique KEY       published once while its window is open, unique_ms; prints the id of the job that is there\n"
     "  --wait             waits until it has ended in --group, however often it is retried, and prints its result instead of "
     "its\n"
     "                     id: as it is, or with - a line of JSON for each job. Exit status 1: it is dead (its error is said), "
     "or it\n"
     "                     had not ended after --wait_ms N (default: no limit; stands for --wait, too), or that is all that "
     "can be\n"
     "                     told, for results are kept with completed_max only. Ctrl-C ends the wait, not the job\n"
     "  --then EVENT       with -: all lines are one batch; when its jobs have ended, a job of EVENT is published, which is "
     "told\n"
     "                     how many are done and dead; prints its id. --then_data JSON: an object, its data beside that\n\n"
     "  quern publish mail.send '{\"to\": \"a@example.org\"}'\n"
     "  quern publish image.resize @job.json\n"
     "  quern publish log.parse - < lines.jsonl\n"
     "  quern publish log.parse - --then log.report < lines.jsonl\n"
     "  quern publish report.make --unique monthly-7 --delay_ms 60000\n"
     "  sum=$(quern publish digest.file '{\"path\": \"/etc/hosts\"}' --wait_ms 10000) || exit\n"},
    {"stats", "[--KEY VALUE ...] [--sample_ms N] [--json]", "say how many jobs wait, run and are dead, and how fast they go",
     verb_stats,
     "Looks at the stream and the group in Redis, whoever works for them, and changes nothing. What is done per second is\n"
     "seen by looking twice, --sample_ms apart (default 1000; 0: looks once): each job that was settled counts, also one that\n"
     "is retried or dead.\n\n"
     "  quern stats --redis redis://10.0.0.5 --group app.workers\n"
     "  quern stats --json --sample_ms 0\n"},
    {"pending", "[--KEY VALUE ...] [--limit N] [--json]", "list the jobs that processes hold, oldest first", verb_pending,
     "IDLE: since it was handed out or its lease renewed; over lease_ms nobody looks after it any more. TRIES: how often\n"
     "Redis handed it out. AGE: since it was published. --limit: how many are shown at most (default 100).\n\n"
     "  quern pending --limit 20\n"},
    {"top", "[--KEY VALUE ...] [--every MS] [--once] [--json]", "watch the queue, and what runs on this machine", verb_top,
     "The queue's numbers, as quern stats has them, and the jobs of all processes of yours on this machine that keep a crash\n"
     "journal (quern run does): how long they have run, what their threads use, how far they say they are. Anew each --every\n"
     "milliseconds (default 1000). Keys: q quit, p pause, s sort, arrows and pages scroll; n the next queue, where there are\n"
     "several (of \"queues\" the first is shown first, or the one that --stream names).\n\n"
     "--once: as text, once, of two looks so far apart; --json: likewise, as JSON. Both exit with 1 if Redis does not "
     "answer.\n\n"
     "  quern top --redis redis://10.0.0.5 --every 500\n"
     "  quern top --json\n"},
    {"dead", "list | show ID [--KEY VALUE ...] [--limit N] [--json]", "list the dead letters, newest first, or show one whole",
     verb_dead,
     "The dead letters of all groups of the stream (dead_letter_stream). ID: where the letter lies in there, such as\n"
     "1700000000000-0, or its own id, or that of the job it is about. --limit: how many are listed at most (default 100).\n\n"
     "  quern dead list\n"
     "  quern dead show 6f1c2e0a-5a0e-4d0c-9c51-6d0f6f6a3f55 --json\n"},
    {"peek",
     "waiting | running | delayed | scheduled | alone | dead | completed | batches [--KEY VALUE ...] [--limit N] [--json]",
     "list the jobs at one place", verb_peek,
     "waiting: unread by the group, also in its retry stream; alone: to run with nothing else beside them; scheduled:\n"
     "published for later; completed: the log, newest first. Others: oldest, or first due, first. The data is cut; --json\n"
     "gives it whole, in hex if it is no JSON. --limit: how many are shown at most (default 100).\n\n"
     "  quern peek waiting --limit 5\n"
     "  quern peek delayed --json\n"},
    {"replay", "all | ID [--event E] [--reason R] [--limit N] [--per_s N] [--dry_run] [--KEY VALUE ...] [--json]",
     "make jobs of dead letters again", verb_replay,
     "Oldest first, each into the retry stream of the group that it died in, as it was and with a fresh budget; its letter\n"
     "goes in the same step. One that names no group (other software's) goes into the stream. ID: of the letter's entry, its\n"
     "own, or that of its job; exit status 1: it stays. --per_s: at most so many a second. --dry_run: counts, and changes\n"
     "nothing.\n\n"
     "  quern replay all --reason timeout --per_s 50\n"
     "  quern replay 6f1c2e0a-5a0e-4d0c-9c51-6d0f6f6a3f55\n"},
    {"purge", "waiting | delayed | scheduled | dead | completed [--dry_run] [--KEY VALUE ...] [--json]", "empty one place",
     verb_purge,
     "waiting: only for this group: it passes over what it has not read. dead: the letters of all groups. What runs stays.\n\n"
     "  quern purge completed\n"
     "  quern purge waiting --group app.workers --dry_run\n"},
    {"remove", "GROUP [--force] [--dry_run] [--KEY VALUE ...] [--json]", "remove a group with all that is only its own",
     verb_remove,
     "Not while jobs are pending, or a process was seen within ten lease_ms; --force does it all the same. Dead letters\n"
     "stay.\n\n"
     "  quern remove app.old\n"},
    {"cancel", "ID [--dry_run] [--KEY VALUE ...] [--json]", "cancel a job, wherever it is", verb_cancel,
     "ID: the job's own, as quern publish has printed it. One that is scheduled or delayed is gone at once. One that waits or\n"
     "runs is marked: within half a second each process of the group knows it; it does not start (a dead letter, cancelled),\n"
     "or its handler is told, and is not tried again.\n\n"
     "  quern cancel 6f1c2e0a-5a0e-4d0c-9c51-6d0f6f6a3f55\n"},
    {"doctor", "[--KEY VALUE ...] [--json]", "say what is wrong with the server and the queue, and what to do about it",
     verb_doctor,
     "Looks at the server (version, disk, memory, clock, replicas), at the keys of the stream, and at who works for the "
     "group;\n"
     "changes nothing. Exit status: 0 nothing is wrong; 1 something is (an error or a warning; notes do not count), or it\n"
     "could not be looked at. What the user of Redis may not see is a note: +config|get lets it see more.\n\n"
     "  quern doctor --redis redis://10.0.0.5 --group app.workers\n"
     "  quern doctor --json\n"},
    {"bench", "[--jobs N] [--bytes N] [--KEY VALUE ...] [--json]", "measure how fast this server and this machine are",
     verb_bench,
     "Publishes --jobs (default 100000) jobs of --bytes (default 64) to a stream of its own, has a pool take them whose\n"
     "handler does nothing, and then single jobs, one by one. Says how fast it went, what it cost this process and the "
     "server,\n"
     "and which of them is the limit. The stream, quern-bench-<random>, is removed afterwards, also after Ctrl-C (not after a\n"
     "second one). Others feel it meanwhile: the server is at work. Keys such as threads and batch_size count as in a pool.\n\n"
     "  quern bench --redis redis://10.0.0.5 --bytes 2000\n"
     "  quern bench --jobs 1000000 --threads 8 --json\n"},
    {"pause", "[EVENT] [--dry_run] [--KEY VALUE ...] [--json]", "have no process of the group start jobs of an event, or any",
     verb_pause,
     "What runs goes on; what was fetched goes back at no cost, and comes again when it goes on. It holds until quern resume,\n"
     "whoever starts or stops meanwhile. Each process knows it within half a second.\n\n"
     "  quern pause mail.send\n"
     "  quern pause --group app.workers\n"},
    {"resume", "[EVENT] [--dry_run] [--KEY VALUE ...] [--json]", "have paused jobs started again", verb_resume,
     "Without EVENT: all that was paused. What went back while it was paused comes within 20 seconds.\n\n"
     "  quern resume mail.send\n"
     "  quern resume\n"},
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
    bytes_tame(text);
    fprintf(stderr, "quern: %s\n", text);
}

/* "run, publish or help" */
static void write_names(char *text, size_t size)
{
    size_t count = sizeof table / sizeof *table, len = 0;
    for (size_t i = 0; i < count && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", table[i].name);
}

int refuse_verb(const char *word)
{
    char names[256];
    write_names(names, sizeof names);
    if (word)
        say("no verb '%s'; right would be %s", word, names);
    else
        say("no verb; right would be %s, as in: quern help %s", names, table[0].name);
    return EXIT_USAGE;
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
    if (argc > 1 && strncmp(argv[1], CHILD_WORD, strlen(CHILD_WORD)) == 0) return run_supervised(argc - 1, argv + 1);
    if (argc < 2) return refuse_verb(NULL);
    if (strcmp(argv[1], "--version") == 0) {
        printf("quern %s\n", quern_version());
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return verb_help(1, argv);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(argv[1], table[i].name) == 0) return table[i].run(argc - 1, argv + 1);
    return refuse_verb(argv[1]);
}
