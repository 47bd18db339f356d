/* SPDX-License-Identifier: MIT */
#include "support/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "blame/journal.h"

static char dir[] = "/tmp/quern-journal-XXXXXX";
static char urgent[] = "urgent", jobs[] = "jobs", g[] = "g";
static const struct source sources[] = {{.stream = urgent, .group = g}, {.stream = jobs, .group = g}};
static const struct journal_words words = {"unix:///s", "me-1", sources, 2, 5};

static int open_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* A process that begins a journal, runs two jobs and is killed. Its path. */
static char *left_behind(void)
{
    int ends[2], status;
    char path[512] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        quern_error err;
        struct journal *journal = journal_open(dir, NULL, &words, 8, &err);
        if (!journal) _exit(1);
        journal_start(journal, 1, 0, (struct entry_id){10, 1}, 1);
        board_start(&journal->records[7].board, &(struct board_head){.generation = 3}, bytes_of("sum"), bytes_of("id-7"));
        journal_start(journal, 7, 1, (struct entry_id){11, 2}, 4);
        journal_start(journal, 2, 0, (struct entry_id){12, 3}, 1);
        journal_end(journal, 2);
        ssize_t n = write(ends[1], journal->path, strlen(journal->path));
        (void)n;
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(read(ends[0], path, sizeof path - 1) > 0);
    close(ends[0]);
    close(ends[1]);
    return strdup(path);
}

static void what_ran_is_read_when_the_process_is_gone(void **state)
{
    (void)state;
    char *path = left_behind();
    struct journal *journal = journal_read(path, true);
    assert_non_null(journal);
    assert_true(journal_is_orphan(strrchr(path, '/') + 1));
    assert_string_equal(journal->head->consumer, "me-1");
    assert_int_equal(journal->head->count, 8);
    assert_int_equal(journal->head->source_count, 2);
    assert_string_equal(journal->head->sources[1].stream, "jobs");
    assert_string_equal(journal->head->sources[1].group, "g");
    assert_int_equal(atomic_load(&journal->records[1].state), RECORD_RUNS);
    assert_int_equal(atomic_load(&journal->records[2].state), RECORD_EMPTY);
    assert_true(journal->records[7].entry.ms == 11 && journal->records[7].entry.seq == 2);
    assert_int_equal(journal->records[7].deliveries, 4);
    struct board_row row;
    assert_true(journal_runs(&journal->records[7], &row));
    assert_true(row.is.generation == 3 && bytes_is(board_event(&row), "sum") && bytes_is(board_id(&row), "id-7"));
    assert_false(journal_runs(&journal->records[1], &row)); /* nobody has chalked it up */
    assert_false(journal_runs(&journal->records[2], &row));
    journal_drop(journal);
    unlink(path);
    free(path);
}

/* A server may be many nodes, whose names are longer than their place. */
static void a_journal_is_of_its_server_and_of_one_of_its_queues(void **state)
{
    static const struct source others[] = {{.stream = "other", .group = "g"}, {.stream = "jobs", .group = "g"}};
    char nodes[1000] = "redis://";
    quern_error err;
    (void)state;
    memset(nodes + 8, 'n', sizeof nodes - 9);
    struct journal_words here = words, there = words;
    here.redis = nodes;
    struct journal *journal = journal_open(dir, NULL, &here, 8, &err);
    assert_non_null(journal);
    assert_true(journal_is_of(journal, &here));
    assert_false(journal_is_of(journal, &there));
    here.sources = others;
    here.source_count = 2;
    assert_true(journal_is_of(journal, &here));
    here.source_count = 1;
    assert_false(journal_is_of(journal, &here));
    journal_close(journal);
}

static void a_journal_of_another_version_is_known_as_such(void **state)
{
    (void)state;
    char *path = left_behind();
    assert_false(journal_is_outdated(path));
    int fd = open(path, O_WRONLY);
    assert_int_equal(4, pwrite(fd, &(uint32_t){1}, 4, offsetof(struct journal_head, version)));
    close(fd);
    assert_true(journal_is_outdated(path));
    assert_null(journal_read(path, true));
    fd = open(path, O_WRONLY);
    assert_int_equal(1, pwrite(fd, "x", 1, 0)); /* whatever it is, it is no journal */
    close(fd);
    assert_false(journal_is_outdated(path));
    assert_false(journal_is_outdated("/nowhere"));
    unlink(path);
    free(path);
}

