/* SPDX-License-Identifier: MIT */

/* repair/replay: dead letters become jobs again.
 * Idea       a page of letters is read, oldest first; those that are asked for become parcels, which one call of the script
 *            writes to where they belong and deletes the letters of, each only if it is still there. Pages grow and shrink with
 *            the letters' size, so that a call stays short. What dies again meanwhile lies behind the last letter of the start,
 *            and is left.
 * Threads    the caller's. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "inspect/show.h"
#include "repair/parcel.h"
#include "repair/repair.h"
#include "wire/errors.h"

enum { TICKS_PER_S = 10, PAGE_BYTES = 256 * 1024 /* each letter is copied half a dozen times */ };

struct replay {
    const quern_replay *what;
    unsigned flags;
    struct look look;
    struct entry_id at, last; /* behind which the next page begins; the last letter of the start */
    size_t page;              /* how many letters are read at once */
    bool is_cut;              /* the last page held more than there was room for */
    int64_t began_ns;
    /* the letters of a page that are asked for, and whose they are */
    struct parcel parcels[SCRIPT_MOVES_MAX];
    size_t keys[SCRIPT_MOVES_MAX]; /* 0: the stream, else the groups[key - 1] */
    size_t count;
    char *groups[SCRIPT_MOVES_MAX];
    size_t groups_count;
    /* what has become of them */
    size_t matched;
    int64_t replayed, to_stream, gone, without_group, unreadable, failed;
    char why[200]; /* of the first that failed */
};

static bool is_dry(const struct replay *replay)
{
    return (replay->flags & QUERN_DRY_RUN) != 0;
}

static int no_memory(quern_error *err)
{
    return err_set(err, QUERN_E_MEMORY, "no memory for letters");
}

/* ── which letters ───────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_wanted(const struct replay *replay, const struct sheet *sheet)
{
    const quern_replay *what = replay->what;
    quern_bytes stream = sheet_text(sheet, "stream"), id = bytes_of(what->id);
    if (stream.at && !bytes_is(stream, replay->look.source.stream)) return false; /* they share a stream of letters */
    if (what->event && !sheet_says(sheet, "original_event", bytes_of(what->event)) &&
        !bytes_is(sheet->message.event, what->event)) /* of one whose record does not tell, the letter itself does */
        return false;
    if (what->reason && !sheet_says(sheet, "reason", bytes_of(what->reason))) return false;
    return !id.at || bytes_equal(sheet->entry.id_text, id) || bytes_equal(sheet->message.id, id) ||
           sheet_says(sheet, "original_id", id);
}

/* The place of a letter's group in groups, from 1; 0: it has none; -1: no memory. No group's name has a NUL inside. */
static int group_of(struct replay *replay, const struct sheet *sheet)
{
    quern_bytes group = sheet_text(sheet, "group");
    if (!group.at) return 0;
    for (size_t i = 0; i < replay->groups_count; i++)
        if (bytes_is(group, replay->groups[i])) return (int)i + 1;
    char *copy = bytes_copy(group);
    if (!copy) return -1;
    replay->groups[replay->groups_count++] = copy;
    return (int)replay->groups_count;
}

static int take_letter(struct replay *replay, const struct sheet *sheet, quern_error *err)
{
    quern_bytes group = sheet_text(sheet, "group");
    bool is_named = !group.at || !memchr(group.at, 0, group.len);
    int key = is_named ? group_of(replay, sheet) : 0;
    if (key < 0) return no_memory(err);
    struct parcel *parcel = &replay->parcels[replay->count];
    int code = parcel_pack(parcel, sheet, key > 0, replay->look.now_ms);
    replay->matched++;
    if (!code && is_named) {
        replay->keys[replay->count++] = (size_t)key;
        return QUERN_OK;
    }
    parcel_free(parcel);
    if (code == QUERN_E_MEMORY) return no_memory(err);
    replay->unreadable++;
    return QUERN_OK;
}

static size_t room_of(const struct replay *replay)
{
    size_t limit = replay->what->limit;
    size_t done = (size_t)replay->replayed + replay->count;
    return !limit ? SIZE_MAX : limit > done ? limit - done : 0;
}

static size_t bytes_in(const struct reply *fields)
{
    size_t bytes = 0;
    for (uint32_t i = 0; fields->type == REPLY_ARRAY && i < fields->count; i++) bytes += reply_bytes(&fields->items[i]).len;
    return bytes;
}

/* What was read tells how many fit the next page. */
static void size_page(struct replay *replay, const struct reply *page)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < page->count; i++) bytes += bytes_in(reply_item(&page->items[i], 1));
    if (bytes > PAGE_BYTES)
        replay->page = PAGE_BYTES * (size_t)page->count / bytes;
    else if (bytes < PAGE_BYTES / 4)
        replay->page *= 2;
    if (!replay->page) replay->page = 1;
    if (replay->page > SCRIPT_MOVES_MAX) replay->page = SCRIPT_MOVES_MAX;
}

