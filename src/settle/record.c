/* SPDX-License-Identifier: MIT */
#include "settle/record.h"

#include "base/bytes.h"
#include "base/clock.h"

static void put_bytes(struct conn *conn, quern_bytes bytes)
{
    conn_arg(conn, bytes.at, bytes.len);
}

/* Milliseconds with three decimals: a job may take microseconds. */
static void put_ms(struct conn *conn, int64_t ns)
{
    char text[BYTES_NUMBER_SIZE + 4];
    if (ns < 0) ns = 0; /* a job starts when the last one ended, which may be before it was admitted */
    uint64_t us = (uint64_t)(ns / NS_PER_US);
    size_t len = bytes_put_number(text, us / 1000);
    text[len++] = '.';
    for (unsigned unit = 100; unit; unit /= 10) text[len++] = (char)('0' + us / unit % 10);
    conn_arg(conn, text, len);
}

static void put_finished_at(struct conn *conn, const struct quern_job *job)
{
    char when[CLOCK_ISO_SIZE];
    clock_iso(clock_unix_us() - (clock_now_ns() - job->ended_ns) / NS_PER_US, when);
    conn_arg_text(conn, when);
}

static void put_name(struct conn *conn, bool is_named, const char *name)
{
    if (is_named) conn_arg_text(conn, name);
}

/* consumer NULL: the script that gets the values knows it, and the names. */
static void put_fields(const struct quern_job *job, const char *consumer, struct conn *conn)
{
    bool is_named = consumer != NULL;
    put_name(conn, is_named, "id");
    put_bytes(conn, job->message.id);
    put_name(conn, is_named, "event");
    put_bytes(conn, job->message.event);
    put_name(conn, is_named, "result");
    conn_arg(conn, job->result, job->result_len);
    put_name(conn, is_named, "retries");
    conn_arg_number(conn, job->message.retries);
    put_name(conn, is_named, "wait_ms");
    put_ms(conn, job->started_ns - job->admitted_ns);
    put_name(conn, is_named, "run_ms");
    put_ms(conn, job->ended_ns - job->started_ns);
    put_name(conn, is_named, "consumer");
    if (is_named) conn_arg_text(conn, consumer);
    put_name(conn, is_named, "finished_at");
    put_finished_at(conn, job);
}

void record_put_values(const struct quern_job *job, struct conn *conn)
{
    put_fields(job, NULL, conn);
}

void record_put_command(const struct quern_job *job, const char *key, const char *consumer, struct conn *conn)
{
    enum { ARGS = 3 + 2 * 8 };
    conn_begin(conn, ARGS);
    conn_arg_text(conn, "XADD");
    conn_arg_text(conn, key);
    conn_arg_text(conn, "*");
    put_fields(job, consumer, conn);
}
