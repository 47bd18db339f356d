/* SPDX-License-Identifier: MIT */
#include "blame/blame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "blame/judge.h"
#include "job/consumers.h"
#include "wire/errors.h"
#include "wire/pending.h"
#include "wire/script.h"

enum { PAGE = SCRIPT_MOVES_MAX, HOW_MAX = 64 + JOURNAL_TRACE };
enum letter { MOVED = 'm', KEPT = 'k', STUCK = 'e', NOT_YET = 'n', GONE = 'g' };

struct inquest {
    struct conn *conn;
    const struct journal *journal;
    uint32_t queue; /* of the journal's sources, which is looked at */
    struct source source;
    struct case_facts facts;
    const struct record **ran; /* those of the journal that are not empty */
    uint32_t ran_count;
    const char *ended;
    struct blame_sums *sums;
};

/* ── one row ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct record *record_of(const struct inquest *inquest, enum lane lane, const struct pending_row *row)
{
    for (uint32_t i = 0; i < inquest->ran_count; i++) {
        const struct record *record = inquest->ran[i];
        /* Not by the delivery: a lease that was granted anew is the same job's. */
        if (record->origin == LANES * inquest->queue + lane && entry_id_compare(record->entry, row->id) == 0) return record;
    }
    return NULL;
}

static enum blame blame_of(const struct inquest *inquest, enum lane lane, const struct pending_row *row)
{
    return judge(&inquest->facts, record_of(inquest, lane, row));
}

/* "SIGSEGV" and where, "exit(3)", or what the parent knows. */
static void write_how(const struct inquest *inquest, const struct record *record, char how[HOW_MAX])
{
    const char *trace = inquest->journal->trace;
    how[0] = 0;
    if (atomic_load(&record->state) != RECORD_NAMED)
        snprintf(how, HOW_MAX, "%s", inquest->ended ? inquest->ended : "");
    else if (record->signal < 0)
        snprintf(how, HOW_MAX, "exit(%d)", -record->signal - 1);
    else
        snprintf(how, HOW_MAX, "SIG%s\n%.*s", sigabbrev_np(record->signal) ? sigabbrev_np(record->signal) : "?",
                 (int)strnlen(trace, JOURNAL_TRACE), trace);
}

static void put_row(const struct inquest *inquest, enum lane lane, const struct pending_row *row)
{
    char id[ENTRY_ID_SIZE], how[HOW_MAX] = "";
    enum blame blame = blame_of(inquest, lane, row);
    if (blame == BLAME_CERTAIN || blame == BLAME_ALONE) write_how(inquest, record_of(inquest, lane, row), how);
    conn_arg(inquest->conn, id, entry_id_text(row->id, id));
    conn_arg_number(inquest->conn, row->deliveries);
    conn_arg(inquest->conn, (char[]){(char)blame}, 1);
    conn_arg_text(inquest->conn, how);
}

/* ── a call ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int ask(const struct inquest *inquest, enum lane lane, const struct pending_row *rows, size_t count,
               const struct reply **reply, quern_error *err)
{
    const struct source *source = &inquest->source;
    struct conn *conn = inquest->conn;
    script_begin(conn, &script_blame, 4, 5 + 4 * count);
    conn_arg_text(conn, source_key(source, lane));
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->alone);
    conn_arg_text(conn, source->crashes);
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, inquest->journal->head->consumer);
    conn_arg_number(conn, lane != LANE_STREAM);
    conn_arg_number(conn, SCRIPT_BYTES);
    conn_arg_number(conn, inquest->journal->head->alone_after);
    for (size_t i = 0; i < count; i++) put_row(inquest, lane, &rows[i]);
    return script_ask(conn, &script_blame, conn_answer_deadline(conn), reply, NULL, err);
}

static void count(struct blame_sums *sums, enum blame blame, char letter)
{
    if (letter == STUCK) sums->stuck++;
    if (letter == GONE) sums->deleted++;
    if (letter != MOVED) return;
    if (blame == BLAME_SUSPECT)
        sums->suspects++;
    else if (blame == BLAME_CERTAIN || blame == BLAME_ALONE)
        sums->guilty++;
    else
        sums->released++;
}

/* How many of the rows were dealt with: at least one. */
static int move(const struct inquest *inquest, enum lane lane, const struct pending_row *rows, size_t n, size_t *moved,
                quern_error *err)
{
    const struct reply *reply;
    int code = ask(inquest, lane, rows, n, &reply, err);
    if (code) return code;
    quern_bytes letters = reply_bytes(reply);
    if (letters.len != n) return err_set(err, QUERN_E_SERVER, "script blame answered for %zu of %zu entries", letters.len, n);
    for (*moved = 0; *moved < n && letters.at[*moved] != NOT_YET; ++*moved)
        count(inquest->sums, blame_of(inquest, lane, &rows[*moved]), letters.at[*moved]);
    return QUERN_OK;
}

