/* SPDX-License-Identifier: MIT */
#include "cli/print.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_escaped(FILE *to, quern_bytes text, bool keeps_lines)
{
    uint32_t character;
    for (size_t i = 0, n; i < text.len; i += n) {
        quern_bytes rest = {text.at + i, text.len - i};
        n = bytes_character(rest, &character);
        if (!n) {
            n = 1;
            fprintf(to, "\\x%02x", (unsigned char)*rest.at);
        } else if (!bytes_is_steering(character) || (keeps_lines && character == '\n')) {
            fwrite(rest.at, 1, n, to);
        } else if (character == '\n' || character == '\t' || character == '\r') {
            fputs(character == '\n' ? "\\n" : character == '\t' ? "\\t" : "\\r", to);
        } else {
            fprintf(to, character < 0x100 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, character);
        }
    }
}

/* 850ms, 12.3s, 4m10s, 2h05m, 3d04h */
static void put_ms(FILE *to, int64_t ms)
{
    int64_t s = ms / 1000, m = s / 60, h = m / 60;
    if (ms < 1000)
        fprintf(to, "%" PRId64 "ms", ms);
    else if (s < 60)
        fprintf(to, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    else if (m < 60)
        fprintf(to, "%" PRId64 "m%02" PRId64 "s", m, s % 60);
    else if (h < 24)
        fprintf(to, "%" PRId64 "h%02" PRId64 "m", h, m % 60);
    else
        fprintf(to, "%" PRId64 "d%02" PRId64 "h", h / 24, h % 24);
}

/* The beginning of a text, up to a whole character. */
static void put_cut(FILE *to, quern_bytes text)
{
    enum { CUT = 60 };
    size_t len = bytes_cut(text, CUT);
    put_escaped(to, (quern_bytes){text.at, len}, false);
    if (len < text.len) fputs("\xe2\x80\xa6", to);
}

static void put_json(FILE *to, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    put_cut(to, text ? bytes_of(text) : (quern_bytes){json_string_value(value), json_string_length(value)});
    free(text);
}

static void put_hex(FILE *to, const char *hex, bool is_cut)
{
    fputs("0x", to);
    if (is_cut)
        put_cut(to, bytes_of(hex));
    else
        fputs(hex, to);
}

static const json_t *hex_of(const json_t *object, const char *member)
{
    char name[64];
    snprintf(name, sizeof name, "%s_hex", member);
    return json_object_get(object, name);
}

/* Where one text holds a number that no variable holds, all of its numbers were read as reals. */
static void put_number(FILE *to, const json_t *number, enum cell cell)
{
    int64_t whole = json_is_integer(number) ? json_integer_value(number) : (int64_t)json_real_value(number);
    if (cell == CELL_REAL)
        fprintf(to, "%.1f", json_number_value(number));
    else if (cell == CELL_MS)
        put_ms(to, whole);
    else
        fprintf(to, "%" PRId64, whole);
}

static void put_value(FILE *to, const json_t *object, const struct column *column)
{
    const json_t *value = json_object_get(object, column->member), *hex = hex_of(object, column->member);
    bool is_cut = column->cell == CELL_CUT;
    if (is_cut && value && !json_is_null(value))
        put_json(to, value);
    else if (json_is_string(value))
        put_escaped(to, (quern_bytes){json_string_value(value), json_string_length(value)}, false);
    else if (json_is_string(hex))
        put_hex(to, json_string_value(hex), is_cut);
    else if (json_is_number(value))
        put_number(to, value, column->cell);
    else
        fputc('-', to);
}

char *print_value(const json_t *object, const struct column *column)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to) return NULL;
    put_value(to, object, column);
    if (fclose(to) == 0) return text;
    free(text);
    return NULL;
}

/* ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Characters, not bytes. Wide ones count as one: a table of them is merely crooked. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++) width += (*text & 0xc0) != 0x80;
    return width;
}

static size_t count_of(const struct column *columns)
{
    size_t count = 0;
    while (columns[count].title) count++;
    return count;
}

/* Numbers to the right, texts to the left; nothing behind the last. */
static void put_cell(const char *text, int width, enum cell cell, bool is_last)
{
    int padding = width - width_of(text);
    bool is_number = cell == CELL_NUMBER || cell == CELL_REAL || cell == CELL_MS;
    if (is_number) printf("%*s", padding, "");
    fputs(text, stdout);
    if (!is_last) printf("%*s  ", is_number ? 0 : padding, "");
}

static void put_row(char *const *cells, const struct column *columns, const int *widths)
{
    for (size_t i = 0; columns[i].title; i++)
        put_cell(cells[i] ? cells[i] : "?", widths[i], columns[i].cell, !columns[i + 1].title);
    putchar('\n');
}

/* A value in a table, or as much of it as leaves the others their place: one job's endless name would be as much padding in every row. */
static char *cell_value(const json_t *row, const struct column *column)
{
    enum { CELL_MAX = 256 };
    static const char more[] = "\xe2\x80\xa6";
    char *text = print_value(row, column);
    if (text && strlen(text) > CELL_MAX) memcpy(text + bytes_cut(bytes_of(text), CELL_MAX - sizeof more), more, sizeof more);
    return text;
}

void print_table(const json_t *rows, const struct column *columns)
{
    size_t width = count_of(columns), height = json_array_size(rows) + 1;
    char **cells = calloc(width * height, sizeof *cells);
    int *widths = calloc(width, sizeof *widths);
    for (size_t i = 0; cells && widths && i < width * height; i++) {
        const struct column *column = &columns[i % width];
        cells[i] = i < width ? strdup(column->title) : cell_value(json_array_get(rows, i / width - 1), column);
        int wide = cells[i] ? width_of(cells[i]) : 1;
        if (wide > widths[i % width]) widths[i % width] = wide;
    }
    for (size_t row = 0; cells && widths && row < height; row++) put_row(&cells[row * width], columns, widths);
    for (size_t i = 0; cells && i < width * height; i++) free(cells[i]);
    free(cells);
    free(widths);
}

void print_object(const json_t *object, const struct column *columns)
{
    int width = 0;
    for (const struct column *at = columns; at->title; at++)
        if (width_of(at->title) > width) width = width_of(at->title);
    for (; columns->title; columns++) {
        char *value = print_value(object, columns);
        put_cell(columns->title, width, CELL_TEXT, false);
        printf("%s\n", value ? value : "?");
        free(value);
    }
}

void print_lines(const char *text)
{
    put_escaped(stdout, bytes_of(text), true);
    putchar('\n');
}
