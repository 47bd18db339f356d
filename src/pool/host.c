/* SPDX-License-Identifier: MIT */

/* pool/host: quern_run() and quern_consume(), for programs that want nothing but a pool. What they do with signals is in
 * pool/signals. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "config/config.h"
#include "pool/pool.h"
#include "pool/signals.h"

enum { BEYOND_DRAIN_MS = 500 }; /* for handlers that end once drain_ms is over because they were told to */

static void wait_wish(const quern_pool *pool, int wish)
{
    struct pollfd at[] = {{.fd = wish, .events = POLLIN}, {.fd = pool_ended_fd(pool), .events = POLLIN}};
    while (poll(at, 2, -1) < 0 && errno == EINTR) continue;
}

static int serve(const quern_config *config, int wish, quern_error *err)
{
    quern_pool *pool = quern_pool_start(config, err);
    if (!pool) return err->code;
    wait_wish(pool, wish);
    quern_pool_stop(pool);
    int code = quern_pool_join(pool, config->drain_ms + BEYOND_DRAIN_MS, err);
    return code ? code : quern_pool_free(pool);
}

int quern_run(const quern_config *config, quern_error *err)
{
    quern_error own;
    int wish;
    if (!err) err = &own;
    if (thread_role() != ROLE_HOST)
        return err_set(err, QUERN_E_ARGUMENT, "quern_run() waits for its pool's end, and cannot on a thread of another pool");
    int code = pool_check(config, err);
    if (!code) code = signals_take(&wish, err);
    if (code) return code;
    code = serve(config, wish, err);
    signals_give_back();
    return code;
}

/* ── one event ───────────────────────────────────────────────────────────────────────────────────────────────────── */

struct consumer {
    quern_verdict (*run)(quern_job *job, void *user);
    void *user;
};

static quern_verdict consume_one(quern_job *job, void *thread, void *given)
{
    const struct consumer *consumer = given;
    (void)thread;
    return consumer->run(job, consumer->user);
}

static int run_for(const quern_config *config, const char *event, struct consumer *consumer, quern_error *err)
{
    const quern_handler handler = {.size = sizeof handler, .event = event, .run = consume_one, .user = consumer};
    quern_config *own = config_copy(config);
    if (!own) return err_set(err, QUERN_E_MEMORY, "no memory for the configuration");
    own->unhandled = UNHANDLED_ACK;
    int code = quern_config_on(own, &handler, err);
    if (!code) code = quern_run(own, err);
    quern_config_free(own);
    return code;
}

int quern_consume(const quern_config *config, const char *event, quern_verdict (*run)(quern_job *, void *), void *user,
                  quern_error *err)
{
    if (!config || !event || !run) return err_set(err, QUERN_E_ARGUMENT, "quern_consume: an argument is NULL");
    if (config->handlers.count)
        return err_set(err, QUERN_E_ARGUMENT, "the configuration has handlers already: quern_run() serves those");
    struct consumer *consumer = malloc(sizeof *consumer);
    if (!consumer) return err_set(err, QUERN_E_MEMORY, "no memory for the handler");
    *consumer = (struct consumer){run, user};
    int code = run_for(config, event, consumer, err);
    if (code != QUERN_E_BUSY) free(consumer); /* else a handler still runs: it stays, as its pool does */
    return code;
}
