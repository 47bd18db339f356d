/* SPDX-License-Identifier: MIT */

/* tests/support/desk: a publisher for one test, and one message after the other.
 * Threads    the desk's owner. */
#ifndef QUERN_TESTS_SUPPORT_DESK_H
#define QUERN_TESTS_SUPPORT_DESK_H

#include "support/mill.h"

struct desk {
    quern_config *config;
    quern_publisher *publisher;
    quern_error error;
    quern_receipt receipt; /* of the last one */
};

/* Publishes to "jobs" of the scene's server; then keys and values of the configuration up to NULL. */
struct desk *desk_open(struct scene *scene, ...) __attribute__((sentinel));
void desk_close(struct desk *desk);

/* Publishes one: event "job" and data unless the message says otherwise. Returns the code. */
int desk_publish(struct desk *desk, const char *data, quern_message message);
#define PUBLISH(desk, data, ...) desk_publish((desk), (data), (quern_message){__VA_ARGS__})

/* Publishes jobs of these numbers, event "job", to that stream. */
void desk_fill(struct scene *scene, const char *stream, int from, int n);

#endif
