/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 the quern authors */

/* quern: a worker pool on Redis Streams.
 *
 * Jobs wait in a Redis stream; a pool takes them through N threads of this process, and never loses one.
 * Write a handler, name it in a config, start a pool:
 *
 *     quern_config_on(config, &(quern_handler){.size = sizeof(quern_handler), .event = "sum", .run = sum}, &error);
 *     quern_pool *pool = quern_pool_start(config, &error);
 *
 * Words     *stop* asks and never waits · *join* waits, with a deadline · *free* refuses while anything still runs.
 * Errors    functions that can fail return an enum quern_code (or NULL) and fill the caller's quern_error, which may be NULL.
 *           Results go out by the last pointer before it and are untouched on failure.
 * Owning    *takes*: the library frees it · *lends*: valid until the time named · *gives*: free it with quern_free().
 * Threads   a quern_config belongs to one thread at a time; pools and publishers may be used from any thread; a quern_job
 *           belongs to the thread that runs its handler, until the handler returns.
 * Sizes     per-call structs begin with their own size, so that later versions can add to their end.
 * A guest   the library never exits, installs no signal handler (but for quern_run(), quern_consume() and the key crash_hook),
 *           writes no output; your callbacks run on a thread of their own.
 *
 * Everything here is since version 0.1. */
#ifndef QUERN_H
#define QUERN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUERN_VERSION    "0.1.0"
#define QUERN_MODULE_ABI 1u

#if defined(__GNUC__)
#define QUERN_PUBLIC                      __attribute__((visibility("default")))
#define QUERN_MUST_USE                    __attribute__((warn_unused_result))
#define QUERN_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#else
#define QUERN_PUBLIC
#define QUERN_MUST_USE
#define QUERN_PRINTF(format_at, first_at)
#endif

struct json_t; /* jansson's; include <jansson.h> yourself to look inside */
typedef struct quern_config quern_config;
typedef struct quern_pool quern_pool;
typedef struct quern_job quern_job;
typedef struct quern_publisher quern_publisher;
typedef struct quern_waiter quern_waiter;
typedef struct quern_batch quern_batch;

/* Bytes that belong to somebody else. Those of a job are lent until its handler returns (QUERN_PENDING: until it is
 * finished), and a NUL stands behind their last byte, not counted in len. at is NULL where there is nothing. */
typedef struct {
    const char *at;
    size_t len;
} quern_bytes;

/* What to do about a code; "again" where error.is_retriable is set: the same call may succeed later.
 *     ARGUMENT   change the call                          FULL      smaller or fewer, by the bound that the text names
 *     CONFIG     change the key that the text names       GONE      nothing: it is over, or another's
 *     CONNECT    again, after a pause                     BUSY      again, later: wait, stop or finish what the text names first
 *     AUTH       password or rights, on the server        MEMORY    again, with more memory, threads or descriptors
 *     SERVER     by the text; again if it may pass        UNKNOWN   look, or publish again under a dedup of your own: it may be there
 *     TIMEOUT    again: nothing has happened */
enum quern_code {
    QUERN_OK = 0,
    QUERN_E_ARGUMENT, /* the call itself is wrong: a NULL, an empty event, data that is not JSON */
    QUERN_E_CONFIG,   /* a key or a value of the configuration */
    QUERN_E_CONNECT,  /* no server, or the connection broke: worth another try */
    QUERN_E_AUTH,     /* wrong password, no rights */
    QUERN_E_SERVER,   /* the server refused; the text says what it said */
    QUERN_E_TIMEOUT,  /* the budget of the call ran out; nothing has happened */
    QUERN_E_FULL,     /* over a bound */
    QUERN_E_GONE,     /* too late: the job has ended, or another owner has it */
    QUERN_E_BUSY,     /* something still runs */
    QUERN_E_MEMORY,   /* no memory, or no thread to be had */
    QUERN_E_UNKNOWN   /* it may have happened, or not: the answer was lost */
};

/* Filled by a failing call. is_retriable: the same call may succeed later. text: one line, without secrets. */
typedef struct {
    int code, is_retriable;
    char text[504];
} quern_error;

/* The name of a code, such as "QUERN_E_BUSY". Lends a constant. Any thread, never waits. */
QUERN_PUBLIC const char *quern_code_name(int code);

/* The version of the library that runs, such as "0.1.0". Lends a constant. */
QUERN_PUBLIC const char *quern_version(void);

/* Frees what a function gives. NULL is allowed. */
QUERN_PUBLIC void quern_free(void *given);

/* ── Configuration ─────────────────────────────────────────────────────────────────────────────────────────────────
 * One table of keys serves the JSON file, the environment (QUERN_<KEY>), the program's options and quern_config_set().
 * The README lists it. None of these functions waits or touches Redis. */

/* A configuration with every key at its default. Gives; NULL: no memory. */
QUERN_PUBLIC quern_config *quern_config_new(void);
QUERN_PUBLIC void quern_config_free(quern_config *config);

/* Reads a JSON file over what is set already. All problems of the file are collected, not only the first: error holds the
 * first, quern_config_problems() tells each. QUERN_E_CONFIG: something is wrong and nothing was changed. */
QUERN_PUBLIC int quern_config_load(quern_config *config, const char *path, quern_error *error) QUERN_MUST_USE;

/* Takes every QUERN_<KEY> of the environment, and passwords from $CREDENTIALS_DIRECTORY (redis_password, sentinel_password).
 * Secrets that it finds are not kept in any text. */
QUERN_PUBLIC int quern_config_environment(quern_config *config, quern_error *error) QUERN_MUST_USE;

/* Sets one key from its text, as an option would: numbers in decimal, booleans as true or false, lists as JSON.
 * QUERN_E_CONFIG: no such key, or not such a value; nothing was changed. */
QUERN_PUBLIC int quern_config_set(quern_config *config, const char *key, const char *value, quern_error *error) QUERN_MUST_USE;

