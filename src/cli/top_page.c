/* SPDX-License-Identifier: MIT */
#include "cli/top_page.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/bytes.h"
#include "cli/print.h"

/* ── fitting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int width_of(quern_bytes text, size_t *n)
{
    uint32_t character = 0;
    *n = bytes_character(text, &character);
    return *n ? wcwidth((wchar_t)character) : -1;
}

/* The beginning of text that takes at most width columns. Returns what it takes. */
static int put_fitting(FILE *to, const char *given, int width)
{
    int taken = 0;
    size_t n;
    for (quern_bytes rest = bytes_of(given); rest.len; rest = (quern_bytes){rest.at + n, rest.len - n}) {
        int columns = width_of(rest, &n);
        if (taken + (columns < 0 ? 1 : columns) > width) break;
        if (!n) n = 1;
        if (columns < 0)
            fputc('?', to);
        else
            fwrite(rest.at, 1, n, to);
        taken += columns < 0 ? 1 : columns;
    }
    return taken;
}

static void put_column(FILE *to, const char *text, int width, bool is_right)
{
    char *fitting = NULL;
    size_t size;
    FILE *cell = open_memstream(&fitting, &size);
    if (!cell) return;
    int taken = put_fitting(cell, text, width);
    if (fclose(cell) == 0) fprintf(to, "%*s%s%*s", is_right ? width - taken : 0, "", fitting, is_right ? 0 : width - taken, "");
    free(fitting);
}

/* What was formatted, cut to width. Gives. */
static char *line_of(int width, const char *format, ...) QUERN_PRINTF(2, 3);
static char *line_of(int width, const char *format, ...)
{
    char *whole = NULL, *line = NULL;
    size_t size;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&whole, format, args);
    va_end(args);
    if (len < 0) return NULL;
    FILE *to = open_memstream(&line, &size);
    if (to) put_fitting(to, whole, width);
    if (to && fclose(to)) line = NULL;
    free(whole);
    return line;
}

/* ── the header ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A member of the queue's numbers, "-" where it is not known. Lent until the ninth call behind this one. */
static const char *value_of(const struct page *page, const char *member, enum cell cell)
{
    enum { KEPT = 8, SIZE = 32 };
    static char texts[KEPT][SIZE];
    static unsigned next;
    char *into = texts[next++ % KEPT], *text = print_value(page->sight->queue, &(struct column){"", member, cell});
    snprintf(into, SIZE, "%s", text ? text : "?");
    free(text);
    return into;
}

/* A text of ours or of others, as it may be shown. Gives. */
static char *harmless(const char *text)
{
    json_t *object = json_pack("{s:s%}", "text", text, bytes_cut(bytes_of(text), PAGE_WIDTH_MAX));
    char *shown = print_value(object, &(struct column){"", "text", CELL_TEXT});
    json_decref(object);
    return shown;
}

static char *first_line(const struct page *page)
{
    char *stream = harmless(page->stream), *group = harmless(page->group), *server = harmless(page->server), *line = NULL,
         *left;
    size_t size;
    int state = (int)strlen(page->state), width = state && page->width > state + 2 ? page->width - state - 2 : page->width;
    FILE *to = open_memstream(&line, &size);
    left = line_of(width, "quern top  %s  %s  %s", stream ? stream : "?", group ? group : "?", server ? server : "?");
    bool has_state = width < page->width;
    if (to && left && has_state) put_column(to, left, width, false);
    if (to && left && !has_state) fputs(left, to);
    if (to && has_state) fprintf(to, "  %s", page->state);
    if (to && fclose(to)) line = NULL;
    free(stream);
    free(group);
    free(server);
    free(left);
    return line;
}

static char *reason_line(const struct page *page)
{
    const struct sight *sight = page->sight;
    char *why = harmless(*sight->why ? sight->why : sight->why_no_machine);
    char *line = line_of(page->width, "%s%s", *sight->why ? "Redis: " : "", why ? why : "?");
    free(why);
    return line;
}

char *page_header(const struct page *page, int line)
{
    const struct sight *sight = page->sight;
    switch (line) {
    case 0:
        return first_line(page);
    case 1:
        return line_of(page->width, "published %s/s  done %s/s  waiting %s  oldest %s  running %s",
                       value_of(page, "published_per_s", CELL_REAL), value_of(page, "done_per_s", CELL_REAL),
                       value_of(page, "waiting", CELL_NUMBER), value_of(page, "oldest_waiting_ms", CELL_MS),
                       value_of(page, "running", CELL_NUMBER));
    case 2:
        return line_of(page->width, "delayed %s  scheduled %s  alone %s  dead %s  |  here: processes %zu  jobs %zu",
                       value_of(page, "delayed", CELL_NUMBER), value_of(page, "scheduled", CELL_NUMBER),
                       value_of(page, "alone", CELL_NUMBER), value_of(page, "dead", CELL_NUMBER),
                       json_array_size(sight->processes), json_array_size(sight->jobs));
    default:
        return reason_line(page);
    }
}

char *page_footer(const struct page *page, size_t first, size_t shown, size_t count)
{
    return line_of(page->width, "q quit  p pause  s sort: %s  arrows, pages: scroll  %zu-%zu of %zu",
                   page_order_name(page->order), count ? first + 1 : 0, first + shown, count);
}

/* ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { AT_EVENT = 2, AT_ID = 3, AT_NOTE = 7, COLUMNS = 8 };
static const struct column columns[COLUMNS + 1] = {
    {"PID", "pid", CELL_NUMBER},     {"THREAD", "thread", CELL_NUMBER},  {"EVENT", "event", CELL_TEXT},
    {"ID", "id", CELL_TEXT},         {"ELAPSED", "elapsed_ms", CELL_MS}, {"CPU%", "cpu_percent", CELL_REAL},
    {"DONE%", "percent", CELL_REAL}, {"NOTE", "note", CELL_TEXT},        {NULL}};

/* At 80 columns there is what one needs; each further one goes to the texts. */
static void set_widths(int widths[COLUMNS], int width)
{
    static const int least[COLUMNS] = {7, 7, 14, 10, 8, 5, 5, 17};
    memcpy(widths, least, sizeof least);
    int more = width - COLUMNS + 1;
    for (int i = 0; i < COLUMNS; i++) more -= least[i];
    if (more < 0) widths[AT_NOTE] = least[AT_NOTE] + more > 0 ? least[AT_NOTE] + more : 0;
    if (more <= 0) return;
    int for_event = more / 4 < 26 ? more / 4 : 26, for_id = more / 3 < 26 ? more / 3 : 26;
    widths[AT_EVENT] += for_event;
    widths[AT_ID] += for_id;
    widths[AT_NOTE] += more - for_event - for_id;
}

static bool is_number(enum cell cell)
{
    return cell != CELL_TEXT;
}

/* row NULL: the titles. */
static char *put_row(const struct page *page, const json_t *row)
{
    char *line = NULL;
    size_t size;
    int widths[COLUMNS];
    FILE *to = open_memstream(&line, &size);
    if (!to) return NULL;
    set_widths(widths, page->width);
    for (int i = 0; i < COLUMNS; i++) {
        char *text = row ? print_value(row, &columns[i]) : strdup(columns[i].title);
        put_column(to, text ? text : "?", widths[i], is_number(columns[i].cell));
        if (i + 1 < COLUMNS) fputc(' ', to);
        free(text);
    }
    if (fclose(to)) return NULL;
    char *fitting = line_of(page->width, "%s", line);
    free(line);
    return fitting;
}

char *page_titles(const struct page *page)
{
    return put_row(page, NULL);
}

char *page_row(const struct page *page, const json_t *row)
{
    return put_row(page, row);
}

/* ── the order ───────────────────────────────────────────────────────────────────────────────────────────────────── */

const char *page_order_name(enum page_order order)
{
    static const char *const names[PAGE_ORDERS] = {"elapsed", "cpu", "event"};
    return names[order];
}

static double number_or_less(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    return json_is_number(value) ? json_number_value(value) : -1;
}

/* Larger ones first; what is not known last. */
static int compare_numbers(const json_t *a, const json_t *b, const char *member)
{
    double left = number_or_less(a, member), right = number_or_less(b, member);
    return (left < right) - (left > right);
}

static int by_elapsed(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    int order = compare_numbers(one, other, "elapsed_ms");
    if (!order) order = compare_numbers(one, other, "pid");
    return order ? order : compare_numbers(one, other, "thread");
}

static int by_cpu(const void *a, const void *b)
{
    int order = compare_numbers(*(json_t *const *)a, *(json_t *const *)b, "cpu_percent");
    return order ? order : by_elapsed(a, b);
}

static int by_event(const void *a, const void *b)
{
    const char *one = json_string_value(json_object_get(*(json_t *const *)a, "event"));
    const char *other = json_string_value(json_object_get(*(json_t *const *)b, "event"));
    int order = strcmp(one ? one : "", other ? other : "");
    return order ? order : by_elapsed(a, b);
}

static json_t *sorted(json_t *list, enum page_order order)
{
    static int (*const compare[PAGE_ORDERS])(const void *, const void *) = {by_elapsed, by_cpu, by_event};
    size_t count = json_array_size(list), i;
    json_t **at = calloc(count + 1, sizeof *at), *row, *rows = json_array();
    json_array_foreach(list, i, row) if (at) at[i] = row;
    if (at) qsort(at, count, sizeof *at, compare[order]);
    for (i = 0; at && i < count; i++) json_array_append(rows, at[i]);
    free(at);
    return rows;
}

json_t *page_rows(const struct page *page)
{
    json_t *rows = sorted(page->sight->jobs, page->order), *process;
    size_t i;
    json_array_foreach(page->sight->processes, i, process) if (!json_integer_value(json_object_get(process, "jobs")))
        json_array_append_new(rows, json_pack("{s:O, s:s}", "pid", json_object_get(process, "pid"), "note",
                                              json_is_true(json_object_get(process, "stopping")) ? "(stopping)" : "(idle)"));
    return rows;
}

/* ── once ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

void page_print(const struct page *page)
{
    json_t *rows = page_rows(page);
    for (int line = 0; line < PAGE_HEADER; line++) {
        char *text = page_header(page, line);
        if (text && *text) printf("%s\n", text);
        free(text);
    }
    if (json_array_size(rows)) printf("\n");
    if (json_array_size(rows)) print_table(rows, columns);
    json_decref(rows);
}
