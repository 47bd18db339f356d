/* SPDX-License-Identifier: MIT */
#include "inspect/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"

static const char *const levels[] = {"error", "warning", "note"};

static void make_plain(char *text)
{
    bool is_utf8 = bytes_is_utf8(bytes_of(text));
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || (!is_utf8 && (unsigned char)*at >= 0x80)) *at = '?';
}

void finding_add(struct findings *findings, enum finding_level level, const char *check, const char *what_to_do,
                 const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_plain(text);
    json_t *finding = json_pack("{s:s, s:s, s:s?, s:s, s:s}", "level", levels[level], "check", check, "stream",
                                findings->stream, "found", text, "what_to_do", what_to_do);
    if (!findings->list) findings->list = json_array();
    /* also where there is no list, it drops what it was given */
    if (!finding || json_array_append_new(findings->list, finding)) findings->has_failed = true;
}

json_t *findings_sorted(const struct findings *findings)
{
    json_t *sorted = json_array();
    bool is_whole = sorted && !findings->has_failed;
    for (enum finding_level level = FINDING_ERROR; level <= FINDING_NOTE; level++)
        for (size_t i = 0; i < json_array_size(findings->list) && is_whole; i++) {
            json_t *finding = json_array_get(findings->list, i);
            bool is_of_level = bytes_is(bytes_of(json_string_value(json_object_get(finding, "level"))), levels[level]);
            if (is_of_level) is_whole = json_array_append(sorted, finding) == 0;
        }
    if (is_whole) return sorted;
    json_decref(sorted);
    return NULL;
}

void findings_close(struct findings *findings)
{
    json_decref(findings->list);
    *findings = (struct findings){0};
}

const char *finding_span(int64_t ms, char *text)
{
    if (ms < 120000)
        snprintf(text, SPAN_SIZE, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < 7200000)
        snprintf(text, SPAN_SIZE, "%" PRId64 " min", ms / 60000);
    else if (ms < INT64_C(172800000))
        snprintf(text, SPAN_SIZE, "%" PRId64 " h", ms / 3600000);
    else
        snprintf(text, SPAN_SIZE, "%" PRId64 " days", ms / 86400000);
    return text;
}