static void the_journal_of_a_process_that_lives_is_not_read_by_others(void **state)
{
    (void)state;
    quern_error err;
    struct journal *journal = journal_open(dir, NULL, &words, 8, &err);
    assert_non_null(journal);
    assert_false(journal_is_orphan(strrchr(journal->path, '/') + 1));
    int status;
    pid_t child = fork();
    if (child == 0) _exit(journal_read(journal->path, true) ? 1 : journal_is_orphan(strrchr(journal->path, '/') + 1) ? 2 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    journal_close(journal);
}

/* Another process looks on while this one starts, tells and ends; what it reads it says by its exit status. */
static int seen_elsewhere(const char *path, uint32_t index, const char *note)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct board_row row;
        struct journal *journal = journal_read(path, false);
        bool is_seen = journal && journal_runs(&journal->records[index], &row);
        bool is_right = is_seen && journal_pid(strrchr(path, '/') + 1) == getppid() && bytes_is(board_note(&row), note);
        _exit(!journal ? 9 : is_right ? 1 : is_seen ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void others_look_on_while_a_job_runs(void **state)
{
    (void)state;
    quern_error err;
    struct journal *journal = journal_open(dir, NULL, &words, 8, &err);
    assert_non_null(journal);
    assert_int_equal(journal_pid(strrchr(journal->path, '/') + 1), 0); /* ours is not for us to open again */
    assert_int_equal(seen_elsewhere(journal->path, 3, ""), 0);
    board_start(&journal->records[3].board, &(struct board_head){.generation = 1}, bytes_of("sum"), bytes_of("a"));
    assert_int_equal(seen_elsewhere(journal->path, 3, ""), 0);
    journal_start(journal, 3, 0, (struct entry_id){10, 1}, 1);
    assert_int_equal(seen_elsewhere(journal->path, 3, ""), 1);
    board_tell(&journal->records[3].board, 1, 50, "half");
    assert_int_equal(seen_elsewhere(journal->path, 3, "half"), 1);
    board_tell(&journal->records[3].board, 2, 60, "another's"); /* that job has not begun */
    assert_int_equal(seen_elsewhere(journal->path, 3, "half"), 1);
    journal_end(journal, 3);
    assert_int_equal(seen_elsewhere(journal->path, 3, "half"), 0);
    journal_close(journal);
}

/* As it is when a process is killed in the middle of writing, or has a file of nonsense. */
static void what_is_not_whole_is_not_shown(void **state)
{
    (void)state;
    quern_error err;
    struct board_row row;
    struct journal *journal = journal_open(dir, NULL, &words, 8, &err);
    struct board_place *board = &journal->records[0].board;
    board_start(board, &(struct board_head){.generation = 1}, bytes_of("sum"), bytes_of("a"));
    journal_start(journal, 0, 0, (struct entry_id){10, 1}, 1);
    assert_true(journal_runs(&journal->records[0], &row));
    atomic_fetch_add(&board->turn, 1);
    assert_false(journal_runs(&journal->records[0], &row));
    board_tell(board, 1, 50, "somebody else writes"); /* does not wait */
    atomic_fetch_add(&board->turn, 1);
    for (size_t i = 0; i < BOARD_WORDS; i++) atomic_store(&board->words[i], UINT64_MAX);
    assert_false(journal_runs(&journal->records[0], &row));
    journal_close(journal);
}

static void one_that_was_closed_leaves_no_file(void **state)
{
    (void)state;
    quern_error err;
    struct journal *journal = journal_open(dir, NULL, &words, 8, &err);
    char *path = strdup(journal->path);
    journal_close(journal);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

/* Cut anywhere, or of another kind: it is no journal. */
static void what_is_not_whole_is_not_believed(void **state)
{
    (void)state;
    char *path = left_behind();
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 1), 0);
    assert_null(journal_read(path, true));
    assert_int_equal(truncate(path, 100), 0);
    assert_null(journal_read(path, true));
    assert_int_equal(truncate(path, status.st_size), 0); /* zeros */
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "nonsense", 8, 0), 8);
    close(fd);
    assert_null(journal_read(path, true));
    unlink(path);
    assert_null(journal_read(path, true));
    free(path);
}

/* Somebody who may write to the folder could have us give back, or bury, whatever he likes. */
static void what_another_user_or_a_link_has_put_there_is_no_journal(void **state)
{
    (void)state;
    char *path = left_behind(), link[600];
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    snprintf(link, sizeof link, "%s/1-1-0123abcd.journal", dir);
    assert_int_equal(symlink(path, link), 0);
    assert_null(journal_read(link, true));
    unlink(link);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 0), 0);
        assert_null(journal_read(path, true));
        assert_false(journal_is_outdated(path));
    }
    unlink(path);
    free(path);
}

static void other_names_are_no_journals(void **state)
{
    (void)state;
    static const char *const names[] = {"", ".", "x.journal", "1-2-xyz.journal", "1-2-01234567.journal.tmp", "1-2-01234567"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_false(journal_is_orphan(names[i]));
    assert_true(journal_is_orphan("999999999-1-01234567.journal"));
}

static void a_folder_that_is_not_there_is_said(void **state)
{
    (void)state;
    quern_error err;
    assert_null(journal_open("/nowhere/at/all", NULL, &words, 8, &err));
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ran_is_read_when_the_process_is_gone),
        cmocka_unit_test(a_journal_is_of_its_server_and_of_one_of_its_queues),
        cmocka_unit_test(a_journal_of_another_version_is_known_as_such),
        cmocka_unit_test(the_journal_of_a_process_that_lives_is_not_read_by_others),
        cmocka_unit_test(others_look_on_while_a_job_runs),
        cmocka_unit_test(what_is_not_whole_is_not_shown),
        cmocka_unit_test(one_that_was_closed_leaves_no_file),
        cmocka_unit_test(what_is_not_whole_is_not_believed),
        cmocka_unit_test(what_another_user_or_a_link_has_put_there_is_no_journal),
        cmocka_unit_test(other_names_are_no_journals),
        cmocka_unit_test(a_folder_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
