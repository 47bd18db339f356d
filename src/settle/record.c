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

void record_put_values(const struct quern_job *job, struct conn *conn)
{
    put_bytes(conn, job->message.id);
    put_bytes(conn, job->message.event);
    conn_arg(conn, job->result, job->result_len);
    conn_arg_number(conn, job->message.retries);
    put_ms(conn, job->started_ns - job->admitted_ns);
    put_ms(conn, job->ended_ns - job->started_ns);
    put_finished_at(conn, job);
}

void record_put_command(const struct quern_job *job, const char *key, const char *consumer, struct conn *conn)
{
    enum { ARGS = 3 + 2 * 8 };
    conn_begin(conn, ARGS);
    conn_arg_text(conn, "XADD");
    conn_arg_text(conn, key);
    conn_arg_text(conn, "*");
    conn_arg_text(conn, "id");
    put_bytes(conn, job->message.id);
    conn_arg_text(conn, "event");
    put_bytes(conn, job->message.event);
    conn_arg_text(conn, "result");
    conn_arg(conn, job->result, job->result_len);
    conn_arg_text(conn, "retries");
    conn_arg_number(conn, job->message.retries);
    conn_arg_text(conn, "wait_ms");
    put_ms(conn, job->started_ns - job->admitted_ns);
    conn_arg_text(conn, "run_ms");
    put_ms(conn, job->ended_ns - job->started_ns);
    conn_arg_text(conn, "consumer");
    conn_arg_text(conn, consumer);
    conn_arg_text(conn, "finished_at");
    put_finished_at(conn, job);
}
