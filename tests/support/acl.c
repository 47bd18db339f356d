/* SPDX-License-Identifier: MIT */
#include "support/acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/wait.h"
#include "wire/conn.h"

enum { LINE_SIZE = 4096 };

static bool is_set_aside;

void acl_set_aside(bool is_aside)
{
    is_set_aside = is_aside;
}

const char *acl_wanted(void)
{
    const char *path = getenv("QUERN_TEST_ACL");
    return path && *path && !is_set_aside ? path : NULL;
}

void acl_change(struct redis *redis, const char *user, const char *right)
{
    redis_ask(redis, "ACL", "SETUSER", "default", right);
    if (acl_wanted()) redis_ask(redis, "ACL", "SETUSER", user, right);
}

void acl_allow_dropping(struct redis *redis)
{
    static const char *const rights[] = {"+xrange", "+xreadgroup", "+xack"};
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) acl_change(redis, "quern-producer", rights[i]);
}

static void write_user(FILE *to, char *line, const char *keys)
{
    char *rest = line;
    for (char *word; (word = strsep(&rest, " \n"));) {
        bool is_pattern = word[0] == '~' || word[0] == '%';
        if (!*word) continue;
        fprintf(to, "%.*s%s ", is_pattern && word[0] == '%' && keys ? 2 : 0, word, is_pattern && keys ? keys : word);
        if (!strcmp(word, "on")) fprintf(to, ">%s ", ACL_PASSWORD);
    }
    fputc('\n', to);
}

void acl_write(const char *from, const char *to, const char *keys, const char *password)
{
    char line[LINE_SIZE];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_non_null(in);
    assert_non_null(out);
    fprintf(out, "user default on %s%s ~* &* +@all\n", password ? ">" : "nopass", password ? password : "");
    while (fgets(line, sizeof line, in)) write_user(out, line, keys);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static const char *user_of(const char *name)
{
    if (!strcmp(name, "quern:publisher")) return "quern-producer";
    if (!strcmp(name, "quern:look")) return "quern-monitor";
    return !strcmp(name, "quern:repair") || !strcmp(name, "quern:waiter") ? "quern-operator" : "quern-worker";
}

/* The linker puts it before the library's own (--wrap). */
struct conn *__real_conn_open(const struct conn_options *options, int64_t deadline_ns, quern_error *err);
struct conn *__wrap_conn_open(const struct conn_options *options, int64_t deadline_ns, quern_error *err);
struct conn *__wrap_conn_open(const struct conn_options *options, int64_t deadline_ns, quern_error *err)
{
    struct url url = *options->url;
    struct conn_options own = *options;
    bool is_named = url.user || url.password || strncmp(options->name, "quern:", 6) != 0;
    if (!acl_wanted() || is_named) return __real_conn_open(options, deadline_ns, err);
    char user[32], password[] = ACL_PASSWORD;
    snprintf(user, sizeof user, "%s", user_of(options->name));
    url.user = user;
    url.password = password;
    own.url = &url; /* what outlives this call is the texts that it points to */
    return __real_conn_open(&own, deadline_ns, err);
}
