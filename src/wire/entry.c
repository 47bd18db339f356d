/* SPDX-License-Identifier: MIT */
#include "wire/entry.h"

#include <string.h>

#include "base/bytes.h"

/* All eight bytes at once: each is a digit if its upper half is that of one and adding six does not carry into it. Then neighbours are added
 * up, in steps of two, four and eight digits. */
static bool eight_digits(const char *at, uint64_t *number)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    uint64_t upper = word & UINT64_C(0xf0f0f0f0f0f0f0f0),
             carried = (word + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0);
    if (upper != UINT64_C(0x3030303030303030) || carried != upper) return false;
    word = (word & UINT64_C(0x0f0f0f0f0f0f0f0f)) * (10 * 256 + 1) >> 8;
    word = (word & UINT64_C(0x00ff00ff00ff00ff)) * (UINT64_C(100) * 65536 + 1) >> 16;
    *number = (word & UINT64_C(0x0000ffff0000ffff)) * (UINT64_C(10000) * (UINT64_C(1) << 32) + 1) >> 32;
    return true;
}

/* The digits from at on; *rest: what is behind them. false: there are none, or more than 64 bits hold. */
static bool read_digits(const char *at, const char *end, uint64_t *number, const char **rest)
{
    enum { SAFE = 19 }; /* so many cannot be too large */
    const char *first = at, *safe_end = end - at > SAFE ? at + SAFE : end;
    uint64_t got = 0, eight;
    unsigned digit;
    if (end - at >= 8 && eight_digits(at, &eight)) got = eight, at += 8; /* a time has thirteen */
    for (; at < safe_end && (digit = (unsigned char)*at - (unsigned)'0') <= 9; at++) got = got * 10 + digit;
    for (; at < end && (digit = (unsigned char)*at - (unsigned)'0') <= 9; at++)
        if (__builtin_mul_overflow(got, 10u, &got) || __builtin_add_overflow(got, digit, &got)) return false;
    *number = got;
    *rest = at;
    return at > first;
}

bool entry_id_read(quern_bytes text, struct entry_id *id)
{
    struct entry_id got;
    if (!text.len) return false;
    const char *at = text.at, *end = text.at + text.len;
    if (!read_digits(at, end, &got.ms, &at) || at == end || *at != '-') return false;
    if (!read_digits(at + 1, end, &got.seq, &at) || at != end) return false;
    *id = got;
    return true;
}

size_t entry_id_text(struct entry_id id, char *text)
{
    size_t len = bytes_put_number(text, id.ms);
    text[len++] = '-';
    len += bytes_put_number(text + len, id.seq);
    text[len] = 0;
    return len;
}

int entry_id_compare(struct entry_id a, struct entry_id b)
{
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

bool entry_read(const struct reply *reply, struct entry *entry)
{
    if (reply->type != REPLY_ARRAY || reply->count != 2) return false;
    entry->id_text = reply_bytes(&reply->items[0]);
    entry->fields = &reply->items[1];
    return entry_id_read(entry->id_text, &entry->id) &&
           (entry->fields->type == REPLY_ARRAY || entry->fields->type == REPLY_NIL);
}

struct span entry_hold(const struct reply *reply)
{
    const struct reply *fields = &reply->items[1];
    const void *last = fields->type == REPLY_ARRAY ? (const void *)fields->items : reply->items[0].text;
    for (uint32_t i = fields->type == REPLY_ARRAY ? fields->count : 0; i > 0; i--) { /* usually the first look */
        const char *text = reply_bytes(&fields->items[i - 1]).at; /* of an error, too: a message may view it */
        if (!text) continue;
        last = text;
        break;
    }
    return span_hold(reply->items, last);
}
