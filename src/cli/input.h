/* SPDX-License-Identifier: MIT */

/* cli/input: lines of a descriptor.
 * Idea       like getline(), and can tell whether the next line is there, so that what was read need not wait for it.
 * Invariant  what has been read and not been given out lies in bytes[start, end).
 * Threads    one. */
#ifndef QUERN_CLI_INPUT_H
#define QUERN_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct input {
    int fd;
    char *bytes;
    size_t start, end, capacity;
    size_t searched; /* no line ends before it, from start on */
    bool has_ended;
    int error; /* an errno; 0: none */
};

/* The next line without its end ("\n" or "\r\n") into *line, which is enlarged as getline() does it; the caller frees it.
 * Waits for it. Returns its length; -1: there is none any more, or error says why. */
ssize_t input_line(struct input *input, char **line, size_t *capacity);

/* Is the next line, or its end, still to come, even after ms of waiting for more of it? */
bool input_is_late(struct input *input, int ms);

void input_close(struct input *input);

#endif
