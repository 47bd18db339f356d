/* SPDX-License-Identifier: MIT */

/* wire/conn: one connection to one server.
 * Idea       our own non-blocking socket under wire/reply's reader: an absolute deadline per call (CLOCK_BOOTTIME), MSG_NOSIGNAL,
 *            CLOEXEC. Commands are laid into one buffer, argument by argument, and leave together.
 * Invariant  after any error the connection is broken: it is closed and opened anew, never repaired.
 * Threads    its owner's; a connection belongs to one thread.
 * Never      retries by itself; that is its owner's decision. */
#ifndef QUERN_WIRE_CONN_H
#define QUERN_WIRE_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/reply.h"
#include "wire/url.h"

struct conn;

struct conn_options {
    const struct url *url;
    const char *name;        /* CLIENT SETNAME; no spaces */
    struct chunk_pool *pool; /* for replies; NULL: one of its own */
    int64_t answer_ms;       /* how long an answer may take once connected */
    bool takes_any_version;  /* also one that is too old to work with: for who says so himself */
};

/* Connects, logs in, selects the database, names itself and checks the server's version, all before deadline_ns.
 * Gives; NULL: QUERN_E_CONNECT, _AUTH, _SERVER (older than 7.0, not Redis) or _MEMORY. Waits. */
struct conn *conn_open(const struct conn_options *options, int64_t deadline_ns, quern_error *err);
void conn_close(struct conn *conn);

int conn_fd(const struct conn *conn);
int64_t conn_opened_ns(const struct conn *conn); /* when it was made */
int64_t conn_client_id(const struct conn *conn); /* for CLIENT UNBLOCK; 0: unknown */
bool conn_is_cluster(const struct conn *conn);   /* false also where it may not be asked */

/* Begins a command of argc arguments (the verb is the first), which follow by conn_arg…(). No memory breaks the connection,
 * which the next conn_send() says. Never waits. */
void conn_begin(struct conn *conn, size_t argc);
void conn_arg(struct conn *conn, const char *bytes, size_t len);
void conn_arg_text(struct conn *conn, const char *text);
void conn_arg_number(struct conn *conn, int64_t number);
/* A whole command of texts, ended by NULL. */
void conn_command(struct conn *conn, ...) __attribute__((sentinel));

/* Sends what was laid out. Waits until the kernel has it all, at most until the deadline. */
int conn_send(struct conn *conn, int64_t deadline_ns, quern_error *err) QUERN_MUST_USE;

/* The next whole reply, lent until the next call. Waits until the deadline. An error reply is a reply (QUERN_OK). */
int conn_reply(struct conn *conn, int64_t deadline_ns, const struct reply **reply, quern_error *err) QUERN_MUST_USE;

/* The same without waiting: QUERN_E_BUSY: it is not whole yet. A call behind one that has emptied the socket says so without looking,
 * once: who is told so waits for the socket, and asks again. */
int conn_poll_reply(struct conn *conn, const struct reply **reply, quern_error *err) QUERN_MUST_USE;

/* The last reply is not needed any more: its memory is free at once, not only when the next one comes. */
void conn_drop_reply(struct conn *conn);

/* How many bytes the last reply took. */
uint64_t conn_reply_size(const struct conn *conn);

/* Sends, then waits for one reply, at most answer_ms in all; an error reply fails with its own code and text. */
int conn_ask(struct conn *conn, const struct reply **reply, quern_error *err) QUERN_MUST_USE;

/* The deadline of an answer that is asked for now. */
int64_t conn_answer_deadline(const struct conn *conn);

/* Turns an error reply into err; what says what was asked, such as "XGROUP CREATE". Returns its code. */
int conn_refused(const struct reply *reply, const char *what, quern_error *err);

/* For wire/route only. Begins anew, with the server or sentinel at place (NULL: the URL's socket): reaches it, logs in, and
 * introduces itself to a server. */
enum conn_peer { CONN_SERVER, CONN_SENTINEL };
int conn_reach(struct conn *conn, const struct conn_options *options, const struct url_place *place, enum conn_peer peer,
               int64_t deadline_ns, quern_error *err) QUERN_MUST_USE;
const char *conn_shown(const struct conn *conn);
const struct url *conn_url(const struct conn *conn);
bool conn_is_broken(const struct conn *conn);

/* For wire/handshake only: sends, and waits for one reply; where the other end has closed before it was asked, its last word is the reply. */
int conn_ask_first(struct conn *conn, int64_t deadline_ns, const struct reply **reply, quern_error *err) QUERN_MUST_USE;

/* For wire/script only: the bytes that wait to be sent; behind a conn_send() they stay until the next conn_begin(). */
struct conn_buffer {
    char *bytes;
    size_t len, sent, capacity;
    bool failed;
};
struct conn_buffer *conn_out(struct conn *conn);
/* Room for n more bytes behind len; NULL: no memory. */
char *conn_room(struct conn_buffer *out, size_t n);

#endif
