/* SPDX-License-Identifier: MIT */
#include "wire/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "wire/dial.h"
#include "wire/errors.h"
#include "wire/handshake.h"
#include "wire/route.h"
#include "wire/tls.h"

/* One read takes at most this much: were both replies of a pipeline taken at once, both requests would leave together and
 * Redis would idle while we parse. */
enum { READ_BYTES = 32 * 1024, OUT_KEEP_BYTES = 256 * 1024, WHERE_SIZE = 400 };

struct conn {
    int fd;
    struct tls *tls; /* NULL: the bytes go as they are */
    bool is_broken, is_cluster;
    bool is_full;    /* the last read took all that it could */
    bool is_drained; /* it did not, and ended a reply: nothing more has come yet */
    struct reader *reader;
    struct chunk_pool *own_pool; /* NULL: the caller's is used */
    struct conn_buffer out;
    int64_t opened_ns, answer_ms, client_id;
    const struct url *url; /* the options' */
    const char *shown;     /* where it goes, for texts: the URL's, or where */
    char where[WHERE_SIZE];
};

/* ── laying out commands ─────────────────────────────────────────────────────────────────────────────────────────── */

char *conn_room(struct conn_buffer *out, size_t n)
{
    if (out->failed) return NULL;
    if (n > out->capacity - out->len) {
        size_t capacity = out->capacity ? out->capacity : 4096;
        while (capacity - out->len < n) capacity *= 2;
        char *bytes = realloc(out->bytes, capacity);
        if (!bytes) {
            out->failed = true;
            return NULL;
        }
        out->bytes = bytes;
        out->capacity = capacity;
    }
    return out->bytes + out->len;
}

/* type, number, CR LF: at most 24 bytes. */
static size_t put_head(char *at, char type, uint64_t number)
{
    size_t len = 1 + bytes_put_number(at + 1, number);
    at[0] = type;
    at[len++] = '\r';
    at[len++] = '\n';
    return len;
}

void conn_begin(struct conn *conn, size_t argc)
{
    if (!conn->out.len && conn->out.capacity > OUT_KEEP_BYTES) {
        free(conn->out.bytes);
        conn->out = (struct conn_buffer){0};
    }
    char *at = conn_room(&conn->out, 24);
    if (at) conn->out.len += put_head(at, '*', argc);
}

void conn_arg(struct conn *conn, const char *bytes, size_t len)
{
    char *at = conn_room(&conn->out, len + 26);
    if (!at) return;
    size_t head = put_head(at, '$', len);
    if (len) memcpy(at + head, bytes, len);
    memcpy(at + head + len, "\r\n", 2);
    conn->out.len += head + len + 2;
}

void conn_arg_text(struct conn *conn, const char *text)
{
    conn_arg(conn, text, strlen(text));
}

void conn_arg_number(struct conn *conn, int64_t number)
{
    char text[1 + BYTES_NUMBER_SIZE];
    bool is_negative = number < 0;
    text[0] = '-';
    size_t len = bytes_put_number(text + 1, is_negative ? -(uint64_t)number : (uint64_t)number);
    conn_arg(conn, text + !is_negative, len + is_negative);
}

void conn_command(struct conn *conn, ...)
{
    va_list args;
    size_t argc = 0;
    va_start(args, conn);
    while (va_arg(args, const char *)) argc++;
    va_end(args);
    conn_begin(conn, argc);
    va_start(args, conn);
    for (const char *text; (text = va_arg(args, const char *));) conn_arg_text(conn, text);
    va_end(args);
}

struct conn_buffer *conn_out(struct conn *conn)
{
    return &conn->out;
}

/* ── the socket ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static int broken(struct conn *conn, quern_error *err, int code, const char *what)
{
    conn->is_broken = true;
    return err_set(err, code, "%s: %s", conn->shown, what);
}

/* Waits until the socket is ready for events. QUERN_OK, or the connection is broken. */
static int wait_for(struct conn *conn, short events, int64_t deadline_ns, quern_error *err)
{
    for (;;) {
        struct pollfd at = {.fd = conn->fd, .events = events};
        if (clock_now_ns() >= deadline_ns) return broken(conn, err, QUERN_E_TIMEOUT, "no answer in time");
        int n = poll(&at, 1, clock_poll_ms(deadline_ns));
        if (n > 0) return QUERN_OK;
        if (n < 0 && errno != EINTR) return broken(conn, err, QUERN_E_CONNECT, strerror(errno));
    }
}

static ssize_t put_out(struct conn *conn, const char *bytes, size_t len)
{
    return conn->tls ? tls_write(conn->tls, bytes, len) : send(conn->fd, bytes, len, MSG_NOSIGNAL);
}

/* What errno says has ended it. */
static int socket_broken(struct conn *conn, quern_error *err)
{
    if (!conn->tls || errno != EPROTO) return broken(conn, err, QUERN_E_CONNECT, strerror(errno));
    conn->is_broken = true;
    return tls_failed(conn->tls, err);
}

/* What there must be for the next read or write: TLS may have to read before it writes. */
static short wanted(const struct conn *conn, short events)
{
    return conn->tls ? tls_wants(conn->tls) : events;
}

