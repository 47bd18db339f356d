/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "embed/place.h"

#define JOURNALS "/journals" /* below the state folder */

int journals_set(quern_config *config, quern_error *err)
{
    struct place place;
    char path[sizeof place.dir + sizeof JOURNALS];
    if (config->journal_dir) return QUERN_OK;
    int code = place_open(&place, config->state_dir, err);
    if (code) return code;
    snprintf(path, sizeof path, "%s" JOURNALS, place.dir);
    place_close(&place);
    return quern_config_set(config, "journal_dir", path, err);
}

int journals_find(quern_config *config, quern_error *err)
{
    char path[PATH_MAX + sizeof JOURNALS];
    if (config->journal_dir) return QUERN_OK;
    int code = place_find(config->state_dir, path, err);
    if (code == QUERN_E_GONE) return quern_config_set(config, "journal_dir", strcat(path, JOURNALS), err);
    return code ? code : journals_set(config, err);
}
