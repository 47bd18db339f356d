/* SPDX-License-Identifier: MIT */
#include "publish/check.h"

#include "base/bytes.h"
#include "base/err.h"
#include "job/codec.h"

static int check_event(const char *event, quern_error *err)
{
    quern_bytes name = bytes_of(event);
    if (name.len == 0) return err_set(err, QUERN_E_ARGUMENT, "the event is empty");
    if (name.len > EVENT_MAX)
        return err_set(err, QUERN_E_ARGUMENT, "the event has %zu bytes; %d is the most", name.len, EVENT_MAX);
    if (!bytes_is_utf8(name)) return err_set(err, QUERN_E_ARGUMENT, "the event is not UTF-8");
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < 0x20 || name.at[i] == 0x7f)
            return err_set(err, QUERN_E_ARGUMENT, "the event holds a control character");
    return QUERN_OK;
}

quern_bytes check_data(const quern_message *message)
{
    return message->data.at || message->is_raw ? message->data : bytes_of("{}");
}

int check_message(const quern_message *message, int64_t payload_max_bytes, int64_t depth_max, quern_error *err)
{
    quern_bytes data = check_data(message);
    if (message->size < sizeof *message)
        return err_set(err, QUERN_E_ARGUMENT, "the message's size is not set: sizeof(quern_message)");
    if (message->data.len && !message->data.at) return err_set(err, QUERN_E_ARGUMENT, "the data is NULL but has a length");
    int code = check_event(message->event, err);
    if (code) return code;
    if ((int64_t)data.len > payload_max_bytes)
        return err_set(err, QUERN_E_FULL, "the data has %zu bytes; payload_max_bytes is %lld", data.len,
                       (long long)payload_max_bytes);
    if (message->is_raw) return QUERN_OK;
    quern_error why;
    if (!codec_check_depth(data, depth_max, &why) && !codec_check_json(data, &why)) return QUERN_OK;
    return err_set(err, QUERN_E_ARGUMENT, "the data is %s", why.text);
}
