/* SPDX-License-Identifier: MIT */

/* What a handler sees of its job: the public accessors. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "job/codec.h"
#include "job/slot.h"

enum { ERROR_MAX = 1000, RESULT_MAX = 64 * 1024 };
static const int64_t RETRY_AFTER_MAX_MS = INT64_C(365) * 86400 * 1000; /* a year: what is later is rather a mistake */

quern_bytes quern_job_id(const quern_job *job)
{
    return job->message.id;
}

quern_bytes quern_job_entry(const quern_job *job)
{
    return bytes_of(job->message.entry_text);
}

quern_bytes quern_job_event(const quern_job *job)
{
    return job->message.event;
}

quern_bytes quern_job_data(const quern_job *job)
{
    return job->message.data;
}

quern_bytes quern_job_field(const quern_job *job, const char *name)
{
    quern_bytes field = message_field(&job->message, name);
    return field.at || strcmp(name, "timestamps") != 0 ? field : job->message.timestamps;
}

struct json_t *quern_job_json(quern_job *job)
{
    if (job->json || job->is_not_json) return job->json;
    quern_error why;
    if (!codec_check_depth(job->message.data, job->depth_max, &why)) job->json = codec_parse(job->message.data, &why);
    if (job->json) return job->json;
    job->is_not_json = true;
    quern_job_error(job, "the data is %s", why.text);
    return NULL;
}

unsigned quern_job_retries(const quern_job *job)
{
    return job->message.retries;
}

unsigned quern_job_deliveries(const quern_job *job)
{
    return job_deliveries(job);
}

quern_bytes quern_job_stream(const quern_job *job)
{
    return job->sources ? bytes_of(job->sources[job_queue(job)].stream) : (quern_bytes){NULL, 0};
}

quern_bytes quern_job_consumer(const quern_job *job)
{
    return job->consumer ? bytes_of(job->consumer) : (quern_bytes){NULL, 0};
}

int64_t quern_job_age_ms(const quern_job *job)
{
    int64_t age_ms = clock_unix_ms() - message_created_ms(&job->message);
    return age_ms > 0 ? age_ms : 0;
}

int64_t quern_job_left_ms(const quern_job *job)
{
    int64_t deadline_ns = atomic_load_explicit(&job->deadline_ns, memory_order_relaxed);
    if (deadline_ns == CLOCK_NEVER) return -1;
    int64_t left_ns = deadline_ns - clock_now_ns();
    return left_ns > 0 ? left_ns / NS_PER_MS : 0;
}

int quern_job_lost(const quern_job *job)
{
    return slot_has(job, SLOT_LOST);
}

int quern_job_cancelled(const quern_job *job)
{
    if (slot_has(job, SLOT_LOST) || slot_has(job, SLOT_CANCELLED)) return 1;
    int64_t deadline_ns = atomic_load_explicit(&job->deadline_ns, memory_order_relaxed);
    int64_t drain_ns = atomic_load_explicit(job->drain_ns, memory_order_relaxed);
    if (deadline_ns == CLOCK_NEVER && drain_ns == CLOCK_NEVER) return 0;
    int64_t now_ns = clock_now_ns();
    return now_ns >= deadline_ns || now_ns >= drain_ns;
}

void quern_job_error(quern_job *job, const char *format, ...)
{
    char *text = malloc(ERROR_MAX + 1);
    if (!text) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, ERROR_MAX + 1, format, args);
    va_end(args);
    free(job->error);
    job->error = text;
}

void quern_job_retry_after(quern_job *job, int64_t ms)
{
    job->retry_after_ms = ms < 0 ? -1 : ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

int quern_job_result(quern_job *job, const void *bytes, size_t len)
{
    if (len > RESULT_MAX) return QUERN_E_FULL;
    if (len && !bytes) return QUERN_E_ARGUMENT;
    char *copy = bytes_copy((quern_bytes){bytes, len});
    if (!copy) return QUERN_E_MEMORY;
    free(job->result);
    job->result = copy;
    job->result_len = len;
    return QUERN_OK;
}

uint64_t quern_job_ticket(quern_job *job)
{
    return slot_ticket(job);
}

void quern_free(void *given)
{
    free(given);
}
