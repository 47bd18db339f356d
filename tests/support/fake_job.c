/* SPDX-License-Identifier: MIT */
#include "support/fake_job.h"

#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const quern_module quern_module_entry;

/* ── What a module calls ── */

quern_bytes quern_job_id(const quern_job *job)
{
    return job->id;
}

quern_bytes quern_job_entry(const quern_job *job)
{
    return job->entry;
}

quern_bytes quern_job_event(const quern_job *job)
{
    return job->event;
}

quern_bytes quern_job_data(const quern_job *job)
{
    return job->data;
}

quern_bytes quern_job_field(const quern_job *job, const char *name)
{
    if (job->is_raw && strcmp(name, "data_type") == 0) return (quern_bytes){"bytes", 5};
    for (size_t i = 0; i < 8 && job->fields[i]; i += 2)
        if (strcmp(name, job->fields[i]) == 0) return (quern_bytes){job->fields[i + 1], strlen(job->fields[i + 1])};
    return (quern_bytes){NULL, 0};
}

struct json_t *quern_job_json(quern_job *job)
{
    job->json_asked++;
    if (!job->json) job->json = json_loadb(job->data.at, job->data.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!job->json) quern_job_error(job, "no JSON");
    return job->json;
}

unsigned quern_job_retries(const quern_job *job)
{
    return job->retries;
}

unsigned quern_job_deliveries(const quern_job *job)
{
    return job->deliveries;
}

quern_bytes quern_job_consumer(const quern_job *job)
{
    return job->consumer;
}

int64_t quern_job_left_ms(const quern_job *job)
{
    return job->is_late ? 0 : -1;
}

int quern_job_lost(const quern_job *job)
{
    return job->is_lost;
}

int quern_job_cancelled(const quern_job *job)
{
    quern_job *fake = (quern_job *)(uintptr_t)job;
    fake->cancelled_asked++;
    return fake->is_cancelled && fake->is_cancelled(fake);
}

void quern_job_error(quern_job *job, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(job->error, sizeof job->error, format, args);
    va_end(args);
}

void quern_job_progress(quern_job *job, double percent, const char *note)
{
    job->percent = percent;
    if (note) job->note = note;
}

int quern_job_result(quern_job *job, const void *bytes, size_t len)
{
    if (len > 64 * 1024) return QUERN_E_FULL;
    char *copy = malloc(len + 1);
    if (!copy) return QUERN_E_MEMORY;
    memcpy(copy, bytes, len);
    copy[len] = 0;
    free(job->result);
    job->result = copy;
    job->result_len = len;
    return QUERN_OK;
}

/* ── What a test calls ── */

static quern_bytes bytes(const char *text)
{
    return (quern_bytes){text, strlen(text)};
}

quern_job fake_job(const char *data)
{
    return (quern_job){.id = bytes("job-1"),
                       .entry = bytes("1700000000000-0"),
                       .event = bytes("test"),
                       .data = bytes(data),
                       .consumer = bytes("host-1-abcd"),
                       .deliveries = 1};
}

quern_verdict fake_job_run(quern_job *job, const char *options)
{
    quern_error error = {0};
    quern_handler handler = {.size = sizeof handler, .event = "test"};
    if (quern_module_entry.open(options, &handler, &error) != QUERN_OK) fail_msg("options refused: %s", error.text);
    void *thread = NULL;
    if (handler.thread_open) assert_int_equal(0, handler.thread_open(&thread, handler.user));
    quern_verdict verdict = handler.run(job, thread, handler.user);
    if (handler.thread_close) handler.thread_close(thread, handler.user);
    quern_module_entry.close(&handler);
    return verdict;
}

const char *fake_job_refused(const char *options)
{
    static quern_error error;
    error = (quern_error){0};
    quern_handler handler = {.size = sizeof handler, .event = "test"};
    assert_int_equal(QUERN_E_CONFIG, quern_module_entry.open(options, &handler, &error));
    assert_int_equal(QUERN_E_CONFIG, error.code);
    return error.text;
}

json_t *fake_job_result(quern_job *job)
{
    json_decref(job->json);
    assert_non_null(job->result);
    job->json = json_loads(job->result, 0, NULL);
    assert_non_null(job->json);
    return job->json;
}

void fake_job_clear(quern_job *job)
{
    json_decref(job->json);
    free(job->result);
    job->json = NULL;
    job->result = NULL;
    job->error[0] = 0;
}

static char directory[PATH_MAX / 2];

void fake_directory_make(void)
{
    const char *below = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/quern-worker-XXXXXX", below && *below ? below : "/tmp");
    assert_non_null(mkdtemp(directory));
}

const char *fake_path(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return path;
}

void fake_file(const char *path, const void *content, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(len, fwrite(content, 1, len, file));
    assert_int_equal(0, fclose(file));
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *where)
{
    (void)st, (void)what, (void)where;
    return remove(path);
}

void fake_directory_remove(void)
{
    assert_int_equal(0, nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS));
}