/* The value of a key as text, JSON for lists, as quern_config_set() takes it. Gives; NULL: no such key, or not set. */
QUERN_PUBLIC char *quern_config_get(const quern_config *config, const char *key);

/* Calls each (may be NULL) with one line per problem of the last quern_config_load(); returns how many there are. */
QUERN_PUBLIC size_t quern_config_problems(const quern_config *config, void (*each)(void *user, const char *line), void *user);

/* What a handler says of its job. Any other value counts as QUERN_RETRY, and is said aloud. */
typedef enum {
    QUERN_DONE = 1, /* finished: acknowledge it */
    QUERN_RETRY,    /* failed; another try may help */
    QUERN_DEAD,     /* failed for good */
    QUERN_PENDING   /* not yet: quern_pool_finish() will say, from any thread */
} quern_verdict;

/* How one event is handled. The struct is copied; the texts in it too; user stays yours and must outlive the pool. */
typedef struct {
    size_t size;       /* sizeof(quern_handler) */
    const char *event; /* a name, or "*": every event that no other handler names */
    /* Runs one job on a worker thread; several threads run it at once. thread is what thread_open gave this thread. */
    quern_verdict (*run)(quern_job *job, void *thread, void *user);
    /* Optional: what one thread needs (a codec, a database handle), opened before its first job of this event. 0: fine. */
    int (*thread_open)(void **thread, void *user);
    void (*thread_close)(void *thread, void *user);
    void *user;
    const char *policy; /* JSON object of per-event keys, or NULL */
} quern_handler;

/* Adds a handler. QUERN_E_ARGUMENT: incomplete, or the event has one already. */
QUERN_PUBLIC int quern_config_on(quern_config *config, const quern_handler *handler, quern_error *error) QUERN_MUST_USE;

/* What a notice tells; one bit each. */
enum quern_what {
    QUERN_NOTICE_JOB = 1,      /* a job has ended here; outcome holds its verdict */
    QUERN_NOTICE_LOST = 2,     /* the lease of a job was lost while it was held here */
    QUERN_NOTICE_OUTAGE = 4,   /* Redis is out of reach; text says why */
    QUERN_NOTICE_BACK = 8,     /* Redis answers again */
    QUERN_NOTICE_STOPPED = 16, /* the pool has stopped: nothing of it runs any more but this thread */
    QUERN_NOTICE_STUCK = 32,   /* a handler did not return within timeout_ms and timeout_grace_ms: its job counts as failed */
    QUERN_NOTICE_PUBLISH = 64  /* a message of a publisher's: outcome is its receipt's code, run_us how long the call took */
};
enum { QUERN_NOTICE_ALL = 127 };

typedef struct {
    size_t size;
    int what, outcome;
    quern_bytes event, id; /* lent until the callback returns, as is text; cut at 128 bytes */
    unsigned retries;
    int64_t wait_us, run_us; /* from fetched to started, and from started to ended */
    const char *text;
    int64_t cpu_us; /* that the handler's thread took for the job; -1: not measured, see quern_pool_stats() */
} quern_notice;

/* Who is told of notices (kinds: which, the bits of enum quern_what together) and of log lines. Both are called on the pool's
 * notices thread, one at a time; a callback that blocks delays only the other callbacks: what does not fit its queue meanwhile is
 * dropped and counted in the statistics. QUERN_NOTICE_JOB costs about a microsecond per job, the others nothing.
 * A publisher tells QUERN_NOTICE_PUBLISH on the thread that publishes (quern_publish()'s caller, or its own), once per message, before
 * the call returns; nothing is dropped there. No notice and no line ever holds a payload, a password or a URL with one.
 * level: 0 error, 1 warning, 2 info, 3 debug. A line has no newline and no control characters. */
QUERN_PUBLIC void quern_config_observe(quern_config *config, unsigned kinds,
                                       void (*observer)(void *user, const quern_notice *notice), void *user);
QUERN_PUBLIC void quern_config_log(quern_config *config, void (*logger)(void *user, int level, const char *line), void *user);

/* ── Pool ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Starts the threads and takes jobs from then on. Copies the config. Waits for Redis at most connect_ms (0: one attempt), also for
 * one that refuses what it will not refuse for ever, and creates stream and group where they are missing. Gives; NULL: see error,
 * nothing is left behind. */
QUERN_PUBLIC quern_pool *quern_pool_start(const quern_config *config, quern_error *error) QUERN_MUST_USE;

/* Asks the pool to stop: no new jobs, unstarted ones go back to Redis at once, running ones are finished and settled.
 * Never waits; allowed in a signal handler, in a job's handler, in a callback, and again. NULL is allowed. */
QUERN_PUBLIC void quern_pool_stop(quern_pool *pool);

/* Waits until a stopping pool has stopped, at most timeout_ms (-1: for as long as it takes). QUERN_E_BUSY: something still
 * runs; error names how many handlers. Not allowed on one of the pool's own threads (QUERN_E_ARGUMENT). */
QUERN_PUBLIC int quern_pool_join(quern_pool *pool, int64_t timeout_ms, quern_error *error) QUERN_MUST_USE;

/* Frees a pool that has stopped. QUERN_E_BUSY: it still runs; nothing was freed. NULL is allowed. */
QUERN_PUBLIC int quern_pool_free(quern_pool *pool);

/* Changes the number of worker threads of a running pool, 1 to 1024. Down: a thread ends after the job it is at.
 * Never waits for a job. QUERN_E_MEMORY: fewer were started than asked for. QUERN_E_GONE: the pool is stopping. */
QUERN_PUBLIC int quern_pool_set_threads(quern_pool *pool, unsigned threads, quern_error *error) QUERN_MUST_USE;

