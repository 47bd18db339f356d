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

/* Does it steer a terminal, or turn the direction of what follows? */
static bool is_steering(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x200e || character == 0x200f ||
           (character >= 0x2028 && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069) || character == 0xfeff;
}

static void put_escaped(FILE *to, quern_bytes text, bool keeps_lines)
{
    uint32_t character;
    for (size_t i = 0, n; i < text.len; i += n) {
        quern_bytes rest = {text.at + i, text.len - i};
        n = bytes_character(rest, &character);
        if (!n) {
            n = 1;
            fprintf(to, "\\x%02x", (unsigned char)*rest.at);
        } else if (!is_steering(character) || (keeps_lines && character == '\n')) {
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

static const json_t *hex_of(const json_t *object, const char *member)
{
    char name[64];
    snprintf(name, sizeof name, "%s_hex", member);
    return json_object_get(object, name);
}

static void put_value(FILE *to, const json_t *object, const struct column *column)
{
    const json_t *value = json_object_get(object, column->member), *hex = hex_of(object, column->member);
    if (json_is_string(value))
        put_escaped(to, (quern_bytes){json_string_value(value), json_string_length(value)}, false);
    else if (json_is_string(hex))
        fprintf(to, "0x%s", json_string_value(hex));
    else if (json_is_integer(value) && column->cell == CELL_MS)
        put_ms(to, json_integer_value(value));
    else if (json_is_integer(value))
        fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        fprintf(to, "%.1f", json_real_value(value));
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
    if (cell != CELL_TEXT) printf("%*s", padding, "");
    fputs(text, stdout);
    if (!is_last) printf("%*s  ", cell == CELL_TEXT ? padding : 0, "");
}

static void put_row(char *const *cells, const struct column *columns, const int *widths)
{
    for (size_t i = 0; columns[i].title; i++)
        put_cell(cells[i] ? cells[i] : "?", widths[i], columns[i].cell, !columns[i + 1].title);
    putchar('\n');
}

void print_table(const json_t *rows, const struct column *columns)
{
    size_t width = count_of(columns), height = json_array_size(rows) + 1;
    char **cells = calloc(width * height, sizeof *cells);
    int *widths = calloc(width, sizeof *widths);
    for (size_t i = 0; cells && widths && i < width * height; i++) {
        const struct column *column = &columns[i % width];
        cells[i] = i < width ? strdup(column->title) : print_value(json_array_get(rows, i / width - 1), column);
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
