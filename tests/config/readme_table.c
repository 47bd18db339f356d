/* SPDX-License-Identifier: MIT */

/* The README's table of keys against the code's: each key has exactly one row "| `key` | default | sentence |", the default as
 * in config/quern.json (in backquotes or without), and there is no row of a key that does not exist. The sentence is the README's own, but it says
 * "program only" and "per event" where that is so. Argument: the README. */
#include "config/scratch.h"

#include <jansson.h>

#include "config/value.h"

enum { ROWS_MAX = 128, CELL_MAX = 300 };

struct cells {
    char key[CELL_MAX], fallback[CELL_MAX], sentence[CELL_MAX];
};

static const char *readme;
static struct cells table[ROWS_MAX];
static size_t table_count;

/* One cell without spaces and backquotes around it; returns what follows its '|', NULL: the line has no further cell. */
static const char *cell_read(const char *at, char cell[CELL_MAX])
{
    size_t len = strcspn(at, "|\n");
    if (at[len] != '|' || len >= CELL_MAX) return NULL;
    const char *end = at + len;
    while (at < end && (*at == ' ' || *at == '`')) at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '`')) end--;
    memcpy(cell, at, (size_t)(end - at));
    cell[end - at] = 0;
    return end + strcspn(end, "|") + 1;
}

/* Is it a line of three cells? */
static bool row_read(const char *line, struct cells *cells)
{
    if (line[0] != '|') return false;
    const char *at = cell_read(line + 1, cells->key);
    if (at) at = cell_read(at, cells->fallback);
    if (at) at = cell_read(at, cells->sentence);
    return at && (*at == '\n' || !*at);
}

/* Finds the table whose head is | key | default | … and reads its rows. */
static void table_read(FILE *file)
{
    char line[4096];
    bool is_inside = false;
    while (fgets(line, sizeof line, file)) {
        struct cells cells;
        bool is_row = row_read(line, &cells);
        if (is_inside && is_row && cells.key[0] != '-') {
            assert_true(table_count < ROWS_MAX);
            table[table_count++] = cells;
        }
        if (!is_row)
            is_inside = false;
        else if (!strcmp(cells.key, "key") && !strcmp(cells.fallback, "default"))
            is_inside = true;
    }
}

static int read_readme(void **state)
{
    (void)state;
    FILE *file = fopen(readme, "re");
    if (!file) return -1;
    table_read(file);
    fclose(file);
    return 0;
}

/* Does the sentence say so exactly where the row has the flag? */
static bool says(const char *sentence, const struct config_row *row, unsigned flag, const char *words)
{
    return (strstr(sentence, words) != NULL) == ((row->flags & flag) != 0);
}

/* The one row of a key. */
static const struct cells *row_of(const char *key)
{
    const struct cells *found = NULL;
    for (size_t i = 0; i < table_count; i++) {
        if (strcmp(table[i].key, key) != 0) continue;
        if (found) fail_msg("%s: the key %s has two rows", readme, key);
        found = &table[i];
    }
    return found;
}

static void every_key_has_its_row_with_the_right_default(void **state)
{
    (void)state;
    size_t count, wrong = 0;
    const struct config_row *rows = config_rows(&count);
    quern_config *config = quern_config_new();
    for (size_t i = 0; i < count; i++) {
        const struct cells *cells = row_of(rows[i].name);
        json_t *value = value_show(&rows[i], (const char *)config + rows[i].at);
        char *fallback = json_dumps(value, JSON_ENCODE_ANY);
        if (!cells || strcmp(cells->fallback, fallback) != 0) {
            print_error("%s has not the row: | `%s` | `%s` | %s%s%s |\n", readme, rows[i].name, fallback, rows[i].sentence,
                        rows[i].flags & CONFIG_PER_EVENT ? " (also per event)" : "",
                        rows[i].flags & CONFIG_PROGRAM ? " (program only)" : "");
            wrong++;
        }
        free(fallback);
        json_decref(value);
    }
    quern_config_free(config);
    assert_int_equal(wrong, 0);
}

static void every_row_is_of_a_key_and_says_something(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const struct config_row *row = config_find(table[i].key);
        if (!row || strcmp(row->name, table[i].key) != 0) fail_msg("%s: %s is no key", readme, table[i].key);
        assert_true(strlen(table[i].sentence) > 10);
        assert_true(says(table[i].sentence, row, CONFIG_PER_EVENT, "per event"));
        assert_true(says(table[i].sentence, row, CONFIG_PROGRAM, "program only"));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_its_row_with_the_right_default),
        cmocka_unit_test(every_row_is_of_a_key_and_says_something),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s README.md\n", argv[0]);
        return 2;
    }
    readme = argv[1];
    return cmocka_run_group_tests(tests, read_readme, NULL);
}