/* Pause: no more jobs are asked for and none is started; those that run are finished and settled. What was fetched keeps its lease,
 * however long it waits: a read that is under way may still bring some. until_empty does not end a paused pool. A stop works as
 * ever: unstarted jobs go back at once. Resume: goes on. Neither waits; both from any thread, also in a handler, and again; a job
 * that a thread is just taking may still start after the pause. QUERN_E_GONE: the pool is stopping; nothing has changed. */
QUERN_PUBLIC int quern_pool_pause(quern_pool *pool);
QUERN_PUBLIC int quern_pool_resume(quern_pool *pool);

/* Replaces, at once or not at all, what can change while jobs run: the handlers with their functions, users and policies, the
 * per-event keys (timeouts, retries), unhandled, threads, drain_ms and log_level. All other keys must be those of the start; the
 * callbacks of quern_config_observe() and quern_config_log() stay. Copies what it needs of the config. The next job that starts
 * goes by the new one; a job that runs keeps its handler and policy until it ends. Each thread calls the old thread_close itself,
 * soon, at the latest after its job. So what an old handler's user points to must stay valid until the pool has been freed.
 * Waits for a moment of every thread (an RCU grace period), never for a handler or for Redis. Any thread, also in a handler, but
 * not in thread_open or thread_close; two reloads take turns. On failure nothing has changed:
 * QUERN_E_CONFIG: a key that cannot change differs (error names each, with both values), or the config is not valid;
 * QUERN_E_GONE: the pool is stopping; QUERN_E_MEMORY: no memory, or no thread to be had. */
QUERN_PUBLIC int quern_pool_reload(quern_pool *pool, const quern_config *config, quern_error *error) QUERN_MUST_USE;

/* The pool's statistics as a JSON object; its fields are in the README. Gives; NULL: no memory. Never waits.
 * Among them the bill: how long the jobs of each event waited and ran, and how much CPU they took. Jobs of an event that takes less
 * than 50 us are measured together, not one by one; threads and processes that a handler starts, and threads that pull jobs, are not. */
QUERN_PUBLIC char *quern_pool_stats(quern_pool *pool);

/* ── For programs that want nothing but a pool ─────────────────────────────────────────────────────────────────────
 * Start, wait for SIGINT, SIGTERM or SIGHUP (or for the pool's own end), stop, join within drain_ms and half a second, free.
 * Signals   the three are taken for as long as the call lasts, on whatever thread of the process they come, and only where their
 *           disposition is the default. If one has a handler, or SIGTERM is ignored, the call refuses (QUERN_E_ARGUMENT, error
 *           names it) before it has changed anything: such a host calls quern_pool_start(), and quern_pool_stop() from where it
 *           hears of its end. SIGHUP or SIGINT that were ignored (nohup; a command in a shell's background) stay ignored.
 * Second    the first signal begins the drain; a second one, a tenth of a second or more later, has its default action: it ends
 *           the process at once, also while a handler does not return, or Redis while the pool starts. Jobs that ran come back.
 * Once      at a time in a process; not on a pool's own thread (in a handler, in a callback): QUERN_E_ARGUMENT.
 * Errors    those of quern_pool_start(); QUERN_E_BUSY: the time is over, and a handler still runs (the pool leaks, as it must):
 *           end the process. */

/* Runs the handlers of the config. */
QUERN_PUBLIC int quern_run(const quern_config *config, quern_error *error) QUERN_MUST_USE;

/* Runs one event ("*": all) by one function, on several threads at once; user stays yours. Jobs of all other events are
 * acknowledged (as by unhandled "ack"), so the group must be this event's own. QUERN_E_ARGUMENT also: a NULL, or the config has
 * handlers already. */
QUERN_PUBLIC int quern_consume(const quern_config *config, const char *event, quern_verdict (*run)(quern_job *job, void *user),
                               void *user, quern_error *error) QUERN_MUST_USE;

/* ── Job ───────────────────────────────────────────────────────────────────────────────────────────────────────────
 * For the handler, on its thread, until it returns. None of these waits. */

QUERN_PUBLIC quern_bytes quern_job_id(const quern_job *job);    /* the publisher's id */
QUERN_PUBLIC quern_bytes quern_job_entry(const quern_job *job); /* where it lies in the stream, such as "1700000000000-0" */
QUERN_PUBLIC quern_bytes quern_job_event(const quern_job *job);
QUERN_PUBLIC quern_bytes quern_job_data(const quern_job *job); /* JSON text, or raw bytes if data_type says so */

/* Any field of the entry, known or unknown, as it was read; "timestamps" also where the entry is a single JSON object. at == NULL: no
 * such field. */
QUERN_PUBLIC quern_bytes quern_job_field(const quern_job *job, const char *name);

/* The data as jansson's value. Lends until the job ends. NULL: it is not JSON, or deeper than json_depth_max; the job's error says where, and whatever the
 * handler returns, the job counts as malformed. */
QUERN_PUBLIC struct json_t *quern_job_json(quern_job *job);

QUERN_PUBLIC unsigned quern_job_retries(const quern_job *job);    /* failed attempts before this one */
QUERN_PUBLIC unsigned quern_job_deliveries(const quern_job *job); /* how often Redis handed it out, this time included */
QUERN_PUBLIC quern_bytes quern_job_stream(const quern_job *job);  /* of several queues, which: the stream it was published to */
QUERN_PUBLIC quern_bytes quern_job_consumer(const quern_job *job); /* whose lease it is: this pool's name, unique per start */
QUERN_PUBLIC int64_t quern_job_age_ms(const quern_job *job);       /* since it was published, by this machine's clock */
QUERN_PUBLIC int64_t quern_job_left_ms(const quern_job *job);      /* until timeout_ms is over; -1: there is none */

/* To be polled in long loops. lost: another owner has the job; what is done from here on is done twice. cancelled: lost, or
 * past its timeout, or an operator has cancelled it, or the pool's drain is over. */
QUERN_PUBLIC int quern_job_lost(const quern_job *job);
QUERN_PUBLIC int quern_job_cancelled(const quern_job *job);

