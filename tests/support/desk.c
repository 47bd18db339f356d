/* SPDX-License-Identifier: MIT */
#include "support/desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set(struct desk *desk, const char *key, const char *value)
{
    if (quern_config_set(desk->config, key, value, &desk->error)) fail_msg("%s", desk->error.text);
}

struct desk *desk_open(struct scene *scene, ...)
{
    struct desk *desk = calloc(1, sizeof *desk);
    assert_non_null(desk);
    desk->config = quern_config_new();
    set(desk, "redis", scene->redis.url);
    set(desk, "stream", "jobs");
    va_list args;
    va_start(args, scene);
    for (const char *key; (key = va_arg(args, const char *));) set(desk, key, va_arg(args, const char *));
    va_end(args);
    return desk;
}

void desk_close(struct desk *desk)
{
    assert_int_equal(quern_publisher_close(desk->publisher), QUERN_OK);
    quern_config_free(desk->config);
    free(desk);
}

int desk_publish(struct desk *desk, const char *data, quern_message message)
{
    message.size = sizeof message;
    if (!message.event) message.event = "job";
    if (!message.data.at && data) message.data = (quern_bytes){data, strlen(data)};
    if (!desk->publisher) desk->publisher = quern_publisher_open(desk->config, &desk->error);
    if (!desk->publisher) return desk->error.code;
    return quern_publish(desk->publisher, &message, 1, &desk->receipt, &desk->error);
}

void desk_fill(struct scene *scene, const char *stream, int from, int n)
{
    struct desk *desk = desk_open(scene, "stream", stream, NULL);
    char data[16];
    for (int i = from; i < from + n; i++) {
        snprintf(data, sizeof data, "%d", i);
        assert_int_equal(QUERN_OK, PUBLISH(desk, data));
    }
    desk_close(desk);
}
