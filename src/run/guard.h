/* SPDX-License-Identifier: MIT */

/* run/guard: calls a handler that may throw.
 * Idea       a C++ exception that nobody catches ends the process. Here a frame of our own says that it catches everything: on x86-64 a
 *            few instructions with a personality routine, so that neither a C++ compiler nor its library is needed. Elsewhere the
 *            handler is called as it is, and an exception is a crash.
 * Threads    the worker's. */
#ifndef QUERN_RUN_GUARD_H
#define QUERN_RUN_GUARD_H

#include <stdbool.h>

#include "quern.h"

/* *has_thrown: it did not return; the exception is gone, and the verdict is QUERN_RETRY. */
quern_verdict guard_call(const quern_handler *handler, quern_job *job, void *thread, bool *has_thrown);

#endif