static int move_lane(const struct inquest *inquest, enum lane lane, quern_error *err)
{
    struct pending_row rows[PAGE];
    struct pending_page page = {
        source_key(&inquest->source, lane), inquest->source.group, inquest->journal->head->consumer, {0, 0}};
    for (;;) {
        size_t n, moved = 0;
        int code = pending_read(inquest->conn, &page, rows, PAGE, &n, err);
        if (code == QUERN_E_GONE) return QUERN_OK; /* no such stream or group: nothing is pending */
        if (code || !n) return code;
        if ((code = move(inquest, lane, rows, n, &moved, err))) return code;
        if (!moved) return err_set(err, QUERN_E_SERVER, "script blame has moved nothing");
        page.after = rows[moved - 1].id;
    }
}

/* What the process had sent before it died may lie unread in its connections: a read would be answered, to nobody, after we have looked. A
 * server takes what all its connections have before it comes back to ours, so two questions of no weight let it go first. (What is still
 * on its way from another machine comes back when its lease is over.) */
static int let_it_finish(struct conn *conn, quern_error *err)
{
    const struct reply *reply;
    int code = QUERN_OK;
    for (int i = 0; i < 2 && !code; i++) {
        conn_command(conn, "PING", NULL);
        code = conn_ask(conn, &reply, err);
    }
    return code;
}

static int inquire_queue(struct inquest *inquest, quern_error *err)
{
    const struct journal_head *head = inquest->journal->head;
    const struct journal_source *of = &head->sources[inquest->queue];
    int code = source_open(&inquest->source, of->stream, of->group, NULL, err);
    for (enum lane lane = 0; lane < LANES && !code; lane++) code = move_lane(inquest, lane, err);
    if (!code) code = consumers_leave(inquest->conn, &inquest->source, head->consumer, err);
    source_close(&inquest->source);
    return code;
}

static int inquire(struct inquest *inquest, quern_error *err)
{
    const struct journal *journal = inquest->journal;
    for (uint32_t i = 0; i < journal->head->count; i++)
        if (atomic_load(&journal->records[i].state) != RECORD_EMPTY) inquest->ran[inquest->ran_count++] = &journal->records[i];
    int code = let_it_finish(inquest->conn, err), refused = QUERN_OK;
    for (inquest->queue = 0; inquest->queue < journal->head->source_count && !code; inquest->queue++) {
        quern_error why;
        code = inquire_queue(inquest, &why);
        if (code) *err = why;
        if (error_is_refusal(code)) refused = code, code = QUERN_OK; /* what was held of the others goes back all the same */
    }
    return code ? code : refused;
}

int blame_settle(struct conn *conn, const struct journal *journal, const char *ended, struct blame_sums *sums, quern_error *err)
{
    struct inquest inquest = {.conn = conn, .journal = journal, .facts = judge_facts(journal), .ended = ended, .sums = sums};
    inquest.ran = malloc((journal->head->count + 1) * sizeof *inquest.ran);
    if (!inquest.ran) return err_set(err, QUERN_E_MEMORY, "no memory to read a crash journal");
    int code = inquire(&inquest, err);
    free(inquest.ran);
    return code;
}

void blame_tell_deleted(struct log *log, const char *consumer, const struct blame_sums *sums)
{
    if (!sums->deleted) return;
    log_event(
        log, LOG_WARNING, "pending_deleted", LOG_INT("entries", sums->deleted), LOG_TEXT("consumer", consumer),
        LOG_TEXT("why", "somebody has deleted them from the stream while a process that has died held them: they are lost"));
}

void blame_tell(struct log *log, const char *consumer, const struct blame_sums *sums)
{
    log_event(log, LOG_WARNING, "crash_settled", LOG_TEXT("consumer", consumer), LOG_INT("released", sums->released),
              LOG_INT("suspects", sums->suspects), LOG_INT("blamed", sums->guilty), LOG_INT("stuck", sums->stuck),
              LOG_TEXT("then", "suspects and blamed ones run with nothing else beside them"));
    blame_tell_deleted(log, consumer, sums);
}
