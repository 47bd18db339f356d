/* SPDX-License-Identifier: MIT */
#include "cli/gauge.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

/* ── this process ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t gauge_now_us(void)
{
    return clock_us(CLOCK_BOOTTIME);
}

int gauge_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

/* One line of a file of a thread; false: it has ended, or the kernel has no such file. */
static bool read_line(const char *tid, const char *file, char *line, int size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.16s/%s", tid, file);
    FILE *from = fopen(path, "re");
    bool is_read = from && fgets(line, size, from);
    if (from) fclose(from);
    return is_read;
}

static void read_threads(struct gauge_reading *reading)
{
    DIR *tasks = opendir("/proc/self/task");
    char line[128];
    reading->thread_count = 0;
    for (const struct dirent *at; tasks && (at = readdir(tasks)) && reading->thread_count < GAUGE_THREADS;) {
        struct gauge_thread thread = {.tid = atoi(at->d_name)};
        if (!thread.tid || !read_line(at->d_name, "schedstat", line, sizeof line)) continue;
        thread.cpu_us = strtoll(line, NULL, 10) / 1000;
        if (read_line(at->d_name, "comm", line, sizeof line))
            snprintf(thread.name, sizeof thread.name, "%.*s", (int)strcspn(line, "\n"), line);
        reading->threads[reading->thread_count++] = thread;
    }
    if (tasks) closedir(tasks);
}

/* "cpu  user nice system idle iowait irq softirq steal …", in hundredths of a second. */
static void read_machine(struct gauge_reading *reading)
{
    enum { FIELDS = 8, IDLE = 3, IOWAIT = 4 };
    char line[256] = "";
    FILE *from = fopen("/proc/stat", "re");
    const char *at = from && fgets(line, sizeof line, from) ? line + strcspn(line, " ") : line;
    if (from) fclose(from);
    reading->cores_ticks = reading->idle_ticks = 0;
    for (int i = 0; i < FIELDS && *at; i++) {
        char *end;
        long long ticks = strtoll(at, &end, 10);
        reading->cores_ticks += ticks;
        if (i == IDLE || i == IOWAIT) reading->idle_ticks += ticks;
        at = end;
    }
}

static double machine_busy(const struct gauge_reading *began, const struct gauge_reading *ended)
{
    enum { LEAST_TICKS = 10 };
    int64_t ticks = ended->cores_ticks - began->cores_ticks, idle = ended->idle_ticks - began->idle_ticks;
    return ticks < LEAST_TICKS ? -1 : (double)(ticks - idle) / (double)ticks;
}

static int64_t cpu_of(const struct gauge_reading *reading, int tid)
{
    for (size_t i = 0; i < reading->thread_count; i++)
        if (reading->threads[i].tid == tid) return reading->threads[i].cpu_us;
    return 0;
}

static void find_busiest(const struct gauge_reading *began, const struct gauge_reading *ended, struct gauge *gauge)
{
    gauge->busiest_us = -1;
    for (size_t i = 0; i < ended->thread_count; i++) {
        int64_t cpu_us = ended->threads[i].cpu_us - cpu_of(began, ended->threads[i].tid);
        if (cpu_us <= gauge->busiest_us) continue;
        gauge->busiest_us = cpu_us;
        memcpy(gauge->busiest, ended->threads[i].name, sizeof gauge->busiest);
    }
}

/* ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static json_t *ask(const quern_config *config, quern_error *err)
{
    char *text = quern_server_facts(config, err);
    json_t *facts = text ? json_loads(text, 0, NULL) : NULL;
    if (text && !facts) *err = (quern_error){.code = QUERN_E_MEMORY, .text = "no memory for what the server says of itself"};
    quern_free(text);
    return facts;
}

static int64_t number(const json_t *facts, const char *name, int64_t fallback)
{
    const json_t *value = json_object_get(facts, name);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

static int read_server(const quern_config *config, struct gauge_reading *reading, quern_error *err)
{
    json_t *facts = ask(config, err);
    if (!facts) return err->code;
    reading->server_us = number(facts, "used_cpu_us", 0);
    reading->server_main_us = number(facts, "main_thread_cpu_us", reading->server_us);
    json_decref(facts);
    return QUERN_OK;
}

static void copy(char *text, size_t size, const json_t *facts, const char *name)
{
    const char *value = json_string_value(json_object_get(facts, name));
    snprintf(text, size, "%s", value ? value : "?");
}

int gauge_server_read(const quern_config *config, struct gauge_server *server, quern_error *err)
{
    struct gauge_reading *readings = calloc(2, sizeof *readings);
    json_t *facts = readings ? ask(config, err) : NULL;
    if (!readings) *err = (quern_error){.code = QUERN_E_MEMORY, .text = "no memory for what is measured"};
    int code = facts ? QUERN_OK : err->code;
    *server = (struct gauge_server){.is_cluster = json_is_true(json_object_get(facts, "cluster")),
                                    .round_trip_us = number(facts, "round_trip_us", 0),
                                    .used_memory_bytes = number(facts, "used_memory_bytes", 0),
                                    .maxmemory_bytes = number(facts, "maxmemory_bytes", 0)};
    copy(server->product, sizeof server->product, facts, "product");
    copy(server->version, sizeof server->version, facts, "version");
    copy(server->shown, sizeof server->shown, facts, "redis");
    if (!code) code = read_server(config, &readings[0], err);
    if (!code) code = read_server(config, &readings[1], err);
    if (!code) server->look_us = readings[1].server_us - readings[0].server_us;
    if (!code) server->look_main_us = readings[1].server_main_us - readings[0].server_main_us;
    json_decref(facts);
    free(readings);
    return code;
}

/* ── a stretch ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void read_own(struct gauge_reading *reading)
{
    read_threads(reading);
    read_machine(reading);
    reading->cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    reading->at_us = gauge_now_us();
}

int gauge_begin(const quern_config *config, struct gauge_reading *reading, quern_error *err)
{
    int code = read_server(config, reading, err);
    read_own(reading);
    return code;
}

static int64_t at_least_0(int64_t number)
{
    return number > 0 ? number : 0;
}

int gauge_end(const quern_config *config, const struct gauge_server *server, const struct gauge_reading *began,
              int64_t began_us, struct gauge *gauge, quern_error *err)
{
    struct gauge_reading *ended = calloc(1, sizeof *ended);
    if (!ended) {
        *err = (quern_error){.code = QUERN_E_MEMORY, .text = "no memory for what is measured"};
        return QUERN_E_MEMORY;
    }
    ended->cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    ended->at_us = gauge_now_us();
    read_machine(ended);
    read_threads(ended);
    int code = read_server(config, ended, err);
    *gauge = (struct gauge){.took_us = ended->at_us - (began_us ? began_us : began->at_us),
                            .cpu_us = ended->cpu_us - began->cpu_us,
                            .server_us = at_least_0(ended->server_us - began->server_us - server->look_us),
                            .server_main_us = at_least_0(ended->server_main_us - began->server_main_us - server->look_main_us)};
    if (gauge->took_us < 1) gauge->took_us = 1;
    gauge->machine_busy = machine_busy(began, ended);
    find_busiest(began, ended, gauge);
    free(ended);
    return code;
}