int conn_send(struct conn *conn, int64_t deadline_ns, quern_error *err)
{
    struct conn_buffer *out = &conn->out;
    if (conn->is_broken) return err_set(err, QUERN_E_CONNECT, "%s: the connection is broken", conn->shown);
    if (out->failed) return broken(conn, err, QUERN_E_MEMORY, "no memory for a command");
    for (size_t sent = 0; sent < out->len;) {
        ssize_t n = put_out(conn, out->bytes + sent, out->len - sent);
        if (n > 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            int code = wait_for(conn, wanted(conn, POLLOUT), deadline_ns, err);
            if (code) return code;
        } else if (errno != EINTR) {
            return socket_broken(conn, err);
        }
    }
    out->sent = out->len;
    out->len = 0;
    return QUERN_OK;
}

/* The next reply of what was received. QUERN_E_BUSY: it is not whole. */
static int next_reply(struct conn *conn, const struct reply **reply, quern_error *err)
{
    int whole = reader_next(conn->reader, reply);
    if (whole < 0)
        return broken(conn, err, QUERN_E_SERVER,
                      "what answers there does not speak Redis's protocol, or an answer is over its bounds");
    return whole ? QUERN_OK : QUERN_E_BUSY;
}

/* One read, to where the reader wants it. QUERN_E_BUSY: there is nothing. */
static int take_some(struct conn *conn, quern_error *err)
{
    size_t room;
    char *at = reader_room(conn->reader, &room);
    if (!at) return broken(conn, err, QUERN_E_MEMORY, "no memory for an answer");
    if (room > READ_BYTES) room = READ_BYTES;
    ssize_t n = conn->tls ? tls_read(conn->tls, at, room) : recv(conn->fd, at, room, 0);
    if (n == 0) return broken(conn, err, QUERN_E_CONNECT, "the server closed the connection");
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return QUERN_E_BUSY;
    if (n < 0) return socket_broken(conn, err);
    reader_took(conn->reader, (size_t)n);
    conn->is_full = (size_t)n == room;
    return QUERN_OK;
}

/* Is another read worth it before poll() is asked? What TLS holds back it does not show; and the answer to a batch takes two. */
static bool has_more(const struct conn *conn, int reads)
{
    return conn->tls ? tls_holds(conn->tls) : conn->is_full && reads < 2;
}

/* Few reads a call: who keeps a deadline looks at the clock in between, however fast the bytes come. */
static int take_reply(struct conn *conn, const struct reply **reply, quern_error *err)
{
    int code, reads = 0;
    do {
        if ((code = take_some(conn, err))) return code;
        code = next_reply(conn, reply, err);
    } while (code == QUERN_E_BUSY && has_more(conn, ++reads));
    return code;
}

int conn_poll_reply(struct conn *conn, const struct reply **reply, quern_error *err)
{
    if (conn->is_broken) return err_set(err, QUERN_E_CONNECT, "%s: the connection is broken", conn->shown);
    int code = next_reply(conn, reply, err);
    if (code != QUERN_E_BUSY) return code;
    bool is_drained = conn->is_drained;
    conn->is_drained = false; /* once: whoever asks again has waited meanwhile */
    if (is_drained) return QUERN_E_BUSY;
    code = take_reply(conn, reply, err);
    conn->is_drained = !conn->tls && !code && !conn->is_full;
    return code;
}

int conn_reply(struct conn *conn, int64_t deadline_ns, const struct reply **reply, quern_error *err)
{
    /* What was asked for just now is not there yet: to look before waiting would be in vain. But what lies decrypted wakes nobody. */
    if (conn->is_broken) return err_set(err, QUERN_E_CONNECT, "%s: the connection is broken", conn->shown);
    int code = conn->tls ? conn_poll_reply(conn, reply, err) : next_reply(conn, reply, err);
    while (code == QUERN_E_BUSY) {
        code = wait_for(conn, wanted(conn, POLLIN), deadline_ns, err);
        if (!code) code = take_reply(conn, reply, err);
    }
    return code;
}

void conn_drop_reply(struct conn *conn)
{
    reader_drop(conn->reader);
}

uint64_t conn_reply_size(const struct conn *conn)
{
    return reader_size(conn->reader);
}

int64_t conn_answer_deadline(const struct conn *conn)
{
    return clock_deadline_ns(clock_now_ns(), conn->answer_ms);
}

int conn_refused(const struct reply *reply, const char *what, quern_error *err)
{
    quern_bytes text = reply_bytes(reply);
    struct error_meaning meaning = error_meaning(text);
    int len = text.len > 300 ? 300 : (int)text.len;
    err_set(err, (int)meaning.code, "%s: the server says: %.*s", what, len, text.at ? text.at : "");
    if (err && meaning.class == ERROR_TRANSIENT) err->is_retriable = 1; /* such as a full server: not for ever */
    return (int)meaning.code;
}

