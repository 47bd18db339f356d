/* SPDX-License-Identifier: MIT */

/* tests/support/runner: promises/runner as a child of the test: a process that can be signalled and killed.
 * Idea       held by its pidfd, so never anybody else's; its mark is a file in the folder of the scene's server.
 * Threads    the test's own; each function fails the test where it cannot. */
#ifndef QUERN_TESTS_SUPPORT_RUNNER_H
#define QUERN_TESTS_SUPPORT_RUNNER_H

#include <stdbool.h>

#include "support/mill.h"

/* Starts one at a server. event: for quern_consume(); NULL: quern_run(). Returns its pidfd. */
int runner_spawn(struct scene *scene, char *url, const char *event);

/* The same at the scene's own, and it has come there. */
int runner_start(struct scene *scene, const char *event);

/* And it is at a job of this data, which it had not published itself. */
int runner_at_work(struct scene *scene, const char *data);

/* Has a handler begun since this was last true? */
bool runner_has_marked(struct scene *scene);

int runner_signal(int pidfd, int number);

/* *status: its exit status, or the signal that ended it, negative. Then the pidfd is closed. */
bool runner_has_exited(int pidfd, int *status);

#endif
