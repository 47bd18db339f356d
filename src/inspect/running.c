/* SPDX-License-Identifier: MIT */
#include "inspect/running.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "inspect/show.h"

static bool show_percent(json_t *object, int tenths)
{
    return !json_object_set_new(object, "percent", tenths == BOARD_UNKNOWN ? json_null() : json_real(tenths / 10.0));
}

json_t *running_object(const struct board_row *row, const char *stream, int64_t now_ns, int64_t cpu_ns)
{
    json_t *object = json_object();
    int64_t elapsed_ns = now_ns > row->is.started_ns ? now_ns - row->is.started_ns : 0,
            used_ns = cpu_ns - row->is.thread.cpu_ns;
    bool has_used = row->is.thread.number && cpu_ns >= 0 && row->is.thread.cpu_ns >= 0;
    if (used_ns > elapsed_ns) used_ns = elapsed_ns; /* it is not known to the nanosecond when the thread came to this job */
    bool is_whole = object && show_bytes(object, "id", board_id(row)) && show_bytes(object, "event", board_event(row)) &&
                    show_bytes(object, "stream", bytes_of(stream)) && show_id(object, "entry", row->is.entry) &&
                    show_number_or_null(object, "thread", row->is.thread.number, row->is.thread.number != 0) &&
                    show_number(object, "elapsed_ms", elapsed_ns / NS_PER_MS) &&
                    show_number_or_null(object, "cpu_ms", used_ns > 0 ? used_ns / NS_PER_MS : 0, has_used) &&
                    show_percent(object, row->is.tenths) && show_bytes(object, "note", board_note(row)) &&
                    show_number(object, "retries", row->is.retries) &&
                    !json_object_set_new(object, "is_pending", json_boolean(row->is.is_pending));
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}