/* Takes the letters of a page, as long as there is room, also in one call of the script: behind small ones there may be large ones. */
static int take_page(struct replay *replay, const struct reply *page, quern_error *err)
{
    size_t bytes = 0;
    replay->is_cut = false;
    for (uint32_t i = 0; i < page->count; i++) {
        if ((replay->is_cut = !room_of(replay) || bytes > PAGE_BYTES)) break;
        struct sheet sheet;
        if (!sheet_open(&sheet, &page->items[i]))
            return err_set(err, QUERN_E_SERVER, "XRANGE answered something that is no entry");
        replay->at = sheet.entry.id;
        bool wants = is_wanted(replay, &sheet);
        int code = wants ? take_letter(replay, &sheet, err) : QUERN_OK;
        bytes += wants ? bytes_in(sheet.entry.fields) : 0;
        sheet_close(&sheet);
        if (code) return code;
    }
    return QUERN_OK;
}

/* ── one call ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Without memory it is empty, and the script refuses it. */
static void put_retry_key(const struct replay *replay, const char *group)
{
    char *key = NULL;
    if (asprintf(&key, "%s:%s:retry", replay->look.source.stream, group) < 0) key = NULL;
    conn_arg_text(replay->look.conn, key ? key : "");
    free(key);
}

static void put_parcel(const struct replay *replay, const struct parcel *parcel, size_t key)
{
    struct conn *conn = replay->look.conn;
    size_t n = is_dry(replay) ? 0 : parcel->count;
    const char *at = parcel->bytes;
    conn_arg_text(conn, parcel->entry);
    conn_arg_number(conn, (int64_t)key + 2);
    conn_arg_number(conn, (int64_t)n);
    for (size_t i = 0; i < n; at += parcel->lens[i++]) conn_arg(conn, at, parcel->lens[i]);
}

static void put_call(const struct replay *replay)
{
    struct conn *conn = replay->look.conn;
    size_t args = 1 + replay->groups_count;
    for (size_t i = 0; i < replay->count; i++) args += 3 + (is_dry(replay) ? 0 : replay->parcels[i].count);
    script_begin(conn, &script_replay, 2 + replay->groups_count, args);
    conn_arg_text(conn, replay->look.source.dead);
    conn_arg_text(conn, replay->look.source.stream);
    for (size_t i = 0; i < replay->groups_count; i++) put_retry_key(replay, replay->groups[i]);
    conn_arg_number(conn, is_dry(replay));
    for (size_t i = 0; i < replay->groups_count; i++) conn_arg_text(conn, replay->groups[i]);
    for (size_t i = 0; i < replay->count; i++) put_parcel(replay, &replay->parcels[i], replay->keys[i]);
}

static int take_statuses(struct replay *replay, const struct reply *reply, quern_error *err)
{
    quern_bytes letters = reply_bytes(reply_item(reply, 0)), why = reply_bytes(reply_item(reply, 1));
    if (letters.len != replay->count) return err_set(err, QUERN_E_SERVER, "replay: the script answered something else");
    for (size_t i = 0; i < letters.len; i++) {
        replay->replayed += letters.at[i] == 'r';
        replay->to_stream += letters.at[i] == 'r' && replay->keys[i] == 0;
        replay->gone += letters.at[i] == 'g';
        replay->without_group += letters.at[i] == 'n';
        replay->failed += letters.at[i] == 'e';
    }
    if (!why.len || replay->why[0]) return QUERN_OK;
    snprintf(replay->why, sizeof replay->why, "%.*s", (int)why.len, why.at);
    struct error_meaning meaning = error_meaning(why);
    return meaning.code == QUERN_E_AUTH ? err_set(err, QUERN_E_AUTH, "%s", replay->why) : QUERN_OK;
}

static void drop_parcels(struct replay *replay)
{
    while (replay->count) parcel_free(&replay->parcels[--replay->count]);
    while (replay->groups_count) free(replay->groups[--replay->groups_count]);
}

