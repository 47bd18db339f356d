/* SPDX-License-Identifier: MIT */
#include "publish/receipts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/entry.h"

static void copy(char *to, size_t size, const char *from, size_t len)
{
    if (len >= size) len = size - 1;
    if (len) memcpy(to, from, len);
    to[len] = 0;
}

/* =id,entry of the one that has opened the window; a job for later has no entry. */
static void take_opener(quern_receipt *receipt, quern_bytes opener)
{
    const char *comma = opener.len ? memchr(opener.at, ',', opener.len) : NULL;
    size_t id_len = comma ? (size_t)(comma - opener.at) : opener.len;
    receipt->is_duplicate = 1;
    copy(receipt->id, sizeof receipt->id, opener.at, id_len);
    copy(receipt->entry, sizeof receipt->entry, comma ? comma + 1 : NULL, comma ? opener.len - id_len - 1 : 0);
}

/* An entry, or that there is no room, and behind a slash how many older ones were dropped, also in vain: then it is sent again. */
static void take_entry(quern_receipt *receipt, quern_bytes word)
{
    const char *slash = memchr(word.at, '/', word.len);
    size_t len = slash ? (size_t)(slash - word.at) : word.len;
    if (word.at[0] != '!') copy(receipt->entry, sizeof receipt->entry, word.at, len);
    if (slash) receipt->dropped += (int)strtol(slash + 1, NULL, 10);
}

/* Of at least one byte; a space or a NUL stands behind it. */
static void take_word(quern_receipt *receipt, quern_bytes word)
{
    receipt->code = word.at[0] == '!' ? QUERN_E_FULL : QUERN_OK;
    if (word.at[0] == '@')
        receipt->due_ms = strtoll(word.at + 1, NULL, 10);
    else if (word.at[0] == '=')
        take_opener(receipt, (quern_bytes){word.at + 1, word.len - 1});
    else
        take_entry(receipt, word);
}

/* Anything else than these, or an entry's id, is no answer of the scripts'. */
static bool is_word(quern_bytes word)
{
    struct entry_id id;
    const char *slash = memchr(word.at, '/', word.len);
    return memchr("!@=", word.at[0], 3) ||
           entry_id_read((quern_bytes){word.at, slash ? (size_t)(slash - word.at) : word.len}, &id);
}

int receipts_take(const struct outgoing *batch, quern_bytes words, const char *script, quern_error *err)
{
    const char *at = words.at, *end = words.at + words.len;
    for (size_t i = 0; i < batch->count; i++) {
        const char *space = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL, *stop = space ? space : end;
        if (stop <= at || !is_word((quern_bytes){at, (size_t)(stop - at)}))
            return err_set(err, QUERN_E_UNKNOWN, "the script %s named %zu of %zu messages", script, i, batch->count);
        take_word(&batch->receipts[i], (quern_bytes){at, (size_t)(stop - at)});
        at = stop + 1;
    }
    return QUERN_OK;
}

void receipts_refuse(quern_receipt *receipts, size_t n, int code)
{
    for (size_t i = 0; receipts && i < n; i++) receipts[i] = (quern_receipt){.code = code};
}
