/* SPDX-License-Identifier: MIT */
#include "wire/reply.h"

#include <hiredis/hiredis.h>

#include "support/resp.h"

static struct chunk_pool *pool;
static struct reader *reader;
/* What the reader has not received yet. */
static struct resp waiting;
static size_t received;

static int make(void **state)
{
    (void)state;
    pool = chunk_pool_open(4);
    reader = reader_open(pool);
    return reader ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    reader_close(reader);
    resp_free(&waiting);
    received = 0;
    int64_t used = chunk_pool_used_bytes(pool);
    chunk_pool_close(pool);
    return used == 0 ? 0 : -1;
}

static void feed(const char *bytes, size_t len)
{
    resp_raw(&waiting, bytes, len);
}

static int take(const struct reply **reply)
{
    int is_whole = resp_receive(reader, waiting.bytes, waiting.len, &received, reply);
    if (received == waiting.len) waiting.len = received = 0;
    return is_whole;
}

static const struct reply *next(void)
{
    const struct reply *reply = NULL;
    assert_int_equal(1, take(&reply));
    return reply;
}

static const struct reply *one(const char *text)
{
    feed(text, strlen(text));
    return next();
}

static void each_kind_of_reply_is_read(void **state)
{
    (void)state;
    const struct reply *reply = one("+OK\r\n");
    assert_int_equal(REPLY_STATUS, reply->type);
    assert_true(bytes_is(reply_bytes(reply), "OK") && reply_is_text(reply));
    reply = one("-NOGROUP no such group\r\n");
    assert_int_equal(REPLY_ERROR, reply->type);
    assert_false(reply_is_text(reply));
    assert_true(bytes_is(reply_bytes(reply), "NOGROUP no such group"));
    assert_true(reply_is_error(reply, "NOGROUP"));
    assert_false(reply_is_error(reply, "NOGRO") || reply_is_error(reply, "NOGROUP no such group at all"));
    reply = one(":-9223372036854775808\r\n");
    assert_int_equal(REPLY_INTEGER, reply->type);
    assert_true(reply_number(reply, 3) == INT64_MIN);
    reply = one("$5\r\na\r\nbc\r\n");
    assert_int_equal(REPLY_TEXT, reply->type);
    assert_true(bytes_is(reply_bytes(reply), "a\r\nbc"));
    assert_int_equal(0, reply->text[reply->count]);
    reply = one("$0\r\n\r\n");
    assert_true(reply->type == REPLY_TEXT && reply_bytes(reply).at && reply_bytes(reply).len == 0);
    assert_int_equal(REPLY_NIL, one("$-1\r\n")->type);
    assert_int_equal(REPLY_NIL, one("*-1\r\n")->type);
    reply = one("*0\r\n");
    assert_true(reply->type == REPLY_ARRAY && reply->count == 0);
    reply = one("*6\r\n+s\r\n-e\r\n:1\r\n$1\r\nt\r\n*-1\r\n*1\r\n$-1\r\n");
    static const uint32_t types[] = {REPLY_STATUS, REPLY_ERROR, REPLY_INTEGER, REPLY_TEXT, REPLY_NIL, REPLY_ARRAY};
    for (uint32_t i = 0; i < 6; i++) assert_int_equal(types[i], reply_item(reply, i)->type);
    assert_int_equal(REPLY_NIL, reply_item(reply_item(reply, 5), 0)->type);
}

static void what_is_not_there_is_a_nil_and_never_a_crash(void **state)
{
    (void)state;
    const struct reply *reply = one("*1\r\n:7\r\n");
    assert_int_equal(REPLY_NIL, reply_item(reply, 1)->type);
    assert_int_equal(REPLY_NIL, reply_item(reply, UINT32_MAX)->type);
    assert_int_equal(REPLY_NIL, reply_item(reply_item(reply, 0), 0)->type);
    assert_null(reply_bytes(reply).at);
    assert_null(reply_bytes(reply_item(reply, 0)).at);
    assert_false(reply_is_error(reply, "ERR"));
    static const struct {
        const char *text;
        int64_t number;
    } table[] = {{"$1\r\n8\r\n", 8},
                 {"$19\r\n9223372036854775807\r\n", INT64_MAX},
                 {"$19\r\n9223372036854775808\r\n", -5},
                 {"$2\r\n-8\r\n", -5},
                 {"$0\r\n\r\n", -5},
                 {"+8\r\n", -5},
                 {"$-1\r\n", -5},
                 {"*0\r\n", -5}};
    for (size_t i = 0; i < COUNT_OF(table); i++) assert_int_equal(table[i].number, reply_number(one(table[i].text), -5));
}

