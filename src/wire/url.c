/* SPDX-License-Identifier: MIT */
#include "wire/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/nodes.h"
#include "wire/secret.h"
#include "wire/tls.h"

enum { PORT = 6379, SENTINEL_PORT = 26379 };

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Undoes %XX in a copy. Gives; NULL: a % without two hex digits, %00, or no memory. */
static char *decode(const char *from, size_t len)
{
    char *out = malloc(len + 1), *at = out;
    if (!out) return NULL;
    for (size_t i = 0; i < len; i++) {
        if (from[i] != '%') {
            *at++ = from[i];
            continue;
        }
        bool whole = len - i > 2;
        int high = whole ? nibble(from[i + 1]) : -1, low = whole ? nibble(from[i + 2]) : -1;
        if (high < 0 || low < 0 || (high | low) == 0) return free(out), NULL;
        *at++ = (char)(high << 4 | low);
        i += 2;
    }
    *at = 0;
    return out;
}

/* user:password, :password, or user. */
static int read_login(char **user, char **password, const char *from, size_t len, quern_error *err)
{
    const char *colon = memchr(from, ':', len);
    size_t user_len = colon ? (size_t)(colon - from) : len;
    if (user_len && !(*user = decode(from, user_len))) goto bad;
    if (colon && !(*password = decode(colon + 1, len - user_len - 1))) goto bad;
    return QUERN_OK;
bad:
    return err_set(err, QUERN_E_CONFIG, "redis: a user or password of the URL is not well %%-encoded");
}

static int read_db(struct url *url, quern_bytes text, quern_error *err)
{
    uint64_t db;
    if (text.len == 0) return QUERN_OK;
    if (!bytes_number(text, &db) || db > 1000000)
        return err_set(err, QUERN_E_CONFIG, "redis: the database must be a number, as in redis://host:6379/0");
    url->db = (uint32_t)db;
    return QUERN_OK;
}

static int read_port(uint16_t *to, quern_bytes text, quern_error *err)
{
    uint64_t port;
    if (!bytes_number(text, &port) || port < 1 || port > 65535)
        return err_set(err, QUERN_E_CONFIG, "redis: the port must be a number from 1 to 65535, as in redis://host:6379");
    *to = (uint16_t)port;
    return QUERN_OK;
}

/* host[:port], the host in brackets if it is an IPv6 address. */
static int read_place(struct url_place *place, const char *at, size_t len, uint16_t port_else, quern_error *err)
{
    const char *end = at + len, *port = NULL, *host_end = end;
    if (*at == '[') {
        const char *close = memchr(at, ']', len);
        if (!close || (close + 1 < end && close[1] != ':'))
            return err_set(err, QUERN_E_CONFIG, "redis: the address in brackets does not end well, as in redis://[::1]:6379");
        if (close + 1 < end) port = close + 2;
        host_end = close;
        at++;
    } else if ((port = memchr(at, ':', len))) {
        host_end = port++;
    }
    if (host_end == at) return err_set(err, QUERN_E_CONFIG, "redis: no host in the URL; right would be redis://127.0.0.1:6379");
    char *host = decode(at, (size_t)(host_end - at));
    bool fits = host && strlen(host) < sizeof place->host;
    if (fits) snprintf(place->host, sizeof place->host, "%s", host);
    free(host);
    if (!fits) return err_set(err, QUERN_E_CONFIG, "redis: a host of the URL is not well %%-encoded, or longer than 255 bytes");
    place->port = port_else;
    return port ? read_port(&place->port, (quern_bytes){port, (size_t)(end - port)}, err) : QUERN_OK;
}

/* place[,place…] */
static int read_places(struct url *url, const char *at, size_t len, uint16_t port_else, quern_error *err)
{
    const char *end = at + len;
    if (!(url->places = calloc(NODES_MAX, sizeof *url->places))) return err_set(err, QUERN_E_MEMORY, "no memory for the URL");
    for (;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        if (url->place_count == NODES_MAX)
            return err_set(err, QUERN_E_CONFIG, "redis: more than %d hosts in the URL; some of them will do", NODES_MAX);
        int code = read_place(&url->places[url->place_count], at, (size_t)(stop - at), port_else, err);
        if (code) return code;
        url->place_count++;
        if (!comma) break;
        at = comma + 1;
    }
    url->port = url->places[0].port;
    url->host = strdup(url->places[0].host);
    url->nodes = nodes_open(url->places, url->place_count);
    return url->host && url->nodes ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the URL");
}

