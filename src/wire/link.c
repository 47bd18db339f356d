/* SPDX-License-Identifier: MIT */
#include "wire/link.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

enum { FIRST_MS = 50, MAX_MS = 10000 };

void link_open(struct link *link, const struct link_options *options)
{
    *link = (struct link){.options = *options,
                          .backoff = {.first_ms = options->first_ms ? options->first_ms : FIRST_MS,
                                      .max_ms = options->max_ms ? options->max_ms : MAX_MS,
                                      .random = backoff_seed()}};
}

void link_adopt(struct link *link, struct conn *conn)
{
    link->conn = conn;
}

void link_close(struct link *link)
{
    conn_close(link->conn);
    link->conn = NULL;
}

static void link_down(struct link *link, const quern_error *why)
{
    link->next_try_ns = clock_now_ns() + backoff_next_ms(&link->backoff) * NS_PER_MS;
    if (link->is_down) return;
    link->is_down = true;
    link->options.down(link->options.user, why);
}

struct conn *link_use(struct link *link, int64_t now_ns)
{
    quern_error why;
    if (link->conn) return link->conn;
    if (now_ns < link->next_try_ns) return NULL;
    link->conn = conn_open(&link->options.conn, clock_deadline_ns(clock_now_ns(), link->options.connect_ms), &why);
    if (!link->conn) {
        link_down(link, &why);
        return NULL;
    }
    return link->conn;
}

void link_works(struct link *link)
{
    backoff_reset(&link->backoff);
    link_rest(link);
}

void link_rest(struct link *link)
{
    if (!link->is_down) return;
    link->is_down = false;
    link->options.up(link->options.user);
}

/* An idle connection that the last outage broke shows it only when it is used: that outage has been told already. */
static bool is_known(const struct link *link, int64_t opened_ns)
{
    return link->options.is_known && link->options.is_known(link->options.user, opened_ns);
}

static bool is_gone(const struct link *link, const quern_error *why)
{
    if (why->code != QUERN_E_GONE || !link->options.gone) return false;
    link->options.gone(link->options.gone_user);
    return true;
}

void link_fail(struct link *link, const quern_error *why)
{
    bool is_old = link->conn && is_known(link, conn_opened_ns(link->conn));
    link_close(link);
    if (is_gone(link, why))
        link->next_try_ns = clock_now_ns() + backoff_next_ms(&link->backoff) * NS_PER_MS;
    else if (!is_old)
        link_down(link, why);
}

void link_hurry(struct link *link)
{
    enum { SOON_MS = 1000 };
    int64_t soon_ns = clock_now_ns() + SOON_MS * NS_PER_MS;
    if (link->next_try_ns > soon_ns) link->next_try_ns = soon_ns;
}