/* ── a whole answer in pieces ────────────────────────────────────────────────────────────────────────────────────── */

static void write_read(struct resp *resp)
{
    static const quern_bytes texts[] = {{"id", 2}, {"1", 1}, {"event", 5}, {"sum\r\n", 5}, {"data", 4}, {"{\"a\":[1,2]}", 11}};
    resp_head(resp, '*', 2);
    for (int stream = 0; stream < 2; stream++) {
        resp_head(resp, '*', 2);
        resp_bulk(resp, bytes_of(stream ? "app.events" : "app.events:g:retry"));
        resp_head(resp, '*', 3);
        resp_entry(resp, "1700000000000-0", texts, 6);
        resp_entry(resp, "1700000000000-18446744073709551615", texts, 0);
        resp_head(resp, '*', 2);
        resp_bulk(resp, bytes_of("1700000000001-0"));
        resp_line(resp, '*', "-1");
    }
}

static void must_equal(const struct reply *a, const struct reply *b)
{
    assert_int_equal(a->type, b->type);
    if (a->type == REPLY_INTEGER)
        assert_int_equal(a->number, b->number);
    else
        assert_true(bytes_equal(reply_bytes(a), reply_bytes(b)));
    for (uint32_t i = 0; a->type == REPLY_ARRAY && i < a->count; i++) {
        assert_int_equal(a->count, b->count);
        must_equal(&a->items[i], &b->items[i]);
    }
}

static void an_answer_split_anywhere_is_the_same_tree(void **state)
{
    (void)state;
    struct resp resp = {0};
    write_read(&resp);
    struct reader *whole = reader_open(pool);
    const struct reply *expected, *got;
    assert_int_equal(1, resp_read(whole, resp.bytes, resp.len, &expected));
    for (size_t at = 1; at < resp.len; at++) {
        feed(resp.bytes, at);
        assert_int_equal(0, take(&got));
        assert_int_equal(0, take(&got));
        feed(resp.bytes + at, resp.len - at);
        must_equal(expected, next());
    }
    for (size_t i = 0; i < resp.len; i++) { /* each byte by itself */
        feed(resp.bytes + i, 1);
        assert_int_equal(i == resp.len - 1, take(&got));
    }
    must_equal(expected, got);
    reader_close(whole);
    resp_free(&resp);
}

static void answers_that_come_together_are_told_apart(void **state)
{
    (void)state;
    const char *text = ":1\r\n:2\r\n*1\r\n:3\r\n$1\r\n";
    feed(text, strlen(text));
    assert_int_equal(1, next()->number);
    assert_int_equal(2, next()->number);
    assert_int_equal(3, next()->items[0].number);
    const struct reply *reply;
    assert_int_equal(0, take(&reply));
    assert_true(bytes_is(reply_bytes(one("4\r\n")), "4"));
}

