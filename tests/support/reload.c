/* SPDX-License-Identifier: MIT */
#include "support/reload.h"

quern_config *mill_config(struct mill *mill, ...)
{
    static const char *const kept[] = {"redis", "stream", "group", "lease_ms", "threads", "retry_base_ms", "reap_ms"};
    quern_config *config = quern_config_new();
    assert_non_null(config);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        char *value = quern_config_get(mill->config, kept[i]);
        if (quern_config_set(config, kept[i], value, &mill->error)) fail_msg("%s", mill->error.text);
        quern_free(value);
    }
    va_list args;
    va_start(args, mill);
    for (const char *key; (key = va_arg(args, const char *));)
        if (quern_config_set(config, key, va_arg(args, const char *), &mill->error)) fail_msg("%s", mill->error.text);
    va_end(args);
    return config;
}

void config_on(quern_config *config, const quern_handler *handler)
{
    quern_error error;
    quern_handler whole = *handler;
    whole.size = sizeof whole;
    if (quern_config_on(config, &whole, &error)) fail_msg("%s", error.text);
}

int mill_reload(struct mill *mill, quern_config *config)
{
    int code = quern_pool_reload(mill->pool, config, &mill->error);
    quern_config_free(config);
    return code;
}

void mill_reloads(struct mill *mill, quern_config *config)
{
    if (mill_reload(mill, config)) fail_msg("%s", mill->error.text);
}
