/* SPDX-License-Identifier: MIT */

/* cli/top_page: what quern top has seen, as lines of a given width.
 * Idea       every text goes through cli/print, which shows what would steer a terminal instead of sending it, and is then cut to
 *            its column, by what its characters take there. What the locale cannot show is a '?'.
 * Threads    main. */
#ifndef QUERN_CLI_TOP_PAGE_H
#define QUERN_CLI_TOP_PAGE_H

#include "cli/top_look.h"

enum { PAGE_HEADER = 4, PAGE_WIDTH_MAX = 1000 };

enum page_order { PAGE_BY_ELAPSED, PAGE_BY_CPU, PAGE_BY_EVENT, PAGE_ORDERS };

struct page {
    const struct sight *sight;
    const char *stream, *group, *server, *state; /* state: at the right end of the first line */
    enum page_order order;
    int width; /* at most PAGE_WIDTH_MAX */
};

/* Each gives a line of at most width columns; NULL: no memory. */
char *page_header(const struct page *page, int line); /* 0 to PAGE_HEADER - 1 */
char *page_titles(const struct page *page);
char *page_row(const struct page *page, const json_t *row);
char *page_footer(const struct page *page, size_t first, size_t shown, size_t count);

/* The jobs in the page's order, and behind them the processes that have none. Gives; NULL: no memory. */
json_t *page_rows(const struct page *page);

/* "elapsed", "cpu" or "event" */
const char *page_order_name(enum page_order order);

/* All of it for people, on standard output. */
void page_print(const struct page *page);

#endif
