/* SPDX-License-Identifier: MIT */
#include "cli/module.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 512 };

/* Stands in for the configuration: what module_load adds is seen here. */
static struct {
    int count, code;
    quern_handler last;
} added;

int __wrap_quern_config_on(quern_config *config, const quern_handler *handler, quern_error *error);
int __wrap_quern_config_on(quern_config *config, const quern_handler *handler, quern_error *error)
{
    assert_null(config);
    if (added.code != QUERN_OK) {
        snprintf(error->text, sizeof error->text, "the event has a handler already");
        return added.code;
    }
    added.count++;
    added.last = *handler;
    return QUERN_OK;
}

static char base[PATH_BYTES / 4], place[PATH_BYTES / 2]; /* a private directory, and one in it for the modules */

static void copy_module(const char *fixture, const char *to)
{
    char from[PATH_MAX];
    snprintf(from, sizeof from, FIXTURES "/%s.so", fixture);
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
    struct stat st;
    assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0);
    while (st.st_size > 0) {
        ssize_t copied = sendfile(out, in, NULL, (size_t)st.st_size);
        assert_true(copied > 0);
        st.st_size -= copied;
    }
    close(in);
    close(out);
    assert_int_equal(0, chmod(to, 0644));
}

static const char *in_place(const char *name)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", place, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    added.count = added.code = 0;
    const char *below = getenv("TMPDIR");
    char *real = realpath(below && *below ? below : "/tmp", NULL);
    assert_non_null(real);
    snprintf(base, sizeof base, "%.100s/quern-XXXXXX", real);
    free(real);
    assert_non_null(mkdtemp(base));
    snprintf(place, sizeof place, "%s/workers", base);
    assert_int_equal(0, mkdir(place, 0755));
    assert_int_equal(0, chmod(place, 0755));
    copy_module("GOOD", in_place("GOOD.so"));
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *where)
{
    (void)st, (void)what, (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int load_from(const char *directory, const char *module, const char *options, struct modules *modules, quern_error *err)
{
    char event[] = "grind", policy[] = "{}", name[PATH_BYTES], text[64];
    snprintf(name, sizeof name, "%s", module);
    snprintf(text, sizeof text, "%s", options);
    struct config_worker worker = {.event = event, .module = name, .options = text, .policy = policy};
    return module_load(modules, directory, &worker, NULL, err);
}

static void loads(const char *module)
{
    struct modules modules = {0};
    quern_error err = {0};
    if (load_from(place, module, "{}", &modules, &err) != QUERN_OK) fail_msg("%s", err.text);
    module_unload_all(&modules);
}

static void refuses_from(const char *directory, const char *module, const char *options, const char *why, const char *what)
{
    struct modules modules = {0};
    quern_error err = {0};
    assert_int_equal(QUERN_E_CONFIG, load_from(directory, module, options, &modules, &err));
    if (!strstr(err.text, why) || !strstr(err.text, what) || !strstr(err.text, "module ") || strchr(err.text, '\n'))
        fail_msg("\"%s\" and \"%s\" are not both in \"%s\"", why, what, err.text);
    assert_null(strstr(err.text, "/proc/"));
    assert_int_equal(0, modules.count);
    module_unload_all(&modules);
}

static void refuses(const char *module, const char *why, const char *what)
{
    refuses_from(place, module, "{}", why, what);
    assert_int_equal(0, added.count);
}

static void a_good_module_gives_its_handler(void **state)
{
    (void)state;
    struct modules modules = {0};
    quern_error err = {0};
    assert_int_equal(QUERN_OK, load_from(place, "GOOD", "{}", &modules, &err));
    assert_int_equal(1, added.count);
    assert_non_null(added.last.run);
    assert_int_equal(QUERN_DONE, added.last.run(NULL, NULL, NULL));
    assert_int_equal(1, modules.count);
    module_unload_all(&modules);
    assert_int_equal(0, modules.count);
    assert_int_equal(QUERN_DONE, added.last.run(NULL, NULL, NULL)); /* the code stays */
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void the_same_file_is_loaded_once_and_two_files_are_two(void **state)
{
    (void)state;
    loads("GOOD");
    int before = open_descriptors();
    for (int i = 0; i < 5; i++) loads("GOOD");
    loads(in_place("GOOD.so"));
    assert_int_equal(before, open_descriptors());
    copy_module("GOOD", in_place("twin.so"));
    quern_handler first = added.last;
    loads("twin");
    assert_true(first.run != added.last.run);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    refuses("absent", in_place("absent.so"), "No such file");
    refuses("/nowhere/at/all.so", "/nowhere", "No such file");
}

static void a_name_is_a_name_or_an_absolute_path(void **state)
{
    (void)state;
    refuses("workers/GOOD.so", "a name", "absolute path");
    refuses("../GOOD", "a name", "absolute path");
    refuses("", "a name", "absolute path");
    refuses_from("build/workers", "GOOD", "{}", "module_path build/workers", "absolute");
}

static void what_is_no_module_is_said_to_be_none(void **state)
{
    (void)state;
    FILE *text = fopen(in_place("text.so"), "w");
    assert_non_null(text);
    for (int i = 0; i < 20; i++) fputs("no machine code\n", text);
    fclose(text);
    chmod(in_place("text.so"), 0644);
    refuses("text", "module text", "invalid ELF header");
    assert_int_equal(0, mkdir(in_place("directory.so"), 0755));
    refuses("directory", "directory.so", "no regular file");
    copy_module("NO_ENTRY", in_place("NO_ENTRY.so"));
    refuses("NO_ENTRY", "module NO_ENTRY", "no quern module");
    copy_module("MISSING_SYMBOL", in_place("MISSING_SYMBOL.so"));
    refuses("MISSING_SYMBOL", "undefined symbol", "quern_that_no_version_has");
}

static void another_abi_is_told_from_ours(void **state)
{
    (void)state;
    copy_module("OTHER_ABI", in_place("OTHER_ABI.so"));
    refuses("OTHER_ABI", "it has ABI 2, this quern " QUERN_VERSION " has 1", "build it against this version");
    copy_module("INCOMPLETE", in_place("INCOMPLETE.so"));
    refuses("INCOMPLETE", "incomplete", "build it against this version");
}

static void a_module_that_others_may_write_is_refused(void **state)
{
    (void)state;
    assert_int_equal(0, chmod(in_place("GOOD.so"), 0646));
    refuses("GOOD", in_place("GOOD.so"), "written by everybody (mode 0646)");
    assert_int_equal(0, chmod(in_place("GOOD.so"), 0664));
    refuses("GOOD", in_place("GOOD.so"), "written by its group (mode 0664)");
}

static void a_directory_that_others_may_write_is_refused_wherever_it_is(void **state)
{
    (void)state;
    char why[PATH_BYTES];
    snprintf(why, sizeof why, "%s may be written by everybody", place);
    assert_int_equal(0, chmod(place, 0757));
    refuses("GOOD", why, "(mode 0757)");
    assert_int_equal(0, chmod(place, 01777)); /* in a sticky one, others may still add files */
    refuses("GOOD", why, "(mode 1777)");
    assert_int_equal(0, chmod(place, 0755));
    assert_int_equal(0, chmod(base, 0770));
    snprintf(why, sizeof why, "%s may be written by its group", base);
    refuses("GOOD", why, "(mode 0770)");
    assert_int_equal(0, chmod(base, 01777)); /* but what lies in a directory in a sticky one is safe */
    loads("GOOD");
}

static void a_sticky_directory_is_seen_however_the_path_is_spelled(void **state)
{
    (void)state;
    char spelled[PATH_BYTES];
    assert_int_equal(0, chmod(place, 01777));
    static const char *const spellings[] = {"//", "/./", "/../workers/", "///.//"};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        snprintf(spelled, sizeof spelled, "%s%sGOOD.so", place, spellings[i]);
        refuses(spelled, "written by everybody", "(mode 1777)");
    }
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    char link[PATH_BYTES];
    snprintf(link, sizeof link, "%s", in_place("link.so"));
    assert_int_equal(0, symlink(in_place("GOOD.so"), link));
    refuses("link", link, "symbolic link");
    snprintf(link, sizeof link, "%s/also", base);
    assert_int_equal(0, symlink(place, link));
    refuses_from(link, "GOOD", "{}", link, "symbolic link");
}

static void a_strangers_file_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) skip();
    assert_int_equal(0, chown(in_place("GOOD.so"), 12345, 0));
    refuses("GOOD", in_place("GOOD.so"), "belongs to user 12345");
    assert_int_equal(0, chown(in_place("GOOD.so"), 0, 0));
    assert_int_equal(0, chown(place, 12345, 0));
    refuses("GOOD", place, "belongs to user 12345");
}

static void a_module_that_refuses_its_options_is_quoted(void **state)
{
    (void)state;
    refuses_from(place, "GOOD", "{\"refuse\":1}", "for event grind", "refuse: it is told to");
    refuses_from(place, "GOOD", "{\"silent\":1}", "module GOOD", "does not say why");
    refuses_from(place, "GOOD", "{\"idle\":1}", "module GOOD", "without a function to run");
    added.code = QUERN_E_CONFIG;
    refuses_from(place, "GOOD", "{}", "module GOOD", "the event has a handler already");
    assert_int_equal(0, added.count);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_module_gives_its_handler),
        TEST(the_same_file_is_loaded_once_and_two_files_are_two),
        TEST(what_is_missing_is_named),
        TEST(a_name_is_a_name_or_an_absolute_path),
        TEST(what_is_no_module_is_said_to_be_none),
        TEST(another_abi_is_told_from_ours),
        TEST(a_module_that_others_may_write_is_refused),
        TEST(a_directory_that_others_may_write_is_refused_wherever_it_is),
        TEST(a_sticky_directory_is_seen_however_the_path_is_spelled),
        TEST(a_link_is_not_followed),
        TEST(a_strangers_file_is_refused),
        TEST(a_module_that_refuses_its_options_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