static int send_parcels(struct replay *replay, quern_error *err)
{
    const struct reply *reply;
    if (!replay->count) return QUERN_OK;
    put_call(replay);
    int code = repair_ask(&replay->look, &script_replay, replay->flags, &reply, err);
    return code ? code : take_statuses(replay, reply, err);
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int read_page(struct replay *replay, size_t want, const struct reply **page, quern_error *err)
{
    char from[ENTRY_ID_SIZE + 1] = "(", to[ENTRY_ID_SIZE];
    entry_id_text(replay->at, from + 1);
    entry_id_text(replay->last, to);
    conn_begin(replay->look.conn, 6);
    for (const char *const *word = (const char *const[]){"XRANGE", replay->look.source.dead, from, to, "COUNT", NULL}; *word;
         word++)
        conn_arg_text(replay->look.conn, *word);
    conn_arg_number(replay->look.conn, (int64_t)want);
    return look_ask(&replay->look, page, err);
}

/* The rate is kept on the whole: after so many, so much time has gone by. */
static void keep_rate(const struct replay *replay)
{
    if (!replay->what->per_s || is_dry(replay)) return;
    int64_t end_ns = replay->began_ns + (int64_t)((double)replay->replayed * (double)NS_PER_S / replay->what->per_s);
    while (clock_now_ns() < end_ns) poll(NULL, 0, clock_poll_ms(end_ns));
}

/* A tenth of a second's worth at a time. */
static size_t want_of(const struct replay *replay)
{
    size_t want = replay->page, rate = replay->what->per_s / TICKS_PER_S;
    if (replay->what->per_s && !is_dry(replay) && want > rate) want = rate ? rate : 1;
    return want;
}

static int replay_all(struct replay *replay, quern_error *err)
{
    const struct reply *page;
    while (room_of(replay)) {
        size_t want = want_of(replay);
        int code = look_at_clock(&replay->look, err); /* it may have taken long until here */
        if (!code) code = read_page(replay, want, &page, err);
        if (code || page->type != REPLY_ARRAY) return code;
        size_page(replay, page);
        uint32_t read = page->count;
        code = take_page(replay, page, err);
        if (!code) code = send_parcels(replay, err);
        drop_parcels(replay);
        if (code || (read < want && !replay->is_cut)) return code;
        keep_rate(replay);
    }
    return QUERN_OK;
}

/* One by its place in the stream need not be looked for. */
static void narrow(struct replay *replay)
{
    struct entry_id id;
    if (!replay->what->id || !entry_id_read(bytes_of(replay->what->id), &id) || (id.ms == 0 && id.seq == 0)) return;
    replay->last = id;
    if (id.seq)
        replay->at = (struct entry_id){id.ms, id.seq - 1};
    else
        replay->at = (struct entry_id){id.ms - 1, UINT64_MAX};
}

static int read_last(struct replay *replay, quern_error *err)
{
    const struct reply *reply;
    struct entry entry;
    conn_command(replay->look.conn, "XREVRANGE", replay->look.source.dead, "+", "-", "COUNT", "1", NULL);
    int code = look_ask(&replay->look, &reply, err);
    if (!code && entry_read(reply_item(reply, 0), &entry)) replay->last = entry.id;
    return code;
}

static int replay_asked(struct replay *replay, quern_error *err)
{
    int code = look_for_stream(&replay->look, replay->look.source.dead, err);
    if (!code && replay->what->id) {
        narrow(replay);
        code = replay->last.ms ? replay_all(replay, err) : QUERN_OK;
    }
    if (code || (replay->what->id && replay->matched)) return code;
    replay->at = (struct entry_id){0};
    code = read_last(replay, err);
    if (!code) code = replay_all(replay, err);
    if (code || !replay->what->id || replay->matched) return code;
    return err_set(err, QUERN_E_GONE, "no letter in %s has the id %.200s, or is of a job that has it%s",
                   replay->look.source.dead, replay->what->id,
                   replay->what->event || replay->what->reason ? ", with this event and reason" : "");
}

/* What was done before it went wrong is done. */
static void tell_progress(const struct replay *replay, quern_error *err)
{
    quern_error why = *err;
    if (!replay->replayed || is_dry(replay)) return;
    err_set(err, why.code,
            "after %lld letters were replayed (what has been is gone from %s, so that the rest can be asked for): %s",
            (long long)replay->replayed, replay->look.source.dead, why.text);
}

static char *report(const struct replay *replay, quern_error *err)
{
    json_t *object = repair_report(&replay->look, replay->flags);
    quern_bytes why = replay->why[0] ? bytes_of(replay->why) : (quern_bytes){NULL, 0};
    bool is_whole = object && show_bytes(object, "dead_letters", bytes_of(replay->look.source.dead)) &&
                    show_number(object, "replayed", replay->replayed) && show_number(object, "to_stream", replay->to_stream) &&
                    show_number(object, "gone", replay->gone) && show_number(object, "without_group", replay->without_group) &&
                    show_number(object, "unreadable", replay->unreadable) && show_number(object, "failed", replay->failed) &&
                    show_bytes(object, "failed_because", why);
    if (is_whole) return show_text(object, err);
    json_decref(object);
    return show_text(NULL, err);
}

static bool is_right(const quern_replay *what, quern_error *err)
{
    if (!what || what->size < sizeof *what)
        err_set(err, QUERN_E_ARGUMENT, "replay: size is not sizeof(quern_replay)");
    else if (what->id && !*what->id)
        err_set(err, QUERN_E_ARGUMENT, "replay: the id is empty; right would be that of a letter, of its entry or of its job");
    else
        return true;
    return false;
}

static const quern_replay all_of_them = {.size = sizeof all_of_them};

char *quern_queue_replay(const quern_config *config, const quern_replay *what, unsigned flags, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (!what) what = &all_of_them;
    if (!is_right(what, err)) return NULL;
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay) {
        no_memory(err);
        return NULL;
    }
    char *text = NULL;
    *replay = (struct replay){.what = what, .flags = flags, .page = 1, .began_ns = clock_now_ns()};
    if (!repair_open(&replay->look, config, flags, QUERN_DRY_RUN, err)) {
        if (!replay_asked(replay, err))
            text = report(replay, err);
        else
            tell_progress(replay, err);
        look_close(&replay->look);
    }
    free(replay);
    return text;
}
