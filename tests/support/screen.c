/* SPDX-License-Identifier: MIT */

/* tests/support/screen: a terminal for a program, and somebody who looks at it and types.
 * Idea       a pseudo terminal of 24 lines and 80 columns, and as much of an xterm behind it as ncurses asks for: what the
 *            program has written is a screen here, not a stream. What is to be seen and typed comes as lines on standard input:
 *                see TEXT        waits until the screen shows it             lack TEXT   until it does not
 *                type KEYS       \r, \e and \xHH are as in C                 size H W    another size
 *                signal NUMBER                                               show        prints the screen
 *                mark FILE       makes it, for those who wait for what stands before
 *                end STATUS      waits for the program's end; then the terminal must be as it was
 *            Its exit status is 0, or 1 and the screen is printed.
 * Never      waits longer than PATIENCE_MS, and never leaves the program behind. */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

enum { HEIGHT = 60, WIDTH = 200, PATIENCE_MS = 30000, SEQUENCE = 64 };

static struct {
    int height, width, row, column;
    char at[HEIGHT][WIDTH];       /* a byte of each character */
    bool is_alternate, is_hidden; /* a program's own screen; no cursor */
    char sequence[SEQUENCE];
    size_t sequence_len; /* of an escape sequence that has begun */
    char last;
} screen = {.height = 24, .width = 80};

static int master, slave;
static pid_t child;
static struct termios before;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void print_screen(void)
{
    for (int row = 0; row < screen.height; row++) fprintf(stderr, "|%.*s|\n", screen.width, screen.at[row]);
}

static _Noreturn void fail(const char *what, const char *text)
{
    fprintf(stderr, "screen: %s%s\n", what, text);
    print_screen();
    if (child > 0) kill(child, SIGKILL);
    exit(1);
}

/* ── what an xterm does ──────────────────────────────────────────────────────────────────────────────────────────── */

static void blank(int row, int from, int to)
{
    if (row < HEIGHT && from < to) memset(&screen.at[row][from], ' ', (size_t)(to - from));
}

static void scroll(void)
{
    memmove(screen.at[0], screen.at[1], sizeof screen.at[0] * (HEIGHT - 1));
    blank(screen.height - 1, 0, WIDTH);
}

static void put(char c)
{
    if ((c & 0xc0) == 0x80) return; /* behind the first byte of a character */
    if (screen.column >= screen.width) screen.column = screen.width - 1;
    screen.at[screen.row][screen.column++] = c;
    screen.last = c;
}

static int clamp(int value, int max)
{
    return value < 0 ? 0 : value > max ? max : value;
}

static void move(int row, int column)
{
    screen.row = clamp(row, screen.height - 1);
    screen.column = clamp(column, screen.width - 1);
}

static void erase(int which)
{
    if (which == 0) blank(screen.row, screen.column, WIDTH);
    if (which == 1) blank(screen.row, 0, screen.column + 1);
    if (which == 2) blank(screen.row, 0, WIDTH);
    if (which == 3)
        for (int row = 0; row < HEIGHT; row++) blank(row, 0, WIDTH);
}

static void shift(int n)
{
    char *line = screen.at[screen.row];
    int from = screen.column, left = WIDTH - from;
    if (n > left || -n > left) return;
    if (n > 0) memmove(line + from + n, line + from, (size_t)(left - n));
    if (n > 0) blank(screen.row, from, from + n);
    if (n < 0) memmove(line + from, line + from - n, (size_t)(left + n));
    if (n < 0) blank(screen.row, WIDTH + n, WIDTH);
}

static void set_mode(const char *numbers, bool is_on)
{
    if (strstr(numbers, "?1049")) screen.is_alternate = is_on;
    if (strstr(numbers, "?25")) screen.is_hidden = !is_on;
}

/* ESC [ numbers final */
static void control(const char *numbers, char final)
{
    int a = 0, b = 0;
    sscanf(numbers, "%d;%d", &a, &b);
    int n = a ? a : 1;
    switch (final) {
    case 'H':
    case 'f':
        move(n - 1, (b ? b : 1) - 1);
        break;
    case 'd':
        move(n - 1, screen.column);
        break;
    case 'G':
        move(screen.row, n - 1);
        break;
    case 'A':
    case 'B':
        move(screen.row + (final == 'A' ? -n : n), screen.column);
        break;
    case 'C':
    case 'D':
        move(screen.row, screen.column + (final == 'D' ? -n : n));
        break;
    case 'J':
        erase(0);
        for (int row = a == 2 ? 0 : screen.row + 1; row < HEIGHT; row++) blank(row, 0, WIDTH);
        break;
    case 'K':
        erase(a);
        break;
    case 'X':
        blank(screen.row, screen.column, clamp(screen.column + n, WIDTH));
        break;
    case '@':
    case 'P':
        shift(final == '@' ? n : -n);
        break;
    case 'b':
        while (n--) put(screen.last);
        break;
    case 'h':
    case 'l':
        set_mode(numbers, final == 'h');
        break;
    case 'm':
    case 'r':
    case 't':
        break; /* colours, and the region that scrolls, which is all of it here */
    default:
        fail("a control sequence that it does not know: ", (char[]){final, 0});
    }
}

