/* SPDX-License-Identifier: MIT */
#include "job/member.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct walk {
    const char *at, *end;
};

static void skip_space(struct walk *walk)
{
    while (walk->at < walk->end && (*walk->at == ' ' || *walk->at == '\t' || *walk->at == '\n' || *walk->at == '\r'))
        walk->at++;
}

/* Behind the closing quote. */
static void skip_string(struct walk *walk)
{
    for (walk->at++; walk->at < walk->end && *walk->at != '"'; walk->at++)
        if (*walk->at == '\\') walk->at++;
    walk->at = walk->at < walk->end ? walk->at + 1 : walk->end;
}

/* Behind a value: up to the comma or bracket that is not its own. */
static void skip_value(struct walk *walk)
{
    size_t depth = 0;
    while (walk->at < walk->end) {
        char c = *walk->at;
        if (c == '"') {
            skip_string(walk);
            continue;
        }
        if (!depth && (c == ',' || c == '}' || c == ']')) return;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        walk->at++;
    }
}

static bool takes(struct walk *walk, char c)
{
    skip_space(walk);
    if (walk->at >= walk->end || *walk->at != c) return false;
    walk->at++;
    skip_space(walk);
    return true;
}

static quern_bytes trimmed(const char *from, const char *to)
{
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\n' || to[-1] == '\r')) to--;
    return (quern_bytes){from, (size_t)(to - from)};
}

quern_bytes member_bytes(quern_bytes object, const char *name)
{
    struct walk walk = {object.at, object.at + object.len};
    quern_bytes found = {NULL, 0};
    if (!takes(&walk, '{')) return found;
    do {
        const char *key = walk.at;
        skip_string(&walk);
        bool is_it = walk.at - key >= 2 && bytes_is((quern_bytes){key + 1, (size_t)(walk.at - key) - 2}, name);
        if (!takes(&walk, ':')) break;
        const char *value = walk.at;
        skip_value(&walk);
        if (is_it) found = trimmed(value, walk.at);
    } while (takes(&walk, ','));
    return found;
}
