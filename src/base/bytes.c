/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <stdlib.h>

bool bytes_number(quern_bytes text, uint64_t *value)
{
    uint64_t got = 0;
    if (text.len == 0 || text.len > 20) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        if (__builtin_mul_overflow(got, 10u, &got) || __builtin_add_overflow(got, (unsigned)(text.at[i] - '0'), &got))
            return false;
    }
    *value = got;
    return true;
}

size_t bytes_put_number(char *text, uint64_t number)
{
    char digits[BYTES_NUMBER_SIZE];
    size_t n = 0, len = 0;
    if (number < 10) { /* most numbers are lengths of texts */
        text[0] = (char)('0' + number);
        return 1;
    }
    if (number < 100) {
        text[0] = (char)('0' + number / 10);
        text[1] = (char)('0' + number % 10);
        return 2;
    }
    do digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n) text[len++] = digits[--n];
    return len;
}

/* The length of the well-formed sequence at at (RFC 3629), 0: there is none. */
static size_t sequence(const unsigned char *at, size_t left)
{
    unsigned char first = at[0], low = 0x80, high = 0xbf;
    size_t n;
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf)
        n = 2;
    else if (first >= 0xe0 && first <= 0xef)
        n = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        n = 4;
    else
        return 0;
    if (first == 0xe0) low = 0xa0; /* no overlong forms, no surrogates, nothing above U+10FFFF */
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (left < n || at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return n;
}

size_t bytes_character(quern_bytes text, uint32_t *character)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t n = text.len ? sequence(at, text.len) : 0;
    if (!n) return 0;
    uint32_t got = n == 1 ? at[0] : at[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) got = got << 6 | (at[i] & 0x3f);
    *character = got;
    return n;
}

bool bytes_is_utf8(quern_bytes text)
{
    for (size_t i = 0, n; i < text.len; i += n)
        if (!(n = sequence((const unsigned char *)text.at + i, text.len - i))) return false;
    return true;
}

bool bytes_is_steering(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x200e || character == 0x200f ||
           (character >= 0x2028 && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069) || character == 0xfeff;
}

void bytes_tame(char *text)
{
    char *to = text;
    uint32_t character;
    for (quern_bytes rest = bytes_of(text); rest.len;) {
        size_t n = bytes_character(rest, &character);
        bool is_harmless = n && !bytes_is_steering(character);
        if (!n) n = 1;
        if (is_harmless)
            to = (char *)memmove(to, rest.at, n) + n;
        else
            *to++ = '?';
        rest = (quern_bytes){rest.at + n, rest.len - n};
    }
    *to = 0;
}

size_t bytes_cut(quern_bytes text, size_t max)
{
    size_t len = text.len < max ? text.len : max;
    while (len && len < text.len && (text.at[len] & 0xc0) == 0x80) len--;
    return len;
}

char *bytes_copy(quern_bytes text)
{
    char *copy = malloc(text.len + 1);
    if (!copy) return NULL;
    if (text.len) memcpy(copy, text.at, text.len);
    copy[text.len] = 0;
    return copy;
}

char *bytes_hex(quern_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * bytes.len + 1);
    if (!text) return NULL;
    for (size_t i = 0; i < bytes.len; i++) {
        text[2 * i] = digits[(unsigned char)bytes.at[i] >> 4];
        text[2 * i + 1] = digits[bytes.at[i] & 15];
    }
    text[2 * bytes.len] = 0;
    return text;
}

/* Multiplied, and its upper half folded into the lower one. */
static uint64_t mixed(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio: odd, its bits without a pattern */
    return hash ^ hash >> 32;
}

uint64_t bytes_hash(quern_bytes bytes)
{
    uint64_t hash = bytes.len, word;
    size_t at = 0;
    for (; bytes.len - at >= sizeof word; at += sizeof word) {
        memcpy(&word, bytes.at + at, sizeof word);
        hash = mixed(hash, word);
    }
    word = 0;
    if (bytes.len > at) memcpy(&word, bytes.at + at, bytes.len - at);
    return mixed(hash, word);
}
