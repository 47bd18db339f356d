/* SPDX-License-Identifier: MIT */

/* wire/script: the Lua scripts, and how one is asked.
 * Idea       each script is a file in scripts/, built in with its SHA-1. It is called by that; a server that does not know it
 *            (yet, or any more) is sent the whole text in the same breath.
 * Rules      one call per batch · at most SCRIPT_ENTRIES_MAX entries, and about SCRIPT_BYTES · types before writes · durable before destructive
 * Threads    the connection's owner. */
#ifndef QUERN_WIRE_SCRIPT_H
#define QUERN_WIRE_SCRIPT_H

#include "wire/conn.h"

enum {
    SCRIPT_ENTRIES_MAX = 256,
    SCRIPT_MOVES_MAX = 64,
    SCRIPT_RECORDS_MAX = 128,
    SCRIPT_BYTES = 1024 * 1024
}; /* entries and bytes of one call; fewer where it copies or records them */

struct script {
    const char *name, *text, *sha1;
    size_t text_len;
};

extern const struct script script_publish, script_enqueue, script_ack, script_logged, script_done, script_retry, script_dead,
    script_batch, script_renew, script_adopt, script_join, script_heal, script_due, script_reclaim, script_alone, script_blame,
    script_trim, script_sweep;
extern const struct script script_replay, script_skip, script_purge, script_remove, script_raze,
    script_cancel;                      /* what repairs */
extern const struct script script_find; /* what looks */

/* Begins a call with keys_count keys and args_count arguments, which follow by conn_arg…(). For script_ask() nothing else may wait to be
 * sent or answered on the connection. */
void script_begin(struct conn *conn, const struct script *script, size_t keys_count, size_t args_count);

/* Sends the call and waits for its reply, at most until the deadline. An error of the script fails with its own code:
 * *meaning (may be NULL) says what it means. */
struct error_meaning;
int script_ask(struct conn *conn, const struct script *script, int64_t deadline_ns, const struct reply **reply,
               struct error_meaning *meaning, quern_error *err) QUERN_MUST_USE;

/* The same for the answer to a call that was sent otherwise. */
int script_said(const struct script *script, const struct reply *reply, struct error_meaning *meaning,
                quern_error *err) QUERN_MUST_USE;

/* Of an error that a script has answered: did it come from within? Then what the script had written before is there. What is refused
 * before it begins, or what it says itself, is not of that kind. */
bool script_has_begun(const struct reply *reply);

#endif
