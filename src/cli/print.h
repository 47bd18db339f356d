/* SPDX-License-Identifier: MIT */

/* cli/print: what people read on standard output: columns and lines, aligned.
 * Idea       texts of jobs come from anybody: what would move a cursor, or the order of letters, is shown as \x1b or \u202e, and one
 *            value is one line. null is "-"; a text that is no UTF-8 (inspect/show) is 0x and its hex.
 * Threads    main. */
#ifndef QUERN_CLI_PRINT_H
#define QUERN_CLI_PRINT_H

#include <jansson.h>

enum cell { CELL_TEXT, CELL_NUMBER /* whole */, CELL_REAL, CELL_MS, CELL_CUT /* any JSON, its beginning */ };

/* One member of an object, and what it is called. */
struct column {
    const char *title, *member; /* title NULL ends a list of columns */
    enum cell cell;
};

/* A list of objects as a table, a line each, below the titles. Of a value the first 256 bytes, at most. */
void print_table(const json_t *rows, const struct column *columns);

/* One object, a line per member. */
void print_object(const json_t *object, const struct column *columns);

/* A whole text; its newlines stay. */
void print_lines(const char *text);

/* The member's value as it is shown. Gives (free); NULL: no memory. */
char *print_value(const json_t *object, const struct column *column);

#endif