static void a_span_keeps_an_answer_while_others_come(void **state)
{
    (void)state;
    char text[3000], head[16];
    struct span spans[100];
    const struct reply *replies[100];
    for (int i = 0; i < 100; i++) {
        memset(text, 'a' + i % 26, sizeof text);
        feed(head, (size_t)snprintf(head, sizeof head, "*1\r\n$%zu\r\n", sizeof text));
        feed(text, sizeof text);
        replies[i] = one("\r\n")->items;
        spans[i] = span_hold(replies[i], replies[i]->text);
    }
    for (int i = 0; i < 100; i++) {
        for (size_t at = 0; at < sizeof text; at += 500) assert_int_equal('a' + i % 26, replies[i]->text[at]);
        span_release(&spans[i]);
    }
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void nesting(struct resp *resp, int depth)
{
    resp->len = 0;
    for (int i = 0; i < depth; i++) resp_head(resp, '*', 1);
    resp_line(resp, ':', "1");
}

static void nesting_is_read_to_seven_and_refused_from_eight(void **state)
{
    (void)state;
    struct resp resp = {0};
    nesting(&resp, 7);
    feed(resp.bytes, resp.len);
    const struct reply *reply = next();
    for (int i = 0; i < 7; i++) reply = reply_item(reply, 0);
    assert_int_equal(1, reply->number);
    nesting(&resp, 8);
    feed(resp.bytes, resp.len);
    assert_int_equal(-1, take(&reply));
    nesting(&resp, 300000); /* deep enough to end a stack that recursed */
    struct reader *other = reader_open(pool);
    assert_int_equal(-1, resp_read(other, resp.bytes, resp.len, &reply));
    reader_close(other);
    resp_free(&resp);
}

static void what_is_not_the_protocol_or_over_a_bound_is_refused(void **state)
{
    static const char *const table[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "\r\n",
        "*1100001\r\n",
        "*2147483648\r\n",
        "*4294967297\r\n",
        "*-2\r\n",
        "*x\r\n",
        "$-2\r\n",
        "$x\r\n",
        "*600000\r\n*600000\r\n", /* a million in all */
        ":x\r\n",
        ":9223372036854775808\r\n",
        ",1.5\r\n", /* what only RESP3 has */
        "#t\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "~1\r\n+a\r\n",
        ">1\r\n+a\r\n",
        "=5\r\ntxt:a\r\n",
        "(123\r\n",
        "*1\r\n,1.5\r\n",
        "*1\r\n#t\r\n",
        "*2\r\n%1\r\n+a\r\n+b\r\n+c\r\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct reader *fresh = reader_open(pool);
        const struct reply *reply;
        if (resp_read(fresh, table[i], strlen(table[i]), &reply) != -1) fail_msg("accepted: %s", table[i]);
        assert_int_equal(-1, reader_next(fresh, &reply)); /* and it stays so */
        reader_close(fresh);
    }
}

/* ── garbage ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static uint64_t touched;

static void touch(const struct reply *reply)
{
    quern_bytes text = reply_bytes(reply);
    for (size_t i = 0; i < text.len; i++) touched += (unsigned char)text.at[i];
    touched += (uint64_t)reply_number(reply, 0);
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) touch(reply_item(reply, i));
}

/* Bytes of which many mean something. */
static size_t garble(uint64_t *seed, char *out, size_t max)
{
    static const char words[] = "*$+-:\r\n\r\n\r\n0123456789aE,#%~>=(_";
    size_t len = unit_random(seed) % max;
    for (size_t i = 0; i < len; i++)
        out[i] = unit_random(seed) % 16 ? words[unit_random(seed) % (sizeof words - 1)] : (char)unit_random(seed);
    return len;
}

/* A good answer with a few bytes changed. */
static size_t spoil(uint64_t *seed, char *out, const struct resp *good)
{
    memcpy(out, good->bytes, good->len);
    for (uint64_t n = 1 + unit_random(seed) % 4; n; n--) out[unit_random(seed) % good->len] = (char)unit_random(seed);
    return good->len;
}

static void garbage_never_crashes(void **state)
{
    enum { INPUTS = 200000 };
    (void)state;
    struct resp good = {0};
    write_read(&good);
    char *input = malloc(good.len + 64);
    uint64_t seed = 20260102;
    int whole = 0;
    for (int i = 0; i < INPUTS; i++) {
        size_t len = i % 4 == 0 ? spoil(&seed, input, &good) : garble(&seed, input, 64),
               cut = len ? unit_random(&seed) % len : 0;
        struct reader *fresh = reader_open(pool);
        const struct reply *reply;
        int is_next = 0;
        size_t taken = 0;
        for (int half = 0; half < 2 && is_next >= 0; half++) {
            size_t end = half ? len : cut;
            while ((is_next = resp_receive(fresh, input, end, &taken, &reply)) > 0) {
                touch(reply);
                whole++;
            }
        }
        reader_close(fresh);
    }
    assert_true(whole > INPUTS / 20);
    free(input);
    resp_free(&good);
}

/* ── a second opinion: what hiredis's reader makes of the same bytes ─────────────────────────────────────────────── */

static void must_agree(const struct reply *ours, const redisReply *theirs)
{
    static const int types[] = {
        [REPLY_NIL] = REDIS_REPLY_NIL,     [REPLY_TEXT] = REDIS_REPLY_STRING,     [REPLY_STATUS] = REDIS_REPLY_STATUS,
        [REPLY_ERROR] = REDIS_REPLY_ERROR, [REPLY_INTEGER] = REDIS_REPLY_INTEGER, [REPLY_ARRAY] = REDIS_REPLY_ARRAY};
    assert_int_equal(types[ours->type], theirs->type);
    if (ours->type == REPLY_INTEGER) assert_true(ours->number == theirs->integer);
    if (reply_bytes(ours).at) assert_true(bytes_equal(reply_bytes(ours), (quern_bytes){theirs->str, theirs->len}));
    if (ours->type != REPLY_ARRAY) return;
    assert_int_equal(ours->count, theirs->elements);
    for (uint32_t i = 0; i < ours->count; i++) must_agree(&ours->items[i], theirs->element[i]);
}

/* A value of any kind that Redis may write. */
static void compose(uint64_t *seed, struct resp *resp, int depth)
{
    char text[600];
    uint64_t kind = unit_random(seed) % (depth ? 8 : 6);
    size_t len = unit_random(seed) % (unit_random(seed) % 8 ? 40 : sizeof text);
    for (size_t i = 0; i < len; i++) text[i] = (char)(kind == 1 ? unit_random(seed) : 'a' + unit_random(seed) % 26);
    text[len < sizeof text ? len : sizeof text - 1] = 0;
    if (kind == 0) resp_head(resp, ':', (long long)unit_random(seed));
    if (kind == 1 || kind == 2) resp_bulk(resp, (quern_bytes){text, len});
    if (kind == 3) resp_line(resp, '+', text);
    if (kind == 4) resp_line(resp, '-', text);
    if (kind == 5) resp_line(resp, unit_random(seed) % 2 ? '$' : '*', "-1");
    if (kind < 6) return;
    uint64_t items = unit_random(seed) % 12;
    resp_head(resp, '*', (long long)items);
    for (uint64_t i = 0; i < items; i++) compose(seed, resp, depth - 1);
}

/* In pieces of any size, to one and the same reader, which thereby meets every place in its chunks. */
static void all_that_redis_may_write_is_read_as_hiredis_reads_it(void **state)
{
    enum { REPLIES = 20000 };
    (void)state;
    uint64_t seed = 20261128;
    struct resp resp = {0};
    redisReader *second = redisReaderCreate();
    for (int i = 0; i < REPLIES; i++) {
        const struct reply *ours = NULL;
        void *theirs = NULL;
        resp.len = 0;
        compose(&seed, &resp, 3);
        for (size_t at = 0, len; at < resp.len; at += len) {
            len = 1 + unit_random(&seed) % (unit_random(&seed) % 4 ? resp.len : 20);
            if (len > resp.len - at) len = resp.len - at;
            feed(resp.bytes + at, len);
            assert_int_equal(at + len == resp.len, take(&ours));
        }
        assert_int_equal(REDIS_OK, redisReaderFeed(second, resp.bytes, resp.len));
        assert_int_equal(REDIS_OK, redisReaderGetReply(second, &theirs));
        must_agree(ours, theirs);
        freeReplyObject(theirs);
    }
    redisReaderFree(second);
    resp_free(&resp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_of_reply_is_read, make, drop),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_a_nil_and_never_a_crash, make, drop),
        cmocka_unit_test_setup_teardown(an_answer_split_anywhere_is_the_same_tree, make, drop),
        cmocka_unit_test_setup_teardown(answers_that_come_together_are_told_apart, make, drop),
        cmocka_unit_test_setup_teardown(a_span_keeps_an_answer_while_others_come, make, drop),
        cmocka_unit_test_setup_teardown(nesting_is_read_to_seven_and_refused_from_eight, make, drop),
        cmocka_unit_test_setup_teardown(what_is_not_the_protocol_or_over_a_bound_is_refused, make, drop),
        cmocka_unit_test_setup_teardown(all_that_redis_may_write_is_read_as_hiredis_reads_it, make, drop),
        cmocka_unit_test_setup_teardown(garbage_never_crashes, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
