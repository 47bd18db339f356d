/* SPDX-License-Identifier: MIT */
#include "intake/heal.h"

#include "base/log.h"
#include "wire/group.h"

static bool heal_source(const struct dispatcher_needs *needs, const struct source *source, struct conn *conn)
{
    quern_error why;
    if (group_create(conn, source->stream, source->group, "0", &why) ||
        group_create(conn, source->retry, source->group, "0", &why)) {
        log_event(needs->log, LOG_ERROR, "heal_failed", LOG_TEXT("stream", source->stream), LOG_TEXT("why", why.text));
        return false;
    }
    log_event(needs->log, LOG_WARNING, "group_made_again", LOG_TEXT("stream", source->stream), LOG_TEXT("group", source->group),
              LOG_TEXT("why", "it was gone; what the stream still holds is delivered again"));
    return true;
}

bool heal(const struct dispatcher_needs *needs, struct conn *conn)
{
    for (uint32_t i = 0; i < needs->source_count; i++)
        if (!heal_source(needs, &needs->sources[i], conn)) return false;
    return true;
}
