/* SPDX-License-Identifier: MIT */

/* cli/gauge: what a stretch of work costs: time, CPU of this process and of its busiest thread, CPU of the server.
 * Idea       read everything at the beginning and at the end; the difference is what it cost. Reading costs the server something,
 *            too: that is measured once, and taken off. How busy all cores were tells whether others have used them.
 * Threads    main. */
#ifndef QUERN_CLI_GAUGE_H
#define QUERN_CLI_GAUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern.h"

enum { GAUGE_NAME = 16, GAUGE_THREADS = 1100 };

struct gauge_thread {
    int tid;
    int64_t cpu_us;
    char name[GAUGE_NAME];
};

/* What is read at one moment. */
struct gauge_reading {
    int64_t at_us, cpu_us;             /* of this process */
    int64_t server_us, server_main_us; /* CPU of the server, and of its thread that runs commands */
    int64_t cores_ticks, idle_ticks;   /* of all cores of this machine, since it began */
    struct gauge_thread threads[GAUGE_THREADS];
    size_t thread_count;
};

/* What a stretch came to. */
struct gauge {
    int64_t took_us, cpu_us, server_us, server_main_us;
    int64_t busiest_us; /* -1: the kernel does not tell */
    char busiest[GAUGE_NAME];
    double machine_busy; /* all cores of this machine, whoever had them, 0 to 1; negative: not told, or too short */
};

/* What of the server's facts does not change. */
struct gauge_server {
    char product[16], version[24], shown[256];
    bool is_cluster;
    int64_t round_trip_us, used_memory_bytes, maxmemory_bytes;
    int64_t look_us, look_main_us; /* what a reading costs the server */
};

/* Microseconds of a clock that never steps. */
int64_t gauge_now_us(void);

/* Asks the server twice. QUERN_OK, or err says why not. */
int gauge_server_read(const quern_config *config, struct gauge_server *server, quern_error *err);

/* The server is asked before the clock is read. */
int gauge_begin(const quern_config *config, struct gauge_reading *reading, quern_error *err);
/* The other way round; began_us, if it is not 0: the stretch began only then. */
int gauge_end(const quern_config *config, const struct gauge_server *server, const struct gauge_reading *began,
              int64_t began_us, struct gauge *gauge, quern_error *err);

/* How many cores this process may use. */
int gauge_cores(void);

#endif