/* A fence for what a handler writes elsewhere. A process can be stopped between its look at quern_job_lost() and its write, so only the
 * place that is written to can tell a late owner's write: let it know whose the job is. (consumer, deliveries) is the name of this
 * lease and of no other; a later lease of the same job has more deliveries (or as many, where this run ended before by a stop). So
 *     first: put the pair into the row of quern_job_id(), unless a pair with more deliveries is there: then the job is another's;
 *     later: make each write depend on it, in the same transaction: … WHERE job = id AND consumer = mine AND deliveries = mine.
 * quern_job_entry() will not do: a job that comes back is another entry. The count begins anew where somebody deletes the group and
 * its streams, or publishes the job again under the same id. A fence for effects that cannot be asked (a mail) does not exist. */

/* Why it failed: kept with the job's log line, notice and dead letter. The last call counts; cut at 1,000 bytes. */
QUERN_PUBLIC void quern_job_error(quern_job *job, const char *format, ...) QUERN_PRINTF(2, 3);

/* If it is to be tried again: after ms milliseconds (at most a year), whatever the policy says; the last call counts. Negative:
 * as the policy says. */
QUERN_PUBLIC void quern_job_retry_after(quern_job *job, int64_t ms);

/* What it produced, for the completed log. Copied; the last call counts. QUERN_E_FULL: over 64 KiB, nothing was kept. */
QUERN_PUBLIC int quern_job_result(quern_job *job, const void *bytes, size_t len);

/* How far it is, for those who look on: quern_pool_stats() and, where a journal is kept, other processes (quern top). percent: 0
 * to 100 (more counts as 100); negative or NaN: not known, as before the first call. note: a few words, NULL: the last ones stay.
 * The first 60 bytes are kept, whole characters; control characters and what is no UTF-8 become '?'. About a tenth of a
 * microsecond: no system call, no memory, and no reader holds it up. Also for a job that was pulled, until it is finished; of one
 * that is QUERN_PENDING quern_pool_progress() tells. In a child that a handler has forked nothing happens. */
QUERN_PUBLIC void quern_job_progress(quern_job *job, double percent, const char *note);

/* A name for the job by which any thread can finish it after the handler has returned QUERN_PENDING. */
QUERN_PUBLIC uint64_t quern_job_ticket(quern_job *job);

/* Finishes a pending job. Once, from any thread, also before its handler has returned. verdict: not QUERN_PENDING.
 * error (may be NULL) is copied. QUERN_E_GONE: it was finished before, or the ticket names no job of this pool. */
QUERN_PUBLIC int quern_pool_finish(quern_pool *pool, uint64_t ticket, quern_verdict verdict, const char *error);

/* quern_job_progress() by ticket, from any thread, also before the handler has returned. Of two calls at the same moment one may
 * be lost. QUERN_E_GONE: it was finished, or its time is over, or the ticket names no job of this pool. */
QUERN_PUBLIC int quern_pool_progress(quern_pool *pool, uint64_t ticket, double percent, const char *note);

/* For hosts with threads of their own. A handler whose run is quern_pulled (it is never called) makes the jobs of its event wait for
 * quern_pull(): as many as the pool has threads are held at most, one by each, and the rest stays for other processes. */
QUERN_PUBLIC quern_verdict quern_pulled(quern_job *job, void *thread, void *user);

/* Waits for a job, at most timeout_ms (0: looks; -1: for as long as it takes). It begins now: its timeout, and the functions above
 * may be used on one thread at a time, until quern_pool_finish(pool, quern_job_ticket(job), …), which ends it; its lease is
 * renewed meanwhile. Also one that was not finished within its timeout, and counts as failed by then (quern_job_lost() says so), is
 * to be finished: *job is lent until then, and its place is taken. What nobody has pulled goes back at a stop, at no cost, and holds
 * its thread till then: an event that nobody pulls keeps threads from others. What was pulled is waited for like any other job.
 * QUERN_E_TIMEOUT: none came; QUERN_E_GONE: the pool is stopping: pull no more. Any thread, several at once. */
QUERN_PUBLIC int quern_pull(quern_pool *pool, int64_t timeout_ms, quern_job **job, quern_error *error) QUERN_MUST_USE;

/* ── Publisher ─────────────────────────────────────────────────────────────────────────────────────────────────────
 * One connection, opened at first use; calls from several threads take turns. */

typedef struct {
    size_t size;       /* sizeof(quern_message) */
    const char *event; /* UTF-8, 1 to 256 bytes, no control characters */
    quern_bytes data;  /* JSON text; {NULL, 0}: an empty object */
    int is_raw;        /* data is raw bytes, not JSON */
    /* All that follows may be 0 or NULL. */
    int64_t delay_ms;     /* not before so many milliseconds are over, by Redis's clock; at most ten years */
    int64_t at_ms;        /* not before then: Unix milliseconds; past: now. Not together with delay_ms */
    int64_t expire_at_ms; /* Unix milliseconds: what no thread has taken until then is dead (expired) */
    const char *unique;   /* a job with this key is published once while its window is open; "" is refused */
    int64_t unique_ms;    /* how long that is; 0: the key unique_ms */
    const char *key; /* for the handler and other software: field "key", UTF-8 without control characters, 1 to 256 bytes */
} quern_message;

/* code: QUERN_OK it is in the stream, or will be at its time, or was there before; QUERN_E_FULL there is no room, as max_pending
 * says; QUERN_E_UNKNOWN it may be there; anything else it is not. */
typedef struct {
    int code;
    int is_duplicate; /* 1: its window was open: nothing was published, id and entry are those of the job that opened it */
    char id[40], entry[48]; /* entry: "" if it waits for its time */
    char created_at[40];    /* what timestamps say; its retries are 0 */
    int64_t due_ms;         /* Unix milliseconds, by Redis's clock; 0: at once */
    int dropped;            /* so many older jobs made room for it: on_max_pending drop_oldest */
} quern_receipt;