/* places[/db] */
static int read_tcp(struct url *url, const char *at, quern_error *err)
{
    size_t len = strcspn(at, "/?#");
    const char *end = at + len, *db = *end == '/' ? end + 1 : "";
    if (*end && *end != '/')
        return err_set(err, QUERN_E_CONFIG, "redis: nothing may follow the host but /db, as in redis://host:6379/0");
    int code = read_places(url, at, len, PORT, err);
    return code ? code : read_db(url, bytes_of(db), err);
}

/* ?sentinel=user:password, or nothing. */
static int read_sentinel_login(struct url *url, const char *at, quern_error *err)
{
    static const char word[] = "?sentinel=";
    if (!*at) return QUERN_OK;
    if (strncmp(at, word, sizeof word - 1) != 0 || !strchr(at, ':'))
        return err_set(err, QUERN_E_CONFIG,
                       "redis: only ?sentinel=user:password may follow the name, as in sentinel://host/name");
    at += sizeof word - 1;
    return read_login(&url->sentinel_user, &url->sentinel_password, at, strlen(at), err);
}

/* places/name[/db][?sentinel=user:password] */
static int read_sentinel(struct url *url, const char *at, quern_error *err)
{
    size_t len = strcspn(at, "/?#"), name_len = at[len] == '/' ? strcspn(at + len + 1, "/?#") : 0;
    if (!name_len)
        return err_set(err, QUERN_E_CONFIG,
                       "redis: the sentinels' name of the server is missing, as in sentinel://host:26379/name");
    const char *name = at + len + 1, *rest = name + name_len;
    if (!(url->master = decode(name, name_len))) return err_set(err, QUERN_E_CONFIG, "redis: the name is not well %%-encoded");
    int code = read_places(url, at, len, SENTINEL_PORT, err);
    size_t db_len = *rest == '/' ? strcspn(rest + 1, "?") : 0;
    if (!code && *rest == '/') code = read_db(url, (quern_bytes){rest + 1, db_len}, err);
    return code ? code : read_sentinel_login(url, *rest == '/' ? rest + 1 + db_len : rest, err);
}

/* /path[?db=N] */
static int read_unix(struct url *url, const char *at, quern_error *err)
{
    size_t len = strcspn(at, "?");
    url->is_unix = true;
    if (*at != '/')
        return err_set(err, QUERN_E_CONFIG, "redis: the socket's path must be absolute, as in unix:///run/redis/redis.sock");
    if (!(url->host = decode(at, len))) return err_set(err, QUERN_E_CONFIG, "redis: the socket's path is not well %%-encoded");
    if (strlen(url->host) > 107)
        return err_set(err, QUERN_E_CONFIG, "redis: the socket's path has %zu bytes; 107 is the most", strlen(url->host));
    if (!at[len]) return QUERN_OK;
    if (strncmp(at + len, "?db=", 4) != 0)
        return err_set(err, QUERN_E_CONFIG, "redis: only ?db=N may follow the socket's path");
    return read_db(url, bytes_of(at + len + 4), err);
}

/* host:port,host:port; false: no memory. */
static bool show_places(const struct url *url, char **text)
{
    size_t size = url->place_count * (URL_HOST_SIZE + 16) + 1, len = 0;
    if (!(*text = calloc(1, size))) return false;
    for (uint32_t i = 0; i < url->place_count; i++) {
        const struct url_place *place = &url->places[i];
        bool is_v6 = strchr(place->host, ':');
        len +=
            (size_t)snprintf(*text + len, size - len, is_v6 ? "%s[%s]:%u" : "%s%s:%u", i ? "," : "", place->host, place->port);
    }
    return true;
}

static int show(struct url *url, quern_error *err)
{
    char db[16] = "", *places = NULL;
    const char *user = url->user ? url->user : "", *secret = url->password ? ":***" : "",
               *at = url->user || url->password ? "@" : "", *master = url->master ? url->master : "";
    const char *scheme = url->is_unix  ? "unix"
                         : url->master ? (url->is_tls ? "sentinels" : "sentinel")
                         : url->is_tls ? "rediss"
                                       : "redis";
    if (url->db) snprintf(db, sizeof db, "%s%u", url->is_unix ? "?db=" : "/", url->db);
    int n = -1;
    if (url->is_unix || show_places(url, &places))
        n = asprintf(&url->shown, "%s://%s%s%s%s%s%s%s", scheme, user, secret, at, url->is_unix ? url->host : places,
                     *master ? "/" : "", master, db);
    free(places);
    if (n >= 0) return QUERN_OK;
    url->shown = NULL;
    return err_set(err, QUERN_E_MEMORY, "no memory for the URL");
}

