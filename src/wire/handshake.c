/* SPDX-License-Identifier: MIT */
#include "wire/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/errors.h"
#include "wire/secret.h"

/* Some servers repeat in their answer what they were told: the password, or the beginning of it. */
static bool tells_password(quern_bytes text, const char *password)
{
    enum { BEGINNING = 4 };
    size_t len = strnlen(password, BEGINNING);
    return len > 0 && text.len > 0 && memmem(text.at, text.len, password, len);
}

struct login {
    const char *user, *password, *file, *key; /* password NULL: it is in file, which key names; or there is none */
};

/* Who is named and has no password is no reason to be somebody else: Redis knows users who need none. */
static bool is_bare(const struct login *login)
{
    return login->user && !login->password && !login->file;
}

static int login_refused(const struct conn *conn, const struct reply *reply, const struct login *login, const char *password,
                         quern_error *err)
{
    quern_bytes text = reply_bytes(reply);
    if (tells_password(text, password))
        return err_set(err, QUERN_E_AUTH, "%s: wrong user or password (the server's words are left out: they may hold it)",
                       conn_shown(conn));
    if (error_meaning(text).class == ERROR_TRANSIENT) return conn_refused(reply, conn_shown(conn), err); /* loading, full */
    if (is_bare(login))
        return err_set(err, QUERN_E_AUTH,
                       "%s: user %s is named without a password, which the server does not take; name a file with it in %s",
                       conn_shown(conn), login->user, login->key);
    quern_error said;
    conn_refused(reply, "login", &said);
    return err_set(err, QUERN_E_AUTH, "%s: wrong user or password (%s)", conn_shown(conn), said.text);
}

static int log_in_by(struct conn *conn, const struct login *login, const char *password, int64_t deadline_ns, quern_error *err)
{
    const struct reply *reply;
    if (login->user)
        conn_command(conn, "AUTH", login->user, password, NULL);
    else
        conn_command(conn, "AUTH", password, NULL);
    int code = conn_ask_first(conn, deadline_ns, &reply, err);
    explicit_bzero(conn_out(conn)->bytes, conn_out(conn)->capacity);
    return !code && reply->type == REPLY_ERROR ? login_refused(conn, reply, login, password, err) : code;
}

static int log_in(struct conn *conn, const struct login *login, int64_t deadline_ns, quern_error *err)
{
    char *secret = NULL;
    if (login->password) return log_in_by(conn, login, login->password, deadline_ns, err);
    if (is_bare(login)) return log_in_by(conn, login, "", deadline_ns, err);
    if (!login->file) return QUERN_OK;
    int code = secret_read(login->key, login->file, &secret, err);
    if (!code) code = log_in_by(conn, login, secret, deadline_ns, err);
    secret_drop(secret);
    return code;
}

static int select_db(struct conn *conn, int64_t deadline_ns, quern_error *err)
{
    const struct reply *reply;
    char db[16];
    if (!conn_url(conn)->db) return QUERN_OK;
    snprintf(db, sizeof db, "%u", conn_url(conn)->db);
    conn_command(conn, "SELECT", db, NULL);
    int code = conn_ask_first(conn, deadline_ns, &reply, err);
    return !code && reply->type == REPLY_ERROR ? conn_refused(reply, conn_shown(conn), err) : code;
}

/* "7.0.15" behind "redis_version:" → 7; 0: not there. */
static int version_in(quern_bytes info)
{
    const char *at = info.len ? memmem(info.at, info.len, "redis_version:", 14) : NULL;
    return at ? atoi(at + 14) : 0;
}

/* Redis says redis_mode, Valkey also server_mode. */
static bool is_cluster_in(quern_bytes info)
{
    static const char mode[] = "_mode:cluster";
    return info.len && memmem(info.at, info.len, mode, sizeof mode - 1);
}

/* A name and an id are conveniences: a server that refuses them (rights) is served all the same. The version is not. */
static int introduce(struct conn *conn, const struct conn_options *options, int64_t deadline_ns, struct greeting *told,
                     quern_error *err)
{
    const struct reply *reply;
    conn_command(conn, "CLIENT", "SETNAME", options->name, NULL);
    conn_command(conn, "CLIENT", "ID", NULL);
    conn_command(conn, "INFO", "server", NULL);
    int code = conn_ask_first(conn, deadline_ns, &reply, err);
    if (!code && reply_is_error(reply, "NOAUTH"))
        return err_set(err, QUERN_E_AUTH,
                       "%s: the server asks for a password; name a file with it in redis_password_file, and the user "
                       "in the URL (redis://user@host)",
                       conn_shown(conn));
    if (!code && reply->type == REPLY_ERROR && error_meaning(reply_bytes(reply)).class == ERROR_TRANSIENT)
        return conn_refused(reply, conn_shown(conn), err); /* full: nothing follows */
    if (!code) code = conn_reply(conn, deadline_ns, &reply, err);
    if (!code) told->client_id = reply_number(reply, 0);
    if (!code) code = conn_reply(conn, deadline_ns, &reply, err);
    if (code || reply_is_error(reply, "NOPERM")) return code;
    if (reply->type == REPLY_ERROR) return conn_refused(reply, conn_shown(conn), err);
    int version = version_in(reply_bytes(reply));
    told->is_cluster = is_cluster_in(reply_bytes(reply));
    if (version >= 7 || (version && options->takes_any_version)) return QUERN_OK;
    if (!version) return err_set(err, QUERN_E_SERVER, "%s: not Redis: it does not tell its version", conn_shown(conn));
    return err_set(err, QUERN_E_SERVER, "%s: its Redis is of version %d; 7.0 is the least", conn_shown(conn), version);
}

int handshake(struct conn *conn, const struct conn_options *options, enum conn_peer peer, int64_t deadline_ns,
              struct greeting *told, quern_error *err)
{
    const struct url *url = options->url;
    struct login server = {url->user, url->password, url->password_file, "redis_password_file"};
    struct login sentinel = {url->sentinel_user, url->sentinel_password, url->sentinel_password_file, "sentinel_password_file"};
    if (peer == CONN_SENTINEL) return log_in(conn, &sentinel, deadline_ns, err);
    int code = log_in(conn, &server, deadline_ns, err);
    if (!code) code = select_db(conn, deadline_ns, err);
    return code ? code : introduce(conn, options, deadline_ns, told, err);
}
