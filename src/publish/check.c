/* SPDX-License-Identifier: MIT */
#include "publish/check.h"

#include "base/bytes.h"
#include "base/err.h"
#include "job/codec.h"

/* What a delay may be, and what Unix milliseconds may be: those of the year 9999. */
static const int64_t DELAY_MAX_MS = INT64_C(10) * 366 * 86400000, TIME_MAX_MS = INT64_C(253402300799999);

/* A name that others read: an event, a key. */
static int check_name(const char *what, const char *text, quern_error *err)
{
    quern_bytes name = bytes_of(text);
    if (name.len == 0) return err_set(err, QUERN_E_ARGUMENT, "the %s is empty", what);
    if (name.len > EVENT_MAX)
        return err_set(err, QUERN_E_ARGUMENT, "the %s has %zu bytes; %d is the most", what, name.len, EVENT_MAX);
    if (!bytes_is_utf8(name)) return err_set(err, QUERN_E_ARGUMENT, "the %s is not UTF-8", what);
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < 0x20 || name.at[i] == 0x7f)
            return err_set(err, QUERN_E_ARGUMENT, "the %s holds a control character", what);
    return QUERN_OK;
}

quern_bytes check_data(const quern_message *message)
{
    return message->data.at || message->is_raw ? message->data : bytes_of("{}");
}

static int check_range(const char *what, int64_t value, int64_t max, quern_error *err)
{
    if (value >= 0 && value <= max) return QUERN_OK;
    return err_set(err, QUERN_E_ARGUMENT, "%s is %lld; 0 to %lld is right", what, (long long)value, (long long)max);
}

static int check_times(const quern_message *message, quern_error *err)
{
    int code = check_range("delay_ms", message->delay_ms, DELAY_MAX_MS, err);
    if (!code) code = check_range("at_ms", message->at_ms, TIME_MAX_MS, err);
    if (!code) code = check_range("expire_at_ms", message->expire_at_ms, TIME_MAX_MS, err);
    if (!code) code = check_range("unique_ms", message->unique_ms, DELAY_MAX_MS, err);
    if (!code && message->delay_ms && message->at_ms)
        code = err_set(err, QUERN_E_ARGUMENT, "both delay_ms and at_ms are set; one of them says when");
    if (!code && message->expire_at_ms && message->expire_at_ms <= message->at_ms)
        code = err_set(err, QUERN_E_ARGUMENT, "expire_at_ms is not after at_ms: the job would be dead before its time");
    return code;
}

static int check_unique(const quern_message *message, const quern_config *config, quern_error *err)
{
    if (message->unique && !message->unique[0])
        return err_set(err, QUERN_E_ARGUMENT, "the unique key is empty: all such jobs would be one; use NULL for none");
    if (message->unique && config->max_pending && config->on_max_pending == PENDING_DROP_OLDEST)
        return err_set(err, QUERN_E_ARGUMENT,
                       "a unique key does not go with on_max_pending drop_oldest: the job it stands for may have been dropped");
    return QUERN_OK;
}

static int check_payload(const quern_message *message, const quern_config *config, quern_error *err)
{
    quern_bytes data = check_data(message);
    quern_error why;
    if (message->data.len && !message->data.at) return err_set(err, QUERN_E_ARGUMENT, "the data is NULL but has a length");
    if ((int64_t)data.len > config->payload_max_bytes)
        return err_set(err, QUERN_E_FULL, "the data has %zu bytes; payload_max_bytes is %lld", data.len,
                       (long long)config->payload_max_bytes);
    if (message->is_raw && config->publish_shape == SHAPE_OBJECT)
        return err_set(err, QUERN_E_ARGUMENT, "raw bytes cannot be part of a JSON object; publish_shape \"fields\" takes them");
    if (message->is_raw || (!codec_check_depth(data, config->depth_max, &why) && !codec_check_json(data, &why)))
        return QUERN_OK;
    return err_set(err, QUERN_E_ARGUMENT, "the data is %s", why.text);
}

int check_message(const quern_message *message, const quern_config *config, quern_error *err)
{
    if (message->size < sizeof *message)
        return err_set(err, QUERN_E_ARGUMENT, "the message's size is not set: sizeof(quern_message)");
    int code = check_name("event", message->event, err);
    if (!code && message->key) code = check_name("key", message->key, err);
    if (!code) code = check_times(message, err);
    if (!code) code = check_unique(message, config, err);
    return code ? code : check_payload(message, config, err);
}
