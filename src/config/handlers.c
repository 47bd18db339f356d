/* SPDX-License-Identifier: MIT */
#include "config/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "config/policy.h"
#include "config/workers.h"

static void handler_clear(quern_handler *handler)
{
    free((char *)handler->event);
    free((char *)handler->policy);
}

/* *to becomes handler with texts of its own; false: no memory, *to owns nothing. */
static bool handler_copy(const quern_handler *handler, quern_handler *to)
{
    *to = *handler;
    to->size = sizeof *to;
    to->event = bytes_copy(bytes_of(handler->event));
    to->policy = handler->policy ? bytes_copy(bytes_of(handler->policy)) : NULL;
    if (to->event && (to->policy || !handler->policy)) return true;
    handler_clear(to);
    return false;
}

bool handlers_copy(const struct config_handlers *from, struct config_handlers *to)
{
    if (!from->count) return true;
    to->at = calloc(from->count, sizeof *to->at);
    if (!to->at) return false;
    for (; to->count < from->count; to->count++) {
        if (handler_copy(&from->at[to->count], &to->at[to->count])) continue;
        handlers_clear(to);
        return false;
    }
    return true;
}

void handlers_clear(struct config_handlers *handlers)
{
    for (size_t i = 0; i < handlers->count; i++) handler_clear(&handlers->at[i]);
    free(handlers->at);
    *handlers = (struct config_handlers){0};
}

/* Can it be taken as it is? */
static int check(const quern_config *config, const quern_handler *handler, quern_error *err)
{
    if (!config || !handler) return err_set(err, QUERN_E_ARGUMENT, "quern_config_on: config or handler is NULL");
    if (handler->size < sizeof *handler)
        return err_set(err, QUERN_E_ARGUMENT, "quern_config_on: size is %zu; set it to sizeof(quern_handler), %zu",
                       handler->size, sizeof *handler);
    if (!handler->event || !workers_is_event(handler->event))
        return err_set(
            err, QUERN_E_ARGUMENT,
            "quern_config_on: the event is no name; use 1 to 256 bytes of UTF-8 without control characters, or \"*\"");
    if (!handler->run)
        return err_set(err, QUERN_E_ARGUMENT, "handler of \"%s\": run is NULL; name the function that runs a job",
                       handler->event);
    for (size_t i = 0; i < config->handlers.count; i++)
        if (!strcmp(config->handlers.at[i].event, handler->event))
            return err_set(err, QUERN_E_ARGUMENT, "handler of \"%s\": the event has a handler already; add one per event",
                           handler->event);
    return QUERN_OK;
}

static int check_policy(const quern_config *config, const quern_handler *handler, quern_error *err)
{
    struct policy policy;
    quern_error why;
    int code = policy_read(config, handler->policy, &policy, &why);
    return code ? err_set(err, code, "handler of \"%s\": %s", handler->event, why.text) : QUERN_OK;
}

int quern_config_on(quern_config *config, const quern_handler *handler, quern_error *error)
{
    int code = check(config, handler, error);
    if (!code) code = check_policy(config, handler, error);
    if (code) return code;
    struct config_handlers *handlers = &config->handlers;
    quern_handler *at = realloc(handlers->at, (handlers->count + 1) * sizeof *at);
    if (at) handlers->at = at;
    if (!at || !handler_copy(handler, &at[handlers->count])) return err_set(error, QUERN_E_MEMORY, "no memory for a handler");
    handlers->count++;
    return QUERN_OK;
}
