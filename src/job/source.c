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

int source_open(struct source *source, const char *stream, const char *group, quern_error *err)
{
    *source = (struct source){.stream = strdup(stream), .group = strdup(group)};
    if (source->stream && source->group) {
        source->retry = derived(source, "retry");
        source->settles = derived(source, "settles");
        source->completed = derived(source, "completed");
    }
    if (source->retry && source->settles && source->completed) return QUERN_OK;
    source_close(source);
    return err_set(err, QUERN_E_MEMORY, "no memory for the names of keys");
}

void source_close(struct source *source)
{
    free(source->stream);
    free(source->group);
    free(source->retry);
    free(source->settles);
    free(source->completed);
    *source = (struct source){0};
}

const char *source_key(const struct source *source, bool is_private)
{
    return is_private ? source->retry : source->stream;
}
