/* SPDX-License-Identifier: MIT */
#include "wire/errors.h"

#include <stdbool.h>

#include "base/bytes.h"

struct row {
    const char *code;
    struct error_meaning meaning;
};

static const struct row codes[] = {
    {"LOADING", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"READONLY", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"CLUSTERDOWN", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"MASTERDOWN", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"TRYAGAIN", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"ASK", {ERROR_TRANSIENT, QUERN_E_CONNECT}},   /* the slot is on its way: once it is away, MOVED says so */
    {"MOVED", {ERROR_TRANSIENT, QUERN_E_CONNECT}}, /* whoever connects anew finds where (wire/route) */
    {"BUSY", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"UNKILLABLE", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"MISCONF", {ERROR_TRANSIENT, QUERN_E_SERVER}},
    {"OOM", {ERROR_TRANSIENT, QUERN_E_SERVER}},
    {"NOREPLICAS", {ERROR_TRANSIENT, QUERN_E_SERVER}},
    {"EXECABORT", {ERROR_TRANSIENT, QUERN_E_SERVER}}, /* nothing of it was done */
    {"NOSCRIPT", {ERROR_NOSCRIPT, QUERN_E_SERVER}},
    {"NOGROUP", {ERROR_HEAL, QUERN_E_GONE}},
    {"UNBLOCKED", {ERROR_HEAL, QUERN_E_GONE}},
    {"NOAUTH", {ERROR_FATAL, QUERN_E_AUTH}},
    {"WRONGPASS", {ERROR_FATAL, QUERN_E_AUTH}},
    {"NOPERM", {ERROR_FATAL, QUERN_E_AUTH}},
    {"WRONGTYPE", {ERROR_FATAL, QUERN_E_SERVER}},
    {"CROSSSLOT", {ERROR_FATAL, QUERN_E_SERVER}},
};

static const struct row phrases[] = {
    {"max number of clients", {ERROR_TRANSIENT, QUERN_E_CONNECT}},
    {"can't access at least one of the keys", {ERROR_FATAL, QUERN_E_AUTH}},
    {"can't run this command or subcommand", {ERROR_FATAL, QUERN_E_AUTH}}, /* 7.0, in scripts */
    {"ACL failure", {ERROR_FATAL, QUERN_E_AUTH}},
    {"without any password configured", {ERROR_FATAL, QUERN_E_AUTH}},
    {"invalid password", {ERROR_FATAL, QUERN_E_AUTH}},
    {"unknown command", {ERROR_FATAL, QUERN_E_SERVER}},
    {"DB index is out of range", {ERROR_FATAL, QUERN_E_SERVER}},
    {"invalid DB index", {ERROR_FATAL, QUERN_E_SERVER}},
};

static bool starts_with_word(quern_bytes text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len && memcmp(text.at, word, len) == 0 &&
           (text.len == len || text.at[len] == ' ' || text.at[len] == ':');
}

/* A code inside a script's error: "-OOM command not allowed". */
static bool holds_code(quern_bytes text, const char *code)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.at[i] == '-' && starts_with_word((quern_bytes){text.at + i + 1, text.len - i - 1}, code)) return true;
    return false;
}

struct error_meaning error_meaning(quern_bytes text)
{
    bool is_err = starts_with_word(text, "ERR");
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (is_err ? holds_code(text, codes[i].code) : starts_with_word(text, codes[i].code)) return codes[i].meaning;
    for (size_t i = 0; i < COUNT_OF(phrases); i++)
        if (text.len && memmem(text.at, text.len, phrases[i].code, strlen(phrases[i].code))) return phrases[i].meaning;
    return (struct error_meaning){ERROR_UNKNOWN, QUERN_E_SERVER};
}
