/* SPDX-License-Identifier: MIT */
#include "config/differences.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/table.h"
#include "config/value.h"

enum { VALUE_SHOWN = 60 };

/* A line that knows whether all of it had room. */
struct line {
    char text[sizeof((quern_error *)0)->text - 64]; /* the rest of the sentence comes before it */
    size_t len, unnamed;                            /* unnamed: keys that had no room */
    bool is_cut;
};

QUERN_PRINTF(2, 3) static void put(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line->text + line->len, sizeof line->text - line->len, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof line->text - line->len) {
        line->is_cut = true;
        line->text[line->len] = 0;
    } else {
        line->len += (size_t)len;
    }
}

/* A value as its JSON, shortened, in ASCII. false: no memory. */
static bool put_value(struct line *line, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (!text) return false;
    put(line, "%.*s%s", VALUE_SHOWN, text, strlen(text) > VALUE_SHOWN ? "..." : "");
    free(text);
    return true;
}

/* Adds the key of row to line if its values differ. false: no memory. */
static bool compare(const struct config_row *row, const quern_config *running, const quern_config *asked, bool has_values,
                    struct line *line)
{
    json_t *now = value_show(row, (const char *)running + row->at), *then = value_show(row, (const char *)asked + row->at);
    bool is_fine = now && then;
    if (is_fine && !json_equal(now, then)) {
        size_t before = line->len;
        put(line, "%s%s", line->len ? ", " : "", row->name);
        line->unnamed += line->len == before;
        if (has_values && row->flags & CONFIG_SECRET) {
            put(line, " (differs)");
        } else if (has_values) {
            put(line, " (is ");
            is_fine = put_value(line, now);
            put(line, ", asked ");
            is_fine = is_fine && put_value(line, then);
            put(line, ")");
        }
    }
    json_decref(now);
    json_decref(then);
    return is_fine;
}

static bool compare_all(const quern_config *running, const quern_config *asked, bool has_values, struct line *line)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    *line = (struct line){.len = 0};
    for (size_t i = 0; i < count; i++)
        if (!(rows[i].flags & (CONFIG_LIVE | CONFIG_PUBLISHER)) && !compare(&rows[i], running, asked, has_values, line))
            return false;
    return true;
}

int config_differences(const quern_config *running, const quern_config *asked, quern_error *err)
{
    struct line line;
    bool is_whole = compare_all(running, asked, true, &line);
    if (is_whole && line.is_cut) is_whole = compare_all(running, asked, false, &line);
    if (!is_whole) return err_set(err, QUERN_E_MEMORY, "no memory to compare the configurations");
    if (!line.len) return QUERN_OK;
    if (!line.unnamed) return err_set(err, QUERN_E_CONFIG, "cannot change while the pool runs: %s", line.text);
    return err_set(err, QUERN_E_CONFIG, "cannot change while the pool runs: %s, and %zu more", line.text, line.unnamed);
}
