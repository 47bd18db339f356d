/* SPDX-License-Identifier: MIT */

/* tests/fuzz: whatever bytes come from Redis, a file, the environment or a disk, nothing is read or written that is not ours.
 *
 *     tests/fuzz/run build                      a few seconds, the same each time (in ctest)
 *     tests/fuzz/run build --seconds 600        each target so long, from the corpus on, with a new seed
 *     QUERN_FUZZ=entry build/fuzz FILE          one input again, as a failure leaves it
 *
 * Idea       one program of libFuzzer's for all readers; the variable QUERN_FUZZ says which. An input is shaped before it is read where
 *            bytes at random would be refused at the door: the fields of an entry are lines of it, a journal is a good one that is
 *            written over.
 * Checked    by the sanitizers; and what a reader has taken must be what it says: texts end with a NUL, lengths are within the input. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "blame/journal.h"
#include "config/config.h"
#include "job/codec.h"
#include "job/message.h"
#include "job/packed.h"
#include "wire/entry.h"
#include "wire/errors.h"
#include "wire/url.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static volatile uint64_t sum; /* what was read is looked at */

static void look(quern_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) sum += (unsigned char)bytes.at[i];
}

static void must(bool is, const char *what)
{
    if (is) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* A text with a NUL behind it; to be freed. */
static char *text_of(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    must(text != NULL, "there is memory");
    if (len) memcpy(text, bytes, len);
    text[len] = 0;
    return text;
}

/* ── replies ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void look_at_reply(const struct reply *reply)
{
    quern_bytes bytes = reply_bytes(reply);
    look(bytes);
    if (bytes.at) must(bytes.at[bytes.len] == 0, "a NUL stands behind a text");
    sum += (uint64_t)reply_number(reply, 7);
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) look_at_reply(reply_item(reply, i));
}

/* In pieces of `piece` bytes. Returns what the reader says at last. */
static int feed(struct reader *reader, const char *bytes, size_t len, size_t piece, void (*use)(const struct reply *, void *),
                void *user)
{
    const struct reply *reply;
    int whole = 0;
    for (size_t at = 0; at <= len && whole >= 0;) {
        while ((whole = reader_next(reader, &reply)) > 0) use(reply, user);
        size_t room, n = len - at < piece ? len - at : piece;
        char *to = whole < 0 || at == len ? NULL : reader_room(reader, &room);
        if (!to) break;
        if (n > room) n = room;
        memcpy(to, bytes + at, n);
        reader_took(reader, n);
        at += n;
    }
    return whole;
}

static void use_reply(const struct reply *reply, void *user)
{
    (void)user;
    look_at_reply(reply);
    struct entry entry;
    if (entry_read(reply, &entry)) look_at_reply(entry.fields);
}

static void fuzz_reply(const uint8_t *bytes, size_t len)
{
    struct chunk_pool *pool = chunk_pool_open(2);
    struct reader *reader = reader_open(pool);
    if (len) feed(reader, (const char *)bytes + 1, len - 1, 1 + bytes[0], use_reply, NULL);
    reader_close(reader);
    chunk_pool_close(pool);
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct reading {
    bool is_private, is_detached;
};

static void use_entry(const struct reply *reply, void *user)
{
    static const char *const names[] = {"id", "event", "data", "key", "batch", "quern_entry", "timestamps", "nobody's"};
    const struct reading *reading = user;
    struct entry entry;
    struct message message = {0};
    quern_error err;
    if (!entry_read(reply, &entry)) return;
    struct span span = entry_hold(reply);
    int code = message_read(&message, &entry, reading->is_private, 64, &err);
    if (code) must(err.code == code && err.text[0], "who refuses says why");
    if (!code && reading->is_detached) must(message_detach(&message), "there is memory");
    look(message.id), look(message.event), look(message.data);
    for (size_t i = 0; i < COUNT_OF(names) && !code; i++) look(message_field(&message, names[i]));
    for (uint32_t i = 0; i + 1 < message.fields_count && !code; i += 2) sum += message_is_note(&message, i);
    if (!code) must(message.event.len > 0, "an event has a name");
    sum += (uint64_t)message_created_ms(&message);
    message_free(&message);
    span_release(&span);
}

/* Names and values are the lines of the input behind its first byte. */
static void fuzz_entry(const uint8_t *bytes, size_t len)
{
    char *resp;
    size_t size, count = 0;
    if (!len) return;
    FILE *out = open_memstream(&resp, &size);
    must(out != NULL, "there is memory");
    const char *at = (const char *)bytes + 1, *end = at + len - 1;
    for (const char *c = at; c < end; c++) count += *c == '\n';
    fprintf(out, "*2\r\n$15\r\n1700000000123-7\r\n*%zu\r\n", count);
    for (const char *stop; count; count--, at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        fprintf(out, "$%zu\r\n", (size_t)(stop - at));
        fwrite(at, 1, (size_t)(stop - at), out);
        fputs("\r\n", out);
    }
    fclose(out);
    struct chunk_pool *pool = chunk_pool_open(2);
    struct reader *reader = reader_open(pool);
    struct reading reading = {bytes[0] & 1, bytes[0] & 2};
    must(feed(reader, resp, size, size, use_entry, &reading) == 0, "an entry is read");
    reader_close(reader);
    chunk_pool_close(pool);
    free(resp);
}

/* ── texts ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void fuzz_error(const uint8_t *bytes, size_t len)
{
    sum += error_meaning((quern_bytes){(const char *)bytes, len}).code;
}

static void fuzz_url(const uint8_t *bytes, size_t len)
{
    struct url url = {0};
    quern_error err = {0};
    char *text = text_of(bytes, len);
    if (url_read(&url, text, &err) == QUERN_OK) {
        must(!url.password || strstr(url.shown, "***@"), "no password is shown");
        url_free(&url);
    }
    free(text);
}

static void fuzz_json(const uint8_t *bytes, size_t len)
{
    char *text = text_of(bytes, len); /* with an end that the sanitizer sees */
    quern_bytes given = {text, len};
    quern_error err;
    int64_t ms;
    struct entry_id id;
    uint64_t number;
    bool is_json = codec_check_json(given, &err) == QUERN_OK;
    if (is_json) must(codec_is_json(given), "what is JSON is JSON");
    json_t *value = codec_parse(given, &err);
    char *again = value ? codec_text(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (again) must(codec_is_json(bytes_of(again)) || strlen(again) > 100000, "what is written is JSON, too");
    free(again);
    codec_drop(value);
    sum += codec_depth(given) + (uint64_t)codec_check_depth(given, 3, &err) + (uint64_t)codec_read_stamps(given, &ms);
    sum += (uint64_t)clock_parse_iso(text, len, &ms) + bytes_number(given, &number) + bytes_is_utf8(given);
    if (entry_id_read(given, &id)) {
        char id_text[ENTRY_ID_SIZE];
        entry_id_text(id, id_text);
        must(entry_id_read(bytes_of(id_text), &(struct entry_id){0}), "an id is written as one");
    }
    free(text);
}

static void fuzz_packed(const uint8_t *bytes, size_t len)
{
    struct packed packed;
    char *text = text_of(bytes, len);
    if (packed_read(&packed, (quern_bytes){text, len})) {
        look_at_reply(&packed.fields);
        packed_free(&packed);
    }
    free(text);
}

/* ── configuration ───────────────────────────────────────────────────────────────────────────────────────────────── */

static void fuzz_config(const uint8_t *bytes, size_t len)
{
    char path[40];
    quern_error err = {0};
    int fd = memfd_create("config", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "there is memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    quern_config *config = quern_config_new();
    int code = quern_config_load(config, path, &err);
    if (code) must(code == err.code && err.text[0], "who refuses says why");
    if (!code) sum += (uint64_t)config_check(config, &err);
    quern_config_free(config);
    close(fd);
}

/* The first line is a key, the rest its value. */
static void fuzz_set(const uint8_t *bytes, size_t len)
{
    quern_error err = {0};
    char *key = text_of(bytes, len), *value = strchr(key, '\n');
    if (value) *value++ = 0;
    quern_config *config = quern_config_new();
    int code = quern_config_set(config, key, value ? value : "", &err);
    if (code) must(code == err.code && err.text[0], "who refuses says why");
    quern_config_free(config);
    free(key);
}

/* ── journals ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static char journal_file[200], *good;
static size_t good_len;

static void make_good_journal(void)
{
    char dir[] = "/tmp/quern-fuzz-XXXXXX";
    struct source source = {.stream = (char[]){"jobs"}, .group = (char[]){"g"}, .dead = (char[]){"jobs:failed"}};
    struct journal_words words = {"unix:///r", "c-1-x", &source, 1, 5};
    quern_error err;
    must(mkdtemp(dir) != NULL, "there is a folder");
    struct journal *journal = journal_open(dir, NULL, &words, 4, &err);
    must(journal != NULL, err.text);
    journal_start(journal, 1, 0, (struct entry_id){1, 2}, 1);
    good_len = journal->bytes;
    good = malloc(good_len);
    memcpy(good, journal->head, good_len);
    journal_close(journal);
    snprintf(journal_file, sizeof journal_file, "%s/journal", dir);
}

static void remove_journal(void)
{
    unlink(journal_file);
    *strrchr(journal_file, '/') = 0;
    rmdir(journal_file);
}

/* A good one, of which bytes are others: place (two bytes), how many, and these, again and again; the first two say how long it is. */
static void fuzz_journal(const uint8_t *bytes, size_t len)
{
    if (len < 2) return;
    char *file = memcpy(malloc(good_len), good, good_len);
    size_t size = bytes[0] == 255 ? good_len - bytes[1] % good_len : good_len;
    for (size_t at = 2; at + 3 < len;) {
        size_t place = ((size_t)bytes[at] << 8 | bytes[at + 1]) % good_len, n = bytes[at + 2] % 16;
        for (at += 3; n && at < len && place < good_len; n--) file[place++] = (char)bytes[at++];
    }
    int fd = open(journal_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, file, size) == (ssize_t)size, "there is a file");
    struct journal *journal = journal_read(journal_file, true);
    if (journal) {
        struct board_row row;
        sum += journal_is_of_this_boot(journal) + strnlen(journal->trace, JOURNAL_TRACE);
        for (uint32_t i = 0; i < journal->head->count; i++) sum += journal_runs(&journal->records[i], &row);
        for (uint32_t i = 0; i < journal->head->source_count; i++)
            sum += strlen(journal->head->sources[i].stream) + strlen(journal->head->sources[i].group);
        journal_drop(journal);
    }
    sum += journal_is_outdated(journal_file);
    close(fd);
    free(file);
}

/* ── which one ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct {
    const char *name;
    void (*run)(const uint8_t *bytes, size_t len);
} targets[] = {{"entry", fuzz_entry},   {"reply", fuzz_reply},   {"error", fuzz_error},
               {"url", fuzz_url},       {"json", fuzz_json},     {"set", fuzz_set},
               {"config", fuzz_config}, {"packed", fuzz_packed}, {"journal", fuzz_journal}};
static void (*target)(const uint8_t *bytes, size_t len);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("QUERN_FUZZ");
    (void)argc, (void)argv;
    for (size_t i = 0; i < COUNT_OF(targets) && name; i++)
        if (!strcmp(targets[i].name, name)) target = targets[i].run;
    if (!target) {
        for (size_t i = 0; i < COUNT_OF(targets); i++) puts(targets[i].name); /* the list, for tests/fuzz/run */
        exit(2);
    }
    if (target == fuzz_journal) {
        make_good_journal();
        atexit(remove_journal);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    target(bytes, len);
    return 0;
}
