/* SPDX-License-Identifier: MIT */
#include "publish/unique.h"

#include <jansson.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "job/codec.h"
#include "publish/check.h"

enum { READABLE_MAX = 128, DIGEST_TEXT = sizeof "sha256-" + SHA256_DIGEST_STRING_LENGTH };

static void digest_text(SHA2_CTX *hash, char text[DIGEST_TEXT])
{
    char digits[SHA256_DIGEST_STRING_LENGTH];
    snprintf(text, DIGEST_TEXT, "sha256-%s", SHA256End(hash, digits));
}

static void update(SHA2_CTX *hash, const char *at, size_t len)
{
    if (len) SHA256Update(hash, (const uint8_t *)at, len);
}

static bool is_readable(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)key[i] <= 0x20 || (unsigned char)key[i] >= 0x7f) return false;
    return len <= READABLE_MAX && strncmp(key, "sha256-", 7) != 0;
}

static int name(const quern_config *config, const char *key, char **out, quern_error *err)
{
    static const char between[] = ":unique:";
    size_t stream_len = strlen(config->stream), key_len = strlen(key);
    char *at = *out = malloc(stream_len + sizeof between + key_len);
    if (!at) return err_set(err, QUERN_E_MEMORY, "no memory for a unique key");
    at = mempcpy(at, config->stream, stream_len);
    at = mempcpy(at, between, sizeof between - 1);
    memcpy(at, key, key_len + 1);
    return QUERN_OK;
}

static int name_of_key(const quern_config *config, const char *key, char **out, quern_error *err)
{
    SHA2_CTX hash;
    char text[DIGEST_TEXT];
    if (is_readable(key)) return name(config, key, out, err);
    SHA256Init(&hash);
    update(&hash, key, strlen(key));
    digest_text(&hash, text);
    return name(config, text, out, err);
}

/* Both ends of the event are said, so that no other event and data make the same bytes. */
static int name_of_content(const quern_config *config, const quern_message *message, char **out, quern_error *err)
{
    SHA2_CTX hash;
    char text[DIGEST_TEXT];
    quern_bytes data = check_data(message);
    json_t *value = message->is_raw ? NULL : codec_parse(data, err);
    char *canonical = value ? codec_text(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    codec_drop(value);
    if (!message->is_raw && !canonical) return err_set(err, QUERN_E_MEMORY, "no memory to compare the data");
    SHA256Init(&hash);
    update(&hash, message->is_raw ? "b" : "j", 1);
    update(&hash, message->event, strlen(message->event) + 1);
    if (canonical)
        update(&hash, canonical, strlen(canonical));
    else
        update(&hash, data.at, data.len);
    free(canonical);
    digest_text(&hash, text);
    return name(config, text, out, err);
}

int unique_key(const quern_config *config, const quern_message *message, char **key, quern_error *err)
{
    *key = NULL;
    if (message->unique) return name_of_key(config, message->unique, key, err);
    if (!config->key_of) return config->unique_by == UNIQUE_BY_CONTENT ? name_of_content(config, message, key, err) : QUERN_OK;
    char *own = config->key_of(config->key_user, message);
    int code = !own     ? QUERN_OK
               : own[0] ? name_of_key(config, own, key, err)
                        : err_set(err, QUERN_E_ARGUMENT, "the function of quern_config_unique has given an empty key");
    free(own);
    return code;
}