/* Names the scheme where there is one; what has none may begin with a password. */
static int refuse_scheme(const char *text, quern_error *err)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    bool is_scheme = len > 0 && len <= 20 && strncmp(text + len, "://", 3) == 0;
    return err_set(err, QUERN_E_CONFIG,
                   "redis: %.*s is no URL that is served here; right would be redis://[user:password@]host[:port][/db], "
                   "rediss:// for TLS, sentinel://host[:port]/name, or unix:///path",
                   is_scheme ? (int)len + 3 : 4, is_scheme ? text : "this");
}

/* The length of user and password: up to the last @ before the path, so that a password may hold one. -1: none. */
static ssize_t login_len(const char *at)
{
    const char *found = memrchr(at, '@', strcspn(at, "/?#"));
    return found ? found - at : -1;
}

static int read_all(struct url *url, const char *text, quern_error *err)
{
    static const struct {
        const char *scheme;
        int (*read)(struct url *url, const char *at, quern_error *err);
        bool is_tls;
    } forms[] = {{"redis://", read_tcp, false},
                 {"rediss://", read_tcp, true},
                 {"sentinel://", read_sentinel, false},
                 {"sentinels://", read_sentinel, true},
                 {"unix://", read_unix, false}};
    size_t form = 0;
    while (form < COUNT_OF(forms) && strncmp(text, forms[form].scheme, strlen(forms[form].scheme)) != 0) form++;
    if (form == COUNT_OF(forms)) return refuse_scheme(text, err);
    const char *at = text + strlen(forms[form].scheme);
    ssize_t login = login_len(at);
    int code = QUERN_OK;
    url->is_tls = forms[form].is_tls;
    if (login >= 0) {
        code = read_login(&url->user, &url->password, at, (size_t)login, err);
        at += login + 1;
    }
    if (!code) code = forms[form].read(url, at, err);
    return code ? code : show(url, err);
}

int url_read(struct url *url, const char *text, quern_error *err)
{
    *url = (struct url){0};
    int code = read_all(url, text, err);
    if (code) url_free(url);
    return code;
}

/* A copy, where there is something. false: no memory. */
static bool copy(char **to, const char *from)
{
    return !from || (*to = strdup(from));
}

static int add_tls(struct url *url, const struct url_more *more, quern_error *err)
{
    const struct tls_setup setup = {more->tls_ca, more->tls_cert, more->tls_key, more->tls_name, url->shown};
    bool is_any = more->tls_ca || more->tls_cert || more->tls_key || more->tls_name;
    if (is_any && !url->is_tls && !url->is_unix)
        return err_set(err, QUERN_E_CONFIG,
                       "redis: %s goes without TLS, but tls_ca, tls_cert, tls_key or tls_name is set; right "
                       "would be rediss://",
                       url->shown);
    return url->is_tls ? tls_check(&setup, err) : QUERN_OK;
}

/* What is in the URL goes before what is in a file. */
static int add_secret(const char *key, const char *path, const char *given, char **to, quern_error *err)
{
    char *secret = NULL;
    if (!path || given) return QUERN_OK;
    int code = secret_read(key, path, &secret, err);
    if (code) return code;
    secret_drop(secret);
    return copy(to, path) ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the URL");
}

int url_add(struct url *url, const struct url_more *more, quern_error *err)
{
    int code = add_tls(url, more, err);
    if (!code) code = add_secret("redis_password_file", more->password_file, url->password, &url->password_file, err);
    if (!code && url->master)
        code = add_secret("sentinel_password_file", more->sentinel_password_file, url->sentinel_password,
                          &url->sentinel_password_file, err);
    if (!code && !(copy(&url->key, more->key) && copy(&url->tls.ca, more->tls_ca) && copy(&url->tls.cert, more->tls_cert) &&
                   copy(&url->tls.key, more->tls_key) && copy(&url->tls.name, more->tls_name)))
        code = err_set(err, QUERN_E_MEMORY, "no memory for the URL");
    if (code) url_free(url);
    return code;
}

static void wipe(char *secret)
{
    if (secret) explicit_bzero(secret, strlen(secret));
    free(secret);
}

void url_free(struct url *url)
{
    wipe(url->password);
    wipe(url->sentinel_password);
    nodes_close(url->nodes);
    free(url->places);
    free(url->master);
    free(url->sentinel_user);
    free(url->password_file);
    free(url->sentinel_password_file);
    free(url->key);
    free(url->tls.ca);
    free(url->tls.cert);
    free(url->tls.key);
    free(url->tls.name);
    free(url->host);
    free(url->user);
    free(url->shown);
    *url = (struct url){0};
}
