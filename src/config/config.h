/* SPDX-License-Identifier: MIT */

/* config: every setting, typed, and where it may come from.
 * Idea       one table of rows (key, type, range, default, sentence) feeds the JSON file, the environment, the program's
 *            options, quern_config_set(), --help, config/quern.json and the README. A new key is one row and one member here.
 * Invariant  every member holds a valid value at all times: a setter that refuses changes nothing.
 * Threads    one at a time; config_copy() before it is shared. */
#ifndef QUERN_CONFIG_CONFIG_H
#define QUERN_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern.h"

/* A list of texts; NULL-terminated at texts[count]. */
struct config_list {
    char **texts;
    size_t count;
};

/* One element of "workers": an event and the module that handles it. Only the program uses it. */
struct config_worker {
    char *event, *module;
    char *options; /* JSON object as text, "{}" if none */
    char *policy;  /* JSON object of per-event overrides as text, "{}" if none */
};

struct config_workers {
    struct config_worker *at;
    size_t count;
};

struct config_handlers {
    quern_handler *at; /* texts owned */
    size_t count;
};

/* The choices of the keys of these names, in their order. */
enum delivery { DELIVERY_AT_LEAST_ONCE, DELIVERY_AT_MOST_ONCE };
enum unhandled { UNHANDLED_RETRY, UNHANDLED_DEAD, UNHANDLED_ACK };
enum on_max_deliveries { ON_MAX_ALONE, ON_MAX_DEAD };
enum publish_shape { SHAPE_FIELDS, SHAPE_OBJECT };
enum unique_by { UNIQUE_BY_KEY, UNIQUE_BY_CONTENT };
enum on_max_pending { PENDING_REFUSE, PENDING_BLOCK, PENDING_DROP_OLDEST };

/* Which jobs a pool takes. */
enum config_lanes {
    LANES_ALL, /* those that are to run alone too, while nothing else runs */
    LANES_SHARED /* all but those: somebody else runs them, and is told that there are some */,
    LANES_ALONE /* only those, until there are no more */
};

struct quern_config {
    /* what is served */
    char *redis;                             /* a URL; NULL: not set (the program then takes "embedded:") */
    char *redis_password_file, *sentinel_password_file; /* NULL: none */
    char *tls_ca, *tls_cert, *tls_key, *tls_name; /* NULL: the system's, none, beside tls_cert, the URL's host */
    char *stream, *group, *start, *consumer; /* consumer may be NULL */
    bool group_is_given;                     /* not by default: a publisher then creates it */
    bool stream_is_given;                    /* likewise: of several queues, that one is meant */
    struct config_list queues; /* JSON objects as texts; none: stream and group are the only one (config/queues) */
    uint32_t weight;           /* set by config/queues only: of one queue among others; 0: they are served in order */
    unsigned threads;          /* 0: auto */
    /* leases */
    int64_t lease_ms, heartbeat_ms, reap_ms; /* heartbeat_ms 0: a sixth of the lease */
    int delivery;                            /* enum delivery */
    /* what becomes of a job that does not go well; the first six also per event (config/policy) */
    int64_t timeout_ms, timeout_grace_ms; /* timeout 0: none */
    int64_t retry_limit;                  /* -1: for ever */
    int64_t retry_base_ms, retry_factor, retry_max_ms;
    int64_t max_running;      /* per handler; 0: any number */
    int unhandled;            /* enum unhandled */
    char *dead_letter_stream; /* NULL: <stream>:failed */
    int64_t dead_letter_max;  /* 0: never trimmed */
    /* how much is fetched */
    int64_t batch_size, block_ms, prefetch_ms, prefetch_max, prefetch_bytes;
    int64_t payload_max_bytes, fields_max;
    int64_t depth_max; /* the key json_depth_max */
    /* what ends processes */
    int64_t max_deliveries, max_crashes;
    int on_max_deliveries; /* enum on_max_deliveries */
    char *journal_dir;     /* NULL: no journal */
    bool crash_hook;
    /* what stays */
    int64_t completed_max; /* 0: no log */
    bool trim;
    struct config_list required_groups, ignored_groups;
    /* start and stop */
    bool allow_eviction; /* of keys, by the server */
    int64_t drain_ms, connect_ms, publish_ms; /* connect_ms, publish_ms 0: one attempt */
    int64_t backoff_ms, backoff_max_ms;
    bool publish_marked;
    /* what is published */
    int64_t publish_queue_max, publish_queue_bytes;
    int publish_shape; /* enum publish_shape */
    int unique_by;     /* enum unique_by */
    int64_t unique_ms;
    int64_t batch_ms;
    int64_t max_pending; /* 0: no bound */
    int on_max_pending;  /* enum on_max_pending */
    bool until_empty;
    /* the program */
    bool supervise;
    char *state_dir;   /* NULL: XDG state or $STATE_DIRECTORY */
    char *module_path; /* NULL: beside the program */
    int log_level;     /* enum log_level */
    int log_format;    /* enum log_format */
    struct config_workers workers;
    /* set by code only */
    struct config_handlers handlers;
    char *journal_path;              /* of the file itself; NULL: it gets a name in journal_dir */
    int lanes;                       /* enum config_lanes */
    void (*alone_waits)(void *user); /* LANES_SHARED: a job waits that is to run alone. Reaper; must not wait */
    void *alone_user;
    char *(*key_of)(void *user, const quern_message *message); /* NULL: unique_by says */
    void *key_user;
    unsigned observed; /* kinds of notices, enum quern_what */
    void (*observer)(void *user, const quern_notice *notice);
    void *observer_user;
    void (*logger)(void *user, int level, const char *line);
    void *logger_user;
    /* what the last load found wrong */
    char **problems;
    size_t problem_count;
};

/* A deep copy, without the problems of the last load. Gives; NULL: no memory. */
quern_config *config_copy(const quern_config *config);

/* Makes config what next is, at once; problems stay. Takes next. */
void config_replace(quern_config *config, quern_config *next);

struct config_row;
/* The key of row was given a value by somebody. */
void config_note_given(quern_config *config, const struct config_row *row);

/* Heartbeat period in ms: as set, or a sixth of the lease. */
int64_t config_heartbeat_ms(const quern_config *config);

/* The longest BLOCK of a read in ms: block_ms, but never over a quarter of the lease. */
int64_t config_block_ms(const quern_config *config);

/* What no single key can know, of each queue (the rest its setter has refused): a heartbeat of half the lease or more, a group that trimming
 * shall not wait for although it is our own or required. QUERN_OK, or QUERN_E_CONFIG and err says which keys disagree. */
int config_check(const quern_config *config, quern_error *err) QUERN_MUST_USE;

#endif
