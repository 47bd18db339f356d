/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <limits.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_unix_ms(void)
{
    return read_clock(CLOCK_REALTIME) / NS_PER_MS;
}

int64_t clock_unix_us(void)
{
    return read_clock(CLOCK_REALTIME) / NS_PER_US;
}

int64_t clock_deadline_ns(int64_t now_ns, int64_t ms)
{
    if (ms < 0 || ms > (CLOCK_NEVER - now_ns) / NS_PER_MS) return CLOCK_NEVER;
    return now_ns + ms * NS_PER_MS;
}

int clock_poll_ms(int64_t deadline_ns)
{
    if (deadline_ns == CLOCK_NEVER) return -1;
    int64_t left = deadline_ns - clock_now_ns();
    if (left <= 0) return 0;
    int64_t ms = (left + NS_PER_MS - 1) / NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void clock_iso(int64_t unix_us, char *text)
{
    /* Calendars are dear, and most of the times that one thread writes lie in the second that it wrote last. */
    static _Thread_local time_t last_second = -1;
    static _Thread_local char last[CLOCK_ISO_SIZE];
    time_t second = (time_t)(unix_us / 1000000);
    if (second != last_second) {
        struct tm utc;
        gmtime_r(&second, &utc);
        strftime(last, sizeof last, "%Y-%m-%dT%H:%M:%S.000000+00:00", &utc);
        last_second = second;
    }
    memcpy(text, last, CLOCK_ISO_SIZE);
    char *fraction = text + strcspn(text, ".");
    for (int64_t us = unix_us % 1000000, i = 6; i; i--, us /= 10) fraction[i] = (char)('0' + us % 10);
}

/* Reads exactly n digits within [low, high]. */
static int digits(const char **at, const char *end, int n, int low, int high, int *value)
{
    int got = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (*at >= end || **at < '0' || **at > '9') return -1;
        got = got * 10 + (**at - '0');
    }
    *value = got;
    return got < low || got > high ? -1 : 0;
}

static int literal(const char **at, const char *end, const char *any_of)
{
    for (const char *c = any_of; *c; c++)
        if (*at < end && **at == *c) return (*at)++, 0;
    return -1;
}

static int fraction(const char **at, const char *end, int *ms)
{
    *ms = 0;
    if (*at >= end || **at != '.') return 0;
    int seen = 0;
    for ((*at)++; *at < end && **at >= '0' && **at <= '9'; (*at)++, seen++)
        if (seen < 3) *ms = *ms * 10 + (**at - '0');
    for (int i = seen; i < 3; i++) *ms *= 10;
    return seen > 9 ? -1 : 0;
}

static int zone(const char **at, const char *end, int *minutes)
{
    *minutes = 0;
    if (!literal(at, end, "Zz")) return 0;
    int sign = *at < end && **at == '-' ? -1 : 1, h, m;
    if (literal(at, end, "+-") || digits(at, end, 2, 0, 23, &h) || literal(at, end, ":") || digits(at, end, 2, 0, 59, &m))
        return -1;
    *minutes = sign * (h * 60 + m);
    return 0;
}

/* Days from 1970-01-01 in the Gregorian calendar, counted from March so that a leap day is a year's last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t years = year - (month < 3), days = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t era = (years >= 0 ? years : years - 399) / 400, in_era = years - era * 400;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + days - 719468;
}

static bool is_date(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + (month == 2 && is_leap);
}

static int two_digits(const char *at)
{
    return 10 * (at[0] - '0') + (at[1] - '0');
}

/* One loop over all of it, which the compiler makes a few instructions; then the parts that have bounds of their own. */
bool clock_is_plain_iso(const char *text)
{
    static const char form[CLOCK_PLAIN_LEN + 1] = "0000-00-00T00:00:00.000000+00:00";
    static const unsigned char above[CLOCK_PLAIN_LEN] = {9, 9, 9, 9, 0, 1, 9, 0, 3, 9, 0, 2, 9,
                                                         0, 5, 9, 0, 6, 9, 0, 9, 9, 9, 9, 9, 9};
    unsigned char wrong = 0;
    for (size_t i = 0; i < CLOCK_PLAIN_LEN; i++) wrong |= (unsigned char)(text[i] - form[i]) > above[i];
    if (wrong) return false;
    int year = 100 * two_digits(text) + two_digits(text + 2), month = two_digits(text + 5), day = two_digits(text + 8);
    return month >= 1 && month <= 12 && day >= 1 && is_date(year, month, day) && two_digits(text + 11) <= 23 &&
           two_digits(text + 17) <= 60;
}

int clock_parse_iso(const char *text, uint64_t len, int64_t *unix_ms)
{
    if (!len) return -1;
    const char *at = text, *end = text + len;
    int year, month, day, hour, minute, second, ms, offset;
    if (digits(&at, end, 4, 0, 9999, &year) || literal(&at, end, "-") || digits(&at, end, 2, 1, 12, &month) ||
        literal(&at, end, "-") || digits(&at, end, 2, 1, 31, &day) || literal(&at, end, "Tt ") ||
        digits(&at, end, 2, 0, 23, &hour) || literal(&at, end, ":") || digits(&at, end, 2, 0, 59, &minute) ||
        literal(&at, end, ":") || digits(&at, end, 2, 0, 60, &second) || fraction(&at, end, &ms) || zone(&at, end, &offset) ||
        at != end || !is_date(year, month, day))
        return -1;
    int64_t minutes = (days_of(year, month, day) * 24 + hour) * 60 + minute - offset;
    *unix_ms = (minutes * 60 + second) * 1000 + ms;
    return 0;
}