int conn_ask(struct conn *conn, const struct reply **reply, quern_error *err)
{
    int64_t deadline_ns = conn_answer_deadline(conn);
    int code = conn_send(conn, deadline_ns, err);
    if (!code) code = conn_reply(conn, deadline_ns, reply, err);
    if (!code && (*reply)->type == REPLY_ERROR) return conn_refused(*reply, conn->shown, err);
    return code;
}

/* A server without room, or one that does not trust us, says so and closes before it is asked: then its word lies there unread. */
int conn_ask_first(struct conn *conn, int64_t deadline_ns, const struct reply **reply, quern_error *err)
{
    int code = conn_send(conn, deadline_ns, err);
    if (!code) return conn_reply(conn, deadline_ns, reply, err);
    quern_error said;
    conn->is_broken = false;
    int heard = code == QUERN_E_CONNECT ? take_reply(conn, reply, &said) : code;
    conn->is_broken = true;
    if (heard == QUERN_E_AUTH) return err_set(err, heard, "%s", said.text);
    return heard ? code : QUERN_OK;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int secure(struct conn *conn, const char *host, int64_t deadline_ns, quern_error *err)
{
    const struct url_tls *files = &conn->url->tls;
    struct tls_setup setup = {files->ca, files->cert, files->key, files->name ? files->name : host, conn->shown};
    return conn->url->is_tls ? tls_open(&conn->tls, conn->fd, &setup, deadline_ns, err) : QUERN_OK;
}

static void hang_up(struct conn *conn)
{
    tls_close(conn->tls);
    if (conn->fd >= 0) close(conn->fd);
    reader_close(conn->reader);
    conn->tls = NULL;
    conn->fd = -1;
    conn->reader = NULL;
}

/* As if nothing had been said yet. */
static int begin(struct conn *conn, const struct conn_options *options, const struct url_place *place, quern_error *err)
{
    hang_up(conn);
    conn->is_broken = conn->is_cluster = false;
    conn->out.len = 0;
    conn->reader = reader_open(options->pool ? options->pool : conn->own_pool);
    const struct url_place *only = conn->url->place_count == 1 && !conn->url->master ? conn->url->places : NULL;
    bool is_elsewhere = place && !(only && only->port == place->port && !strcmp(only->host, place->host));
    if (is_elsewhere)
        snprintf(conn->where, sizeof conn->where, "%.240s at %.120s:%u", conn->url->shown, place->host, place->port);
    conn->shown = is_elsewhere ? conn->where : conn->url->shown;
    return conn->reader ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for a connection");
}

/* What we said was answered by the end of the connection. */
static int hung_up_on(const struct conn *conn, int code, quern_error *err)
{
    quern_error said = *err;
    if (code == QUERN_E_TIMEOUT)
        return err_set(err, QUERN_E_CONNECT, "%s: connected, but no answer: is it Redis, or is it stopped?", conn->shown);
    if (code != QUERN_E_CONNECT || conn->url->is_tls || conn->url->is_unix) return code;
    return err_set(err, code, "%s (if it speaks TLS, its URL begins with rediss://)", said.text);
}

int conn_reach(struct conn *conn, const struct conn_options *options, const struct url_place *place, enum conn_peer peer,
               int64_t deadline_ns, quern_error *err)
{
    const struct url *url = options->url;
    struct greeting told = {0};
    int code = begin(conn, options, place, err);
    if (!code) code = dial(&conn->fd, &(struct dial_to){place ? NULL : url->host, place, conn->shown}, deadline_ns, err);
    if (code) return code;
    code = secure(conn, place ? place->host : url->host, deadline_ns, err);
    if (!code) code = handshake(conn, options, peer, deadline_ns, &told, err);
    conn->client_id = told.client_id;
    conn->is_cluster = told.is_cluster;
    return code ? hung_up_on(conn, code, err) : QUERN_OK;
}

struct conn *conn_open(const struct conn_options *options, int64_t deadline_ns, quern_error *err)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn) goto no_memory;
    conn->fd = -1;
    conn->url = options->url;
    conn->answer_ms = options->answer_ms;
    if (!options->pool && !(conn->own_pool = chunk_pool_open(2))) goto no_memory;
    if (!route_connect(conn, options, deadline_ns, err)) {
        conn->opened_ns = clock_now_ns();
        return conn;
    }
    conn_close(conn);
    return NULL;
no_memory:
    conn_close(conn);
    err_set(err, QUERN_E_MEMORY, "no memory for a connection");
    return NULL;
}

void conn_close(struct conn *conn)
{
    if (!conn) return;
    hang_up(conn);
    chunk_pool_close(conn->own_pool);
    free(conn->out.bytes);
    free(conn);
}

const char *conn_shown(const struct conn *conn)
{
    return conn->shown;
}

const struct url *conn_url(const struct conn *conn)
{
    return conn->url;
}

bool conn_is_broken(const struct conn *conn)
{
    return conn->is_broken;
}

int conn_fd(const struct conn *conn)
{
    return conn->fd;
}

int64_t conn_opened_ns(const struct conn *conn)
{
    return conn->opened_ns;
}

bool conn_is_cluster(const struct conn *conn)
{
    return conn->is_cluster;
}

int64_t conn_client_id(const struct conn *conn)
{
    return conn->client_id;
}
