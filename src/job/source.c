/* SPDX-License-Identifier: MIT */
#include "job/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static char *derived(const struct source *source, const char *what)
{
    char *key = NULL;
    return asprintf(&key, "%s:%s:%s", source->stream, source->group, what) < 0 ? NULL : key;
}

/* Of all groups. */
static char *shared(const char *stream, const char *what)
{
    char *key = NULL;
    return asprintf(&key, "%s:%s", stream, what) < 0 ? NULL : key;
}

int source_open(struct source *source, const char *stream, const char *group, const char *dead, quern_error *err)
{
    *source = (struct source){.stream = strdup(stream), .group = strdup(group)};
    if (source->stream && source->group) {
        source->retry = derived(source, "retry");
        source->alone = derived(source, "alone");
        source->crashes = derived(source, "crashes");
        source->settles = derived(source, "settles");
        source->completed = derived(source, "completed");
        source->delayed = derived(source, "delayed");
        source->waiting = derived(source, "delayed:jobs");
        source->scheduled = shared(stream, "scheduled");
        source->scheduled_jobs = shared(stream, "scheduled:jobs");
        source->paused = derived(source, "paused");
        source->cancelled = derived(source, "cancelled");
        source->batches = derived(source, "batches");
        source->batch_open = derived(source, "batches:open");
        source->batch_state = derived(source, "batches:state");
        source->reaper = derived(source, "reaper");
        source->dead = dead ? strdup(dead) : shared(stream, "failed");
    }
    if (source->retry && source->alone && source->crashes && source->settles && source->completed && source->delayed &&
        source->waiting && source->paused && source->cancelled && source->reaper && source->dead && source->scheduled &&
        source->scheduled_jobs && source->batches && source->batch_open && source->batch_state)
        return QUERN_OK;
    source_close(source);
    return err_set(err, QUERN_E_MEMORY, "no memory for the names of keys");
}

void source_close(struct source *source)
{
    free(source->stream);
    free(source->group);
    free(source->retry);
    free(source->alone);
    free(source->crashes);
    free(source->settles);
    free(source->completed);
    free(source->delayed);
    free(source->waiting);
    free(source->scheduled);
    free(source->scheduled_jobs);
    free(source->paused);
    free(source->cancelled);
    free(source->batches);
    free(source->batch_open);
    free(source->batch_state);
    free(source->reaper);
    free(source->dead);
    *source = (struct source){0};
}

const char *source_key(const struct source *source, enum lane lane)
{
    return lane == LANE_STREAM ? source->stream : lane == LANE_RETRY ? source->retry : source->alone;
}

const char *origin_key(const struct source *sources, uint32_t origin)
{
    return source_key(origin_source(sources, origin), origin_lane(origin));
}