/* Takes a byte of an escape sequence. */
static void take_escaped(char c)
{
    if (screen.sequence_len + 1 >= SEQUENCE) fail("an endless control sequence", "");
    screen.sequence[screen.sequence_len++] = c;
    screen.sequence[screen.sequence_len] = 0;
    const char *all = screen.sequence;
    bool is_control = all[1] == '[', is_charset = strchr("()", all[1]) != NULL;
    bool is_over = screen.sequence_len > 2 ? !is_control || (c >= 0x40 && c <= 0x7e) : !is_control && !is_charset;
    if (!is_over) return;
    if (is_control) {
        screen.sequence[screen.sequence_len - 1] = 0;
        control(all + 2, c);
    } else if (!is_charset && !strchr("=>78M", all[1])) {
        fail("an escape sequence that it does not know: ", all + 1);
    }
    screen.sequence_len = 0;
}

static void take(char c)
{
    if (screen.sequence_len)
        take_escaped(c);
    else if (c == '\x1b')
        screen.sequence[screen.sequence_len++] = c;
    else if (c == '\r')
        screen.column = 0;
    else if (c == '\b')
        move(screen.row, screen.column - 1);
    else if (c == '\n' && screen.row == screen.height - 1)
        scroll();
    else if (c == '\n')
        screen.row++;
    else if ((unsigned char)c < 0x20 && c != '\x0f' && c != '\x0e')
        fail("a control character", "");
    else if ((unsigned char)c >= 0x20)
        put(c);
}

/* What the program has written, if it does so within wait_ms. */
static void listen_to(int wait_ms)
{
    char bytes[4096];
    if (poll(&(struct pollfd){.fd = master, .events = POLLIN}, 1, wait_ms) <= 0) return;
    ssize_t n = read(master, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++) take(bytes[i]);
}

/* ── what is looked for and typed ────────────────────────────────────────────────────────────────────────────────── */

static bool shows(const char *text)
{
    for (int row = 0; row < screen.height; row++)
        if (memmem(screen.at[row], (size_t)screen.width, text, strlen(text))) return true;
    return false;
}

static void look_for(const char *text, bool is_wanted)
{
    for (int64_t end_ms = now_ms() + PATIENCE_MS; shows(text) != is_wanted;) {
        if (now_ms() > end_ms) fail(is_wanted ? "in vain: see " : "in vain: lack ", text);
        listen_to(10);
    }
}

static void type(const char *keys)
{
    for (const char *at = keys; *at; at++) {
        unsigned byte = (unsigned char)*at;
        if (*at == '\\' && at[1] == 'e') byte = 0x1b, at++;
        if (*at == '\\' && at[1] == 'r') byte = '\r', at++;
        if (*at == '\\' && at[1] == 'x' && sscanf(at + 2, "%2x", &byte) == 1) at += 3;
        if (write(master, &(char){(char)byte}, 1) != 1) fail("cannot type ", keys);
    }
}

static void set_size(int height, int width)
{
    if (height < 1 || height > HEIGHT || width < 1 || width > WIDTH) fail("no such size", "");
    screen.height = height;
    screen.width = width;
    ioctl(master, TIOCSWINSZ, &(struct winsize){.ws_row = (unsigned short)height, .ws_col = (unsigned short)width});
}

static void wait_end(int wanted)
{
    int status = 0;
    char text[32];
    struct termios after;
    for (int64_t end_ms = now_ms() + PATIENCE_MS; waitpid(child, &status, WNOHANG) == 0; listen_to(10))
        if (now_ms() > end_ms) fail("it does not end", "");
    child = 0;
    listen_to(0);
    snprintf(text, sizeof text, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    if (atoi(text) != wanted) fail("it ended with ", text);
    bool is_read = tcgetattr(slave, &after) == 0;
    if (!is_read || after.c_lflag != before.c_lflag || after.c_iflag != before.c_iflag || after.c_oflag != before.c_oflag)
        fail("the terminal's modes are not what they were", "");
    if (screen.is_alternate || screen.is_hidden) fail("the screen or the cursor was not given back", "");
}

static void obey(char *line)
{
    char *rest = strchr(line, ' ');
    int a = 0, b = 0;
    if (rest) *rest++ = 0;
    if (rest) sscanf(rest, "%d %d", &a, &b);
    if (strcmp(line, "see") == 0)
        look_for(rest, true);
    else if (strcmp(line, "lack") == 0)
        look_for(rest, false);
    else if (strcmp(line, "type") == 0)
        type(rest);
    else if (strcmp(line, "size") == 0)
        set_size(a, b);
    else if (strcmp(line, "signal") == 0)
        kill(child, a);
    else if (strcmp(line, "end") == 0)
        wait_end(a);
    else if (strcmp(line, "mark") == 0)
        fclose(fopen(rest, "w"));
    else if (strcmp(line, "show") == 0)
        print_screen();
    else
        fail("no such word: ", line);
}

/* screen PROGRAM [ARGUMENT ...] */
int main(int argc, char **argv)
{
    static char line[4096];
    memset(screen.at, ' ', sizeof screen.at);
    if (argc < 2 || openpty(&master, &slave, NULL, NULL, NULL)) fail("no program, or no terminal", "");
    set_size(screen.height, screen.width);
    if (tcgetattr(slave, &before)) fail("no modes", "");
    child = fork();
    if (child == 0) {
        close(master);
        if (login_tty(slave)) _exit(126);
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    while (child > 0 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) obey(line);
    }
    if (child > 0) fail("it was not seen to its end", "");
    return 0;
}
