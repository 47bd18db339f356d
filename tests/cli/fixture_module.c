/* SPDX-License-Identifier: MIT */

/* One small module for tests/cli/module.c, built once for each way a module may be right or wrong. */
#include <quern.h>
#include <stdio.h>
#include <string.h>

#if defined(OTHER_ABI)
enum { ABI = QUERN_MODULE_ABI + 1 };
#else
enum { ABI = QUERN_MODULE_ABI };
#endif

#if defined(INCOMPLETE)
enum { SIZE = sizeof(quern_module) - 1 };
#else
enum { SIZE = sizeof(quern_module) };
#endif

#if defined(MISSING_SYMBOL)
quern_verdict quern_that_no_version_has(quern_job *job);
#define JUDGE(job) quern_that_no_version_has(job)
#else
#define JUDGE(job) ((void)(job), QUERN_DONE)
#endif

static quern_verdict run(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    return JUDGE(job);
}

/* Options "refuse" and "silent" fail, with and without a word; "idle" gives no function to run. */
static int open_fixture(const char *options_json, quern_handler *handler, quern_error *error)
{
    handler->run = strstr(options_json, "idle") ? NULL : run;
    handler->user = handler;
    if (strstr(options_json, "refuse")) snprintf(error->text, sizeof error->text, "refuse: it is told to");
    return strstr(options_json, "refuse") || strstr(options_json, "silent") ? QUERN_E_CONFIG : QUERN_OK;
}

static void close_fixture(quern_handler *handler)
{
    handler->user = NULL;
}

#if defined(NO_ENTRY)
QUERN_PUBLIC const quern_module quern_module_of_another_name;
QUERN_PUBLIC const quern_module quern_module_of_another_name = {ABI, SIZE, "fixture", open_fixture, close_fixture};
#else
QUERN_PUBLIC const quern_module quern_module_entry = {ABI, SIZE, "fixture", open_fixture, close_fixture};
#endif
