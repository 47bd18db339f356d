/* SPDX-License-Identifier: MIT */

/* embed/keeper: the process that owns the private server (embed/embed.h has the whole picture).
 * Idea       two locks are waited for, each on a thread: server.lock had = the server has died; users.lock had = the last user
 *            has gone. The loop acts on what has come.
 *                         ┌───────────── server.lock had, users left ────────────┐
 *                         ▼                                                      │
 *              start the server (or find one alive) ──▶ wait ──▶ users.lock had: SHUTDOWN, until server.lock is had: end
 * Invariant  one keeper per directory (keeper.lock). It starts a server only with server.lock in its hand, ends one only with
 *            users.lock in its hand, and keeps both until its own end: who comes meanwhile waits.
 * Never      has a terminal, or a descriptor of who started it; is anybody's child who would have to reap it. */
#ifndef QUERN_EMBED_KEEPER_H
#define QUERN_EMBED_KEEPER_H

#include "quern.h"

#define KEEPER_VERB "--embed-keeper"

/* What `PROGRAM --embed-keeper DIR [SEARCH]` runs: main's own arguments; call it first thing in main, before any thread. If
 * another keeper is there it ends at once. What goes wrong before the server serves is told in one line "CODE TEXT" on
 * standard output, which is closed when it serves. Returns the exit status. */
int embed_keeper_main(int argc, char **argv);

/* Starts a keeper. self, search: as in struct embed_options. report_fd (NULL: nobody listens) gives the reading end of its
 * standard output, non-blocking. Waits only until the keeper has left us, not until it keeps. Any thread. */
int keeper_summon(const char *dir, const char *self, const char *search, int *report_fd, quern_error *err) QUERN_MUST_USE;

#endif
