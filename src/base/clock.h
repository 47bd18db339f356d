/* SPDX-License-Identifier: MIT */

/* base/clock: what time it is.
 * Idea       leases and deadlines are judged by CLOCK_BOOTTIME, which goes on while the machine is suspended and never steps;
 *            the wall clock is only for what people read. Whoever decides by the time takes it as a parameter, so that a
 *            test turns the hands instead of waiting.
 * Threads    any; never waits. */
#ifndef QUERN_BASE_CLOCK_H
#define QUERN_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US   INT64_C(1000)
#define NS_PER_MS   INT64_C(1000000)
#define NS_PER_S    INT64_C(1000000000)
#define CLOCK_NEVER INT64_MAX /* a deadline that does not come */

/* Nanoseconds since boot, suspended time included. */
int64_t clock_now_ns(void);

/* CPU that the calling thread has taken. A system call, where the others are none. */
int64_t clock_thread_ns(void);

/* Unix time in milliseconds. */
int64_t clock_unix_ms(void);

/* The deadline ms from now; negative ms: never. */
int64_t clock_deadline_ns(int64_t now_ns, int64_t ms);

/* What is left until the deadline, as poll() takes it: rounded up, 0 when over, -1 for never. */
int clock_poll_ms(int64_t deadline_ns);

enum { CLOCK_ISO_SIZE = 40 };
/* "2026-01-02T03:04:05.678901+00:00" into text[CLOCK_ISO_SIZE]. */
void clock_iso(int64_t unix_us, char *text);
int64_t clock_unix_us(void);

/* Is it a time in exactly the form of clock_iso()? text has CLOCK_PLAIN_LEN bytes. */
enum { CLOCK_PLAIN_LEN = 32 };
bool clock_is_plain_iso(const char *text);

/* Reads an ISO-8601 time (Z or an offset, 0 to 9 fraction digits) into Unix milliseconds. 0: read; -1: not such a time. */
int clock_parse_iso(const char *text, uint64_t len, int64_t *unix_ms);

#endif
