/* SPDX-License-Identifier: MIT */

/* tests/support/fake_job: a job without a pool.
 * Idea       gives a worker module the quern_job_* functions it is written against, so that its test needs no library and no
 *            Redis: the test says what the job is, runs the handler, and looks at what it left. */
#ifndef QUERN_TESTS_SUPPORT_FAKE_JOB_H
#define QUERN_TESTS_SUPPORT_FAKE_JOB_H

#include <jansson.h>
#include <quern.h>
#include <stdbool.h>

struct quern_job {
    /* set by the test */
    quern_bytes id, entry, event, data, consumer;
    bool is_raw, is_lost, is_late;        /* data_type is bytes; the lease is gone; the timeout is over */
    bool (*is_cancelled)(quern_job *job); /* asked by quern_job_cancelled(); NULL: never */
    unsigned retries, deliveries;
    const char *fields[8]; /* names and values in turn */
    const char *watched;   /* for is_cancelled: a file to look for */
    /* left by the handler */
    char error[1001];
    char *result; /* a NUL stands behind it; NULL: none */
    size_t result_len;
    double percent;   /* as it was told last */
    const char *note; /* lent */
    unsigned json_asked, cancelled_asked;
    json_t *json;
};

/* A job of event "test" with this JSON text, lent. */
quern_job fake_job(const char *data);

/* Runs one job through a worker opened with options, on a thread context of its own. The result stays in job. */
quern_verdict fake_job_run(quern_job *job, const char *options);

/* Opens the worker with options that must be refused, and lends the text of the error until the next call. */
const char *fake_job_refused(const char *options);

/* The result as JSON, owned by job. Fails the test where it is none. */
json_t *fake_job_result(quern_job *job);

/* Frees what running left in job; it can be run again. */
void fake_job_clear(quern_job *job);

/* A private directory; and path below it, lent until the next call but three. fake_directory_remove() takes it away. */
void fake_directory_make(void);
const char *fake_path(const char *name);
void fake_file(const char *path, const void *bytes, size_t len);
void fake_directory_remove(void);

#endif
