/* SPDX-License-Identifier: MIT */
#include "cli/top_screen.h"

#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

static SCREEN *screen;

const char *screen_why_not(void)
{
    int found;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return "there is no terminal; without one: --once";
    if (setupterm(NULL, STDOUT_FILENO, &found) != OK) return "the terminal is not known (TERM); without one: --once";
    const char *moves = tigetstr("cup");
    bool is_able = moves && moves != (char *)-1;
    del_curterm(cur_term);
    return is_able ? NULL : "the terminal cannot move its cursor (TERM); without one: --once";
}

bool screen_open(void)
{
    setlocale(LC_CTYPE, "");
    screen = newterm(NULL, stdout, stdin);
    if (!screen) return false;
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    return true;
}

void screen_close(void)
{
    if (!screen) return;
    curs_set(1);
    endwin();
    delscreen(screen);
    screen = NULL;
}

void screen_size(int *height, int *width)
{
    getmaxyx(stdscr, *height, *width);
}

void screen_line(int row, const char *text, enum screen_look look)
{
    move(row, 0);
    clrtoeol();
    if (!text) return;
    attr_t attribute = look == LOOK_BOLD ? A_BOLD : look == LOOK_TITLE ? A_REVERSE : A_NORMAL;
    attr_on(attribute, NULL);
    addstr(text);
    attr_off(attribute, NULL);
}

void screen_show(void)
{
    refresh();
}

static enum screen_key meaning_of(int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return PRESSED_QUIT;
    case 'p':
    case ' ':
        return PRESSED_PAUSE;
    case 's':
        return PRESSED_SORT;
    case 'n':
    case '\t':
        return PRESSED_NEXT;
    case KEY_UP:
    case 'k':
        return PRESSED_UP;
    case KEY_DOWN:
    case 'j':
        return PRESSED_DOWN;
    case KEY_PPAGE:
        return PRESSED_PAGE_UP;
    case KEY_NPAGE:
        return PRESSED_PAGE_DOWN;
    case KEY_HOME:
        return PRESSED_FIRST;
    case KEY_END:
        return PRESSED_LAST;
    case KEY_RESIZE:
        return PRESSED_RESIZE;
    default:
        return PRESSED_NOTHING;
    }
}

bool screen_key(enum screen_key *key)
{
    int got = getch();
    if (got != ERR) *key = meaning_of(got);
    return got != ERR;
}
