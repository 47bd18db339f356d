/* SPDX-License-Identifier: MIT */
#include "cli/top_live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/top_screen.h"
#include "cli/top_watch.h"

struct live {
    const quern_config *config;
    int64_t every_ms, next_ns; /* next_ns: when the machine is looked at again */
    struct watch *watch;
    struct sight sight;
    struct page page;
    char state[32];
    size_t first; /* the row that is shown first */
    size_t room;  /* as many rows fit */
    int signals;
    bool is_paused, is_over;
};

/* ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_line(int row, char *text, enum screen_look look)
{
    screen_line(row, text, look);
    free(text);
}

static void write_state(struct live *live)
{
    time_t now = time(NULL);
    struct tm at;
    if (live->is_paused)
        snprintf(live->state, sizeof live->state, "paused");
    else if (localtime_r(&now, &at))
        strftime(live->state, sizeof live->state, "%H:%M:%S", &at);
}

/* Where the last rows have gone it does not stand behind them. */
static void keep_in_reach(struct live *live, size_t count)
{
    size_t last = count > live->room ? count - live->room : 0;
    if (live->first > last) live->first = last;
}

static void draw_rows(struct live *live, int top)
{
    json_t *rows = page_rows(&live->page);
    size_t count = json_array_size(rows), shown = 0;
    keep_in_reach(live, count);
    for (; shown < live->room; shown++) {
        const json_t *row = json_array_get(rows, live->first + shown);
        if (!row) break;
        put_line(top + (int)shown, page_row(&live->page, row), LOOK_PLAIN);
    }
    for (size_t empty = shown; empty < live->room; empty++) screen_line(top + (int)empty, NULL, LOOK_PLAIN);
    put_line(top + (int)live->room, page_footer(&live->page, live->first, shown, count), LOOK_PLAIN);
    json_decref(rows);
}

static void draw(struct live *live)
{
    int height, width;
    screen_size(&height, &width);
    if (height < PAGE_HEADER + 3) height = PAGE_HEADER + 3; /* what does not fit is not seen */
    live->room = (size_t)(height - PAGE_HEADER - 2);
    live->page.width = width < PAGE_WIDTH_MAX ? width : PAGE_WIDTH_MAX;
    live->page.sight = &live->sight;
    live->page.stream = watch_queue(live->watch)->stream;
    live->page.group = watch_queue(live->watch)->group;
    live->page.state = live->state;
    for (int line = 0; line < PAGE_HEADER; line++)
        put_line(line, page_header(&live->page, line), line ? LOOK_PLAIN : LOOK_BOLD);
    put_line(PAGE_HEADER, page_titles(&live->page), LOOK_TITLE);
    draw_rows(live, PAGE_HEADER + 1);
    screen_show();
}

/* ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A pause leaves what is seen as it is; what is scrolled or sorted meanwhile is that. */
static void look(struct live *live)
{
    char *text;
    quern_error err;
    bool has_news = watch_take(live->watch, &text, &err);
    if (has_news && !live->is_paused) sight_of_queue(&live->sight, text, &err);
    if (has_news) quern_free(text);
    if (clock_now_ns() < live->next_ns) return;
    live->next_ns = clock_deadline_ns(clock_now_ns(), live->every_ms);
    if (!live->is_paused) sight_of_machine(&live->sight, live->config);
}

static void scroll_up(struct live *live, size_t rows)
{
    live->first = live->first > rows ? live->first - rows : 0;
}

/* Until its numbers are there, there are none. */
static void show_next(struct live *live)
{
    watch_next(live->watch);
    sight_of_no_queue(&live->sight);
}

static void obey(struct live *live, enum screen_key key)
{
    if (key == PRESSED_QUIT) live->is_over = true;
    if (key == PRESSED_PAUSE) live->is_paused = !live->is_paused;
    if (key == PRESSED_NEXT) show_next(live);
    if (key == PRESSED_SORT) live->page.order = (live->page.order + 1) % PAGE_ORDERS;
    if (key == PRESSED_UP) scroll_up(live, 1);
    if (key == PRESSED_PAGE_UP) scroll_up(live, live->room);
    if (key == PRESSED_FIRST) live->first = 0;
    if (key == PRESSED_DOWN) live->first++;
    if (key == PRESSED_PAGE_DOWN) live->first += live->room;
    if (key == PRESSED_LAST) live->first = SIZE_MAX - live->room;
}

/* Waits for a key, a signal, an answer, or the next look. */
static void step(struct live *live)
{
    struct pollfd at[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = live->signals, .events = POLLIN},
                          {.fd = watch_fd(live->watch), .events = POLLIN}};
    enum screen_key key;
    write_state(live);
    draw(live);
    poll(at, 3, clock_poll_ms(live->next_ns));
    if (at[1].revents || (at[0].revents & (POLLHUP | POLLERR | POLLNVAL))) live->is_over = true;
    while (!live->is_over && screen_key(&key)) obey(live, key);
    look(live);
}

/* They end the view like q, so that the terminal is given back. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* false: err says why it could not begin. */
static bool begin(struct live *live, const struct served *served, quern_error *err)
{
    live->signals = open_signals();
    if (!(live->watch = watch_start(served, live->every_ms, err))) return false;
    if (live->signals < 0) snprintf(err->text, sizeof err->text, "signalfd: %s", strerror(errno));
    if (live->signals < 0) return false;
    if (screen_open()) return true;
    snprintf(err->text, sizeof err->text, "the terminal could not be opened; without one: --once");
    return false;
}

int live_view(const quern_config *config, const struct served *served, int64_t every_ms, struct page page)
{
    struct live live = {.config = config, .every_ms = every_ms, .page = page};
    quern_error err;
    bool has_begun = begin(&live, served, &err);
    if (has_begun) sight_of_machine(&live.sight, config);
    live.next_ns = clock_deadline_ns(clock_now_ns(), every_ms);
    while (has_begun && !live.is_over) step(&live);
    screen_close();
    watch_leave(live.watch);
    sight_close(&live.sight);
    if (live.signals >= 0) close(live.signals);
    if (!has_begun) say("%s", err.text);
    return has_begun ? EXIT_DONE : EXIT_FAILED;
}
