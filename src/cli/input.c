/* SPDX-License-Identifier: MIT */
#include "cli/input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

/* The end of the next line; NULL: it is not there yet. Each byte is looked at once, however often a long line is asked for. */
static const char *newline_of(struct input *input)
{
    const char *newline =
        input->end > input->searched ? memchr(input->bytes + input->searched, '\n', input->end - input->searched) : NULL;
    input->searched = newline ? (size_t)(newline - input->bytes) : input->end;
    return newline;
}

/* Room for one more read, behind what is there. */
static bool make_room(struct input *input)
{
    size_t len = input->end - input->start;
    if (input->start) memmove(input->bytes, input->bytes + input->start, len);
    input->searched -= input->start;
    input->start = 0;
    input->end = len;
    if (input->capacity - len >= READ_BYTES) return true;
    size_t capacity = 2 * len + READ_BYTES;
    char *bytes = realloc(input->bytes, capacity);
    if (!bytes) return false;
    input->bytes = bytes;
    input->capacity = capacity;
    return true;
}

/* Reads more; has_ended: there is no more. */
static void read_more(struct input *input)
{
    ssize_t n = -1;
    errno = ENOMEM;
    if (make_room(input)) {
        do n = read(input->fd, input->bytes + input->end, READ_BYTES);
        while (n < 0 && errno == EINTR);
    }
    if (n < 0) input->error = errno;
    if (n <= 0)
        input->has_ended = true;
    else
        input->end += (size_t)n;
}

/* Gives out len bytes, but for the CR of a line's end, and takes them and what separates them from the rest away. */
static ssize_t take(struct input *input, size_t len, size_t separator, char **line, size_t *capacity)
{
    const char *from = input->bytes + input->start;
    size_t kept = separator && len && from[len - 1] == '\r' ? len - 1 : len;
    if (*capacity <= kept) {
        char *bytes = realloc(*line, kept + 1);
        if (!bytes) {
            input->error = ENOMEM;
            return -1;
        }
        *line = bytes;
        *capacity = kept + 1;
    }
    memcpy(*line, from, kept);
    (*line)[kept] = 0;
    input->start = input->searched = input->start + len + separator;
    return (ssize_t)kept;
}

ssize_t input_line(struct input *input, char **line, size_t *capacity)
{
    const char *newline;
    while (!(newline = newline_of(input)) && !input->has_ended) read_more(input);
    if (input->error) return -1;
    if (newline) return take(input, (size_t)(newline - input->bytes) - input->start, 1, line, capacity);
    return input->end > input->start ? take(input, input->end - input->start, 0, line, capacity) : -1;
}

bool input_is_late(struct input *input, int ms)
{
    struct pollfd at = {.fd = input->fd, .events = POLLIN};
    while (!newline_of(input) && !input->has_ended) {
        if (poll(&at, 1, ms) == 0) return true;
        read_more(input);
    }
    return false;
}

void input_close(struct input *input)
{
    free(input->bytes);
    *input = (struct input){.fd = -1};
}