/* Would it be accepted? Judged as quern_publish() does, without any I/O: QUERN_OK, QUERN_E_ARGUMENT or QUERN_E_FULL. */
QUERN_PUBLIC int quern_message_check(const quern_config *config, const quern_message *message,
                                     quern_error *error) QUERN_MUST_USE;

/* For each message without a key of its own: gives the key it is to have (malloc'd; the library frees it), or NULL: it may be
 * there any number of times. Called in quern_publish() and quern_publish_async(), on the caller's thread, before any I/O; instead
 * of what the key unique_by says. */
QUERN_PUBLIC void quern_config_unique(quern_config *config, char *(*key_of)(void *user, const quern_message *message),
                                      void *user);

/* Reads the keys redis, stream, queues (of which stream then names one), group (created if it was set or max_pending is, and is missing), start, batch_size,
 * payload_max_bytes, json_depth_max, publish_ms, backoff_ms, backoff_max_ms, publish_marked, publish_shape, publish_queue_max,
 * publish_queue_bytes, unique_by, unique_ms, batch_ms, max_pending, on_max_pending and dead_letter_stream.
 * Copies the config; does not connect
 * yet. Gives. */
QUERN_PUBLIC quern_publisher *quern_publisher_open(const quern_config *config, quern_error *error) QUERN_MUST_USE;

/* QUERN_E_BUSY: a call is still inside, a batch is not freed, or a message of quern_publish_async() unanswered; nothing was
 * closed. NULL is allowed. */
QUERN_PUBLIC int quern_publisher_close(quern_publisher *publisher);

/* Publishes n messages in order (also those that wait for one time), in batches, and fills receipts[n] (may be NULL). All are
 * checked before any I/O: QUERN_E_ARGUMENT or QUERN_E_FULL then means that none was published (each receipt has that code), and
 * error names which. Waits at most publish_ms (0: one attempt), also for its turn; what the system takes to look up a host's name
 * is its own. Tries again meanwhile: a batch whose answer was lost is asked for by its marker, never sent twice. Where the time
 * is over before it is answered, the receipts of what was on its way (two batches at most; publish_marked false: one) say
 * QUERN_E_UNKNOWN. Other codes: some may be in the stream; the receipts say which. publish_marked false: what Redis refused when
 * it took something behind it is not tried again: it would come too late.
 *
 * Duplicates: of messages with one unique key, whoever publishes them, one is published while the window that it opens is open: until
 * unique_ms is over, whatever becomes of the job. What is not published opens none. Keys are those of the stream.
 * Bound: where max_pending jobs wait for the group, on_max_pending says what happens: the call ends with QUERN_E_FULL, or it tries
 * again until publish_ms is over, or the oldest that wait go to the dead letters (dropped). Jobs that wait for their time are not
 * counted. From the first message that finds no room on none is published: what is sent again keeps its order. */
QUERN_PUBLIC int quern_publish(quern_publisher *publisher, const quern_message *messages, size_t n, quern_receipt *receipts,
                               quern_error *error) QUERN_MUST_USE;

/* Batches: jobs that have a closing job in common. It is published once, when all of them have ended in the publisher's group
 * (key group): each is done or dead by then, whoever ran it, however often it was tried. It goes to that group alone, and its
 * id is the batch's. Its data is that of then, a JSON object (NULL: an empty one), with one more member:
 *     "batch": {"id", "published" (jobs that were), "done", "dead", "open" (not ended when its time was over), "complete"}
 * complete is false where some are open, or the publisher has not sealed the batch. Jobs may be for later, keyed, or expire. A
 * duplicate (its receipt says so) is not of the batch: it is another's job. Dead are also those that are cancelled, purged or
 * dropped before they ran (by somebody whose key group is the same; what is purged as "waiting" stays open).
 * A batch's time is batch_ms from the seal on, and before that ten minutes from its last call on, or twice publish_ms if that is
 * longer: so one whose publisher has died ends too. */

/* A batch of this publisher's, which is not closed as long as there is one. then: the closing job: an event, perhaps a key or
 * expire_at_ms; copied; its counts must fit into payload_max_bytes. id (may be NULL): gets the batch's id. Publishes nothing
 * yet, does not wait. Gives; NULL: QUERN_E_ARGUMENT or QUERN_E_FULL, as of quern_message_check(), or data that "batch" cannot
 * be put into, a time, a unique key; QUERN_E_MEMORY. A batch belongs to one thread at a time. */
QUERN_PUBLIC quern_batch *quern_batch_open(quern_publisher *publisher, const quern_message *then, char id[40],
                                           quern_error *error) QUERN_MUST_USE;

/* Publishes more of its jobs, as quern_publish() does: the same checks, receipts, waits and codes. QUERN_E_GONE: none was
 * published: its time was over, it is sealed, or the first call of all has ended with QUERN_E_UNKNOWN. */
QUERN_PUBLIC int quern_batch_add(quern_batch *batch, const quern_message *messages, size_t n, quern_receipt *receipts,
                                 quern_error *error) QUERN_MUST_USE;

/* No more will come. Where all have ended by then, or there is none, the closing job goes at once. Waits as quern_publish().
 * May be called again where it has failed. QUERN_E_GONE: it is over: its closing job is published. */
QUERN_PUBLIC int quern_batch_seal(quern_batch *batch, quern_error *error) QUERN_MUST_USE;

/* Frees it. One that was not sealed ends when its time is over, and is not complete. NULL is allowed. */
QUERN_PUBLIC void quern_batch_free(quern_batch *batch);

/* All of it in one call: opens, publishes n messages (0: the closing job goes at once) and seals. Up to 64 small messages are
 * one step in Redis: all are published or none. On failure the batch is not sealed, or, after QUERN_E_UNKNOWN, may be: the
 * receipts say what is there. */
