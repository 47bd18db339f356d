/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/unit.h"

static bool is_version_4(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
    if (strlen(text) != sizeof form - 1) return false;
    for (size_t i = 0; form[i]; i++) {
        const char *among = form[i] == 'x' ? "0123456789abcdef" : form[i] == 'v' ? "89ab" : form[i] == '4' ? "4" : "-";
        if (!strchr(among, text[i])) return false;
    }
    return true;
}

static int compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void ids_have_their_form_and_none_comes_twice(void **state)
{
    enum { IDS = 100000 };
    (void)state;
    char(*ids)[UUID_SIZE] = calloc(IDS, sizeof *ids);
    assert_non_null(ids);
    uuid_texts(ids[0], sizeof *ids, IDS - 1);
    uuid_text(ids[IDS - 1]);
    for (int i = 0; i < IDS; i++) assert_true(is_version_4(ids[i]));
    qsort(ids, IDS, sizeof *ids, compare);
    for (int i = 1; i < IDS; i++) assert_string_not_equal(ids[i - 1], ids[i]);
    free(ids);
}

static void texts_lie_where_they_are_wanted(void **state)
{
    char room[3][50];
    (void)state;
    memset(room, '#', sizeof room);
    uuid_texts(room[0], sizeof room[0], 2);
    assert_true(is_version_4(room[0]) && is_version_4(room[1]));
    for (int i = 0; i < 2; i++)
        for (size_t at = UUID_SIZE; at < sizeof room[i]; at++) assert_int_equal('#', room[i][at]);
    assert_int_equal('#', room[2][0]);
}

static void a_child_has_ids_of_its_own(void **state)
{
    char ours[UUID_SIZE], theirs[UUID_SIZE];
    int ends[2];
    (void)state;
    uuid_text(ours);
    assert_int_equal(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        uuid_text(theirs);
        _exit(write(ends[1], theirs, sizeof theirs) == (ssize_t)sizeof theirs ? 0 : 1);
    }
    uuid_text(ours);
    assert_int_equal(sizeof theirs, read(ends[0], theirs, sizeof theirs));
    assert_int_equal(child, waitpid(child, NULL, 0));
    assert_string_not_equal(ours, theirs);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_their_form_and_none_comes_twice),
        cmocka_unit_test(texts_lie_where_they_are_wanted),
        cmocka_unit_test(a_child_has_ids_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
