/* SPDX-License-Identifier: MIT */

/* cli/top_screen: the terminal, by ncurses.
 * Idea       lines and keys, so that nothing else of the program knows what a terminal is.
 * Invariant  between open and close the terminal is ours; whoever leaves closes, whatever made him leave.
 * Threads    main.
 * Never      gets a text that has not gone through cli/top_page. */
#ifndef QUERN_CLI_TOP_SCREEN_H
#define QUERN_CLI_TOP_SCREEN_H

#include <stdbool.h>

enum screen_look { LOOK_PLAIN, LOOK_BOLD, LOOK_TITLE };

enum screen_key {
    PRESSED_NOTHING, /* or what means nothing here */
    PRESSED_QUIT,
    PRESSED_PAUSE,
    PRESSED_SORT,
    PRESSED_NEXT,
    PRESSED_UP,
    PRESSED_DOWN,
    PRESSED_PAGE_UP,
    PRESSED_PAGE_DOWN,
    PRESSED_FIRST,
    PRESSED_LAST,
    PRESSED_RESIZE /* not a key: there is another size */
};

/* Why there cannot be a screen; NULL: there can. */
const char *screen_why_not(void);

/* false: the terminal would not. */
bool screen_open(void);
void screen_close(void);

void screen_size(int *height, int *width);
/* text NULL: an empty line. */
void screen_line(int row, const char *text, enum screen_look look);
void screen_show(void);

/* Does not wait. false: there is no more for now. */
bool screen_key(enum screen_key *key);

#endif