QUERN_PUBLIC int quern_publish_batch(quern_publisher *publisher, const quern_message *messages, size_t n,
                                     const quern_message *then, quern_receipt *receipts, char id[40],
                                     quern_error *error) QUERN_MUST_USE;

/* Publishes without waiting: the message is copied, a thread of the publisher's own publishes it, in order and in batches, and done
 * (may be NULL) is told what quern_publish() would have said of it; exactly once, also where it could not be published. What is
 * wrong with the message, or a queue that is full, is said at once, and done is not called then: QUERN_E_ARGUMENT, QUERN_E_FULL
 * (publish_queue_max, publish_queue_bytes, or over payload_max_bytes), QUERN_E_MEMORY. done runs on that thread, one at a time, and may
 * call anything but quern_publisher_flush() and quern_publisher_close(). Any thread; never waits for Redis. */
QUERN_PUBLIC int quern_publish_async(quern_publisher *publisher, const quern_message *message,
                                     void (*done)(void *user, const quern_receipt *receipt), void *user,
                                     quern_error *error) QUERN_MUST_USE;

/* For event loops: a descriptor that is readable while answers wait (never read it). From this call on, done is called in
 * quern_publisher_dispatch() only, on its thread. Lends until the publisher is closed; -1: no descriptor to be had. Never waits. */
QUERN_PUBLIC int quern_publisher_fd(quern_publisher *publisher);

/* Calls done for each message that was answered; returns how many there were. Any thread, one at a time. Never waits. */
QUERN_PUBLIC size_t quern_publisher_dispatch(quern_publisher *publisher);

/* Waits until all that was published by quern_publish_async() is answered, and each done has returned; at most timeout_ms (-1: for
 * as long as it takes). QUERN_E_TIMEOUT: some is not yet; QUERN_E_BUSY: answers wait for quern_publisher_dispatch();
 * QUERN_E_ARGUMENT: called in done, or by an observer that is told of what was published so. */
QUERN_PUBLIC int quern_publisher_flush(quern_publisher *publisher, int64_t timeout_ms, quern_error *error) QUERN_MUST_USE;

/* ── Waiting for what was published ────────────────────────────────────────────────────────────────────────────────
 * What jobs came to is read in Redis, from the group's completed log (completed_max must be set where its jobs run) and from the
 * dead letters: a waiter has a connection of its own. One call at a time. */

/* Notes where both end now: open it before you publish, and nothing that ends between the two is missed. Reads the keys redis,
 * stream, group, queues (of which stream then names one), dead_letter_stream, connect_ms, backoff_ms, backoff_max_ms, unique_ms and
 * delivery. Waits at most connect_ms for the
 * connection (0: five seconds). Errors as those of looks (below). Gives; NULL: see error. */
QUERN_PUBLIC quern_waiter *quern_waiter_open(const quern_config *config, quern_error *error) QUERN_MUST_USE;

/* Waits until each of these jobs has ended, however often it is retried and also if it waits for its time; at most timeout_ms (0: looks;
 * -1: for as long as it takes), through lost connections. A list of objects in the order of the receipts: id, outcome, event, retries,
 * result, reason, error, consumer, letter (its entry in the dead letters), wait_ms, run_ms, finished_at; null where that is not known.
 * Texts that are no UTF-8 are null, and in hex under their name and "_hex". outcome:
 *   "done"     with its result, as the completed log has it
 *   "dead"     with reason, error and letter
 *   "unknown"  it is nowhere before the group any more, and has no record: error says why; the group keeps no log, most often. That is
 *              seen by a look at all its places, 0.25 to 5 s apart, and not for a job among more than a thousand that wait for retries,
 *              nor with delivery "at-most-once"
 *   "open"     it had not ended in time; ask again: nothing is forgotten
 * A duplicate's receipt (is_duplicate) names the job that opened its window: what that came to is told, also if it is long past, while
 * the log still has it. Each call reads from where the waiter was opened: open another one for later jobs. Rights as for looks, and
 * +xread +eval +evalsha +hexists +hscan. NULL: QUERN_E_ARGUMENT: a receipt of what was not published; QUERN_E_CONNECT and
 * others as those of looks: also when the time was over. Gives. */
QUERN_PUBLIC char *quern_waiter_wait(quern_waiter *waiter, const quern_receipt *receipts, size_t n, int64_t timeout_ms,
                                     quern_error *error) QUERN_MUST_USE;

/* NULL is allowed. */
QUERN_PUBLIC void quern_waiter_close(quern_waiter *waiter);

/* ── Looking into a queue ──────────────────────────────────────────────────────────────────────────────────────────
 * What Redis knows of a stream and a group, whoever works for it. Each call reads the keys redis, stream, group, queues (of which
 * stream then names one), dead_letter_stream and connect_ms, opens a connection of its own and gives JSON text; NULL: see error. It only reads, with
 * commands that a user of Redis needs no other right for: +xinfo +xpending +xrange +xrevrange +xlen +zcard +zrange +smembers +exists +type
 * +time +info +select +client|setname +client|id. Any thread, nothing is shared. Waits at most connect_ms for
 * the connection (0: five seconds), and ten seconds for each answer. Numbers change while they are read: those of one text need not add up.
 * Texts in a job that are no UTF-8 are null, and in hex under their name and "_hex".
 * Errors: QUERN_E_GONE: there is no such stream; _CONFIG, _CONNECT, _AUTH (rights), _SERVER (a key of another type), _TIMEOUT,
 * _MEMORY. A group that is missing is no error: it has nothing. */

/* An object: stream, group, has_group; waiting (unread in the stream and in the group's retry stream; null: waiting_at_least or
 * more, Redis cannot tell, or there is no group), waiting_at_least; running (processes hold them); delayed (retries that wait for
 * their time), next_due_ms (null: none); scheduled (jobs of the stream that were published for later); alone (jobs that may have ended a process: each runs with nothing else beside it); dead,
 * completed, length (entries of those streams); batches (of the group, that are open);
 * done_per_s (settled jobs, whatever became of them, between two looks that are
 * sample_ms apart; null: one look, or Redis has lost count), published_per_s (entries that came into the stream meanwhile;
 * likewise); oldest_waiting_ms, oldest_held_ms (how long ago the oldest came into its stream; null: none); processes: a list of
 * {consumer, held, idle_ms}; paused: events that quern_queue_pause() has paused ("*": all). sample_ms: 0 (looks once) to an hour, and waits as long; else QUERN_E_ARGUMENT. */
QUERN_PUBLIC char *quern_queue_stats(const quern_config *config, int64_t sample_ms, quern_error *error) QUERN_MUST_USE;

/* A list of the jobs that processes hold, oldest entries first, at most max: {entry, stream (the key it lies in), consumer, idle_ms
 * (since it was handed out or renewed), deliveries, id, event, retries, age_ms (since it was published)}; the last
 * four are null where the entry has been deleted, and retries where it is no job. */
QUERN_PUBLIC char *quern_queue_pending(const quern_config *config, size_t max, quern_error *error) QUERN_MUST_USE;

/* A list of the dead letters, of all groups, newest first, at most max: {entry, id, original_id, original_event, reason, group,
 * retries, deliveries, error, died_at}. What a letter does not tell, as one that other software wrote, is null. */
QUERN_PUBLIC char *quern_queue_dead(const quern_config *config, size_t max, quern_error *error) QUERN_MUST_USE;

/* One letter whole: the object above, with fields (a list of {name, value}) and data (its JSON as it was written; null: it is
 * none, and among the fields). id: of its entry ("1700000000000-0"), its own, or that of the job it is about; the newest that
 * matches. Looks through all letters for it. QUERN_E_GONE: there is none. */
QUERN_PUBLIC char *quern_queue_letter(const quern_config *config, const char *id, quern_error *error) QUERN_MUST_USE;

/* The jobs at one place, at most max; each row has the job's id, event, retries, age_ms (since it was published) and data (its
 * JSON as it was written; else null, and in hex as data_hex), null where that is not known. what:
 *   "waiting"    unread by the group: of the stream, then of its retry stream, oldest first; and entry, stream (its key)
 *   "alone"      to run with nothing else beside them, or running so, oldest first; and entry, stream
 *   "delayed"    retries that wait for their time, first due first; and entry (where they came from), due_ms (from now), due_at
 *   "scheduled"  published for later, to the stream (all groups), first due first; and due_ms, due_at
 *   "batches"    of the group, that are open, first closed first: {id, wanted (jobs its publisher has given so far), published,
 *                done, dead, open, sealed, deadline_ms (from now), deadline_at}
 *   "completed"  the group's log, newest first: {entry, id, event, result, retries, wait_ms, run_ms, consumer, finished_at}
 *   "running"    as quern_queue_pending()
 *   "dead"       as quern_queue_dead()
 * Also needs the right +hmget. What moves meanwhile may be missing, or be there twice. QUERN_E_ARGUMENT: no such place;
 * QUERN_E_GONE: no such stream, or the list is of a group that is not there. */
QUERN_PUBLIC char *quern_queue_peek(const quern_config *config, const char *what, size_t max,
                                    quern_error *error) QUERN_MUST_USE;

/* Is anything wrong with the server, the queue or the group, and what is to be done? An object: redis (without password),
 * server ("Redis", "Valkey"), version (null: not told), queues: a list of {stream, group}, all that the configuration has;
 * findings: a list, worst first, of {level: "error" (jobs are lost, or nothing goes on), "warning" (they may be, or it goes badly) or
 * "note", check (a name that stays: the README lists them), stream (null: it is about the server), found (what, in words),
 * what_to_do}. Reads also lease_ms, reap_ms, trim, required_groups and ignored_groups. With the right +config|get it sees more; what
 * it may not look at is a note. A stream or a group that is missing, and keys of another type, are findings. */
QUERN_PUBLIC char *quern_queue_doctor(const quern_config *config, quern_error *error);

/* What the server of the key redis says of itself, and how far it is. An object: redis (without password), product, version, cluster,
 * role ("master", "slave"), uptime_s, used_cpu_us, main_thread_cpu_us (of these; it alone runs commands), used_memory_bytes,
 * maxmemory_bytes (0: no bound), each null where it is not told; clock_ahead_ms (its clock before this machine's), round_trip_us (the
 * median of up to 200 short questions, half a second at most). */
QUERN_PUBLIC char *quern_server_facts(const quern_config *config, quern_error *error);

/* What runs on this machine, whatever queue it is of, as the crash journals in journal_dir say: those of other processes of the
 * same user that live (of the calling one quern_pool_stats() knows). Asks no Redis, never waits. A list of {pid, consumer,
 * stopping, jobs: a list of running_jobs as in quern_pool_stats(), each also with thread_cpu_ms (all that its thread has used;
 * null: not known)}. A folder that is not there holds none. QUERN_E_CONFIG: journal_dir is not set, or cannot be read. */
QUERN_PUBLIC char *quern_machine_jobs(const quern_config *config, quern_error *error) QUERN_MUST_USE;

/* ── Repairing a queue ─────────────────────────────────────────────────────────────────────────────────────────────
 * What an operator does, from outside, while pools work: never to a job that runs (is pending). As above: the same keys, a
 * connection of its own, JSON text; NULL: see error. Each step is looked at and done at once in Redis, bounded to a few
 * milliseconds, and written before anything is deleted: after a lost answer (QUERN_E_UNKNOWN) the same call goes on, and does
 * nothing twice (QUERN_E_GONE: it was done). Any thread. Rights beyond those for looking: +eval +evalsha, and +xadd +xdel
 * (replay), +xtrim +xdel +unlink +xgroup|setid (purge), +unlink +xgroup|destroy (remove), +zscan +zscore +zrem +hget +hdel
 * (cancel; of jobs that are of batches, and to purge them, +hmget +hincrby +xadd, too);
 * QUERN_E_AUTH names what is missing. All answers have stream, group and dry_run. */
enum quern_repair {
    QUERN_DRY_RUN = 1, /* nothing changes: the answer says what would */
    QUERN_FORCE = 2    /* quern_queue_remove_group() and _remove_stream() only */
};

/* Which dead letters; NULL and 0: all of them, as fast as it goes. */
typedef struct {
    size_t size;                /* sizeof(quern_replay) */
    const char *id;             /* of the letter's entry, its own, or that of the job it is about */
    const char *event, *reason; /* the job's event; why it is dead */
    size_t limit;               /* at most so many */
    unsigned per_s;             /* at most so many per second, a tenth of a second's worth at a time */
} quern_replay;

/* Makes jobs of dead letters, oldest first, as they were (id, event, data, timestamps, a publisher's other fields, but for
 * expire_at) and with a fresh budget: no retries, no deliveries. Each goes into the retry stream of the group that it died in,
 * and its letter is deleted in the same step; of one without a group, as other software writes them, into the stream, where every
 * group reads it. What dies again meanwhile is left. Of a stream of letters that several streams share, those of this one. The
 * call takes as long as all of them do: per_s 10 and 10,000 letters are a quarter of an hour. An object: dead_letters (the key),
 * replayed, to_stream (of these), gone (somebody else was faster), and of those that stay: without_group (it is not there any
 * more), unreadable (no job can be made of it), failed (Redis could not write it; failed_because). QUERN_E_GONE: id was given,
 * and there is none. */
QUERN_PUBLIC char *quern_queue_replay(const quern_config *config, const quern_replay *which, unsigned flags,
                                      quern_error *error) QUERN_MUST_USE;

/* Empties one place: "waiting" (the group passes over it: other groups still get it; what waits in its own retry stream is
 * deleted), "delayed", "scheduled" (of the stream), "dead" (the whole stream of letters, of all groups), "completed". An object:
 * what, purged (null: Redis has lost count, and it was more than purged_at_least), purged_at_least. QUERN_E_ARGUMENT: no such
 * place; QUERN_E_GONE: no such stream or group. */
QUERN_PUBLIC char *quern_queue_purge(const quern_config *config, const char *what, unsigned flags,
                                     quern_error *error) QUERN_MUST_USE;

/* Removes the group with all that is only its own: its retries, its completed log; dead letters stay. A pool that still works for
 * it makes it again. An object: removed, and what it had: pending, processes, retry, alone, delayed, batches. QUERN_E_BUSY: jobs
 * are pending or wait in keys of its own (retry, alone, delayed), batches are open, or a process was seen within ten lease_ms;
 * QUERN_FORCE removes it all the same. QUERN_E_GONE: no such group. */
QUERN_PUBLIC char *quern_queue_remove_group(const quern_config *config, unsigned flags, quern_error *error) QUERN_MUST_USE;

/* Removes the stream itself, with what all of its groups share (dead letters, unless dead_letter_stream names their stream; scheduled
 * jobs), once it has no group any more. An object: removed, and what it had: length, dead, scheduled. QUERN_E_BUSY: it has a group
 * (QUERN_FORCE does not help: remove that first), or holds something; QUERN_FORCE removes it all the same. QUERN_E_GONE: there is
 * nothing of that name. The right +unlink. */
QUERN_PUBLIC char *quern_queue_remove_stream(const quern_config *config, unsigned flags, quern_error *error);

/* Cancels the jobs with this id. Those that are scheduled in the stream, or delayed in the group, are taken out at once: there may be
 * several; looks through all that is delayed. If there is none, the id is marked for the group: a job that came into the stream before
 * and waits does not start (its dead letter says cancelled), one that runs is told by quern_job_cancelled(), and is not tried again
 * whatever it comes to; each process knows it within half a second. A mark is kept for seven days, and means nothing to what is
 * published or replayed later. An object: id, cancelled, scheduled, delayed (of these), marked. QUERN_E_GONE: no such group;
 * QUERN_E_FULL: 10,000 are marked. Also needs +zcard +zadd. */
QUERN_PUBLIC char *quern_queue_cancel(const quern_config *config, const char *id, unsigned flags,
                                      quern_error *error) QUERN_MUST_USE;

/* Has no process of the group start jobs of this event (NULL: any) until quern_queue_resume(), whoever starts or stops meanwhile: each
 * knows it within half a second. What runs goes on. Jobs that were fetched go back at no cost, and are looked at again after 10 to 20
 * seconds; where all are paused none is read. At most 256 events, and all of them. An object: changed (false: it was so already),
 * paused (a list of what is paused now; "*": all). QUERN_E_GONE: no such group; _ARGUMENT, _FULL. Rights: +scard +sadd +smembers
 * +sismember. */
QUERN_PUBLIC char *quern_queue_pause(const quern_config *config, const char *event, unsigned flags, quern_error *err);

/* The other way round; NULL: all that was paused. Rights: +srem +del +smembers +sismember. */
QUERN_PUBLIC char *quern_queue_resume(const quern_config *config, const char *event, unsigned flags, quern_error *err);

/* ── Module ────────────────────────────────────────────────────────────────────────────────────────────────────────
 * A shared object that `quern run` loads exports one of these: const quern_module quern_module_entry = {…}; */
typedef struct {
    unsigned abi; /* QUERN_MODULE_ABI */
    size_t size;  /* sizeof(quern_module) */
    const char *name;
    /* Fills run, thread_open, thread_close and user of handler for one configured worker; event is set already. options_json:
     * its "options" object as text, "{}" where there are none; lent. QUERN_E_CONFIG with error's text: say which key is wrong. */
    int (*open)(const char *options_json, quern_handler *handler, quern_error *error);
    void (*close)(quern_handler *handler); /* after the pool has been freed */
} quern_module;

#ifdef __cplusplus
}
#endif
#endif
