/* SPDX-License-Identifier: MIT */

/* publish/batch: jobs that have a closing job in common.
 *
 *      open ──add, add, …──▶ [S:G:batches…] ◀── one out for each job that ends ── done, dead, what drops jobs
 *                 seal ─────────▶  │ sealed, and none is open: by whoever sees it, in the same step
 *                                  ▼
 *                            the closing job, in the group's retry stream
 *
 * Idea       a job is made known in the call that publishes it, and taken out in the call that ends it, so the two cannot come
 *            apart. The counts are put into the closing job's data by a script, so all but its last brace is kept.
 * Invariant  made once: the closing job goes along until a call is answered. Of one whose first answer was lost for good nothing
 *            is known, so it is over.
 * Threads    one at a time; the publisher's turns do the rest. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "job/codec.h"
#include "publish/check.h"
#include "publish/publisher.h"
#include "publish/receipts.h"

enum { GROUP_MAX = 256 };

struct quern_batch {
    quern_publisher *publisher;
    quern_message then; /* its texts are ours */
    struct outgoing_batch batch;
    bool is_over, is_sealed;
    char id[UUID_SIZE], field[GROUP_MAX + UUID_SIZE + 1];
};

/* ── the closing job ─────────────────────────────────────────────────────────────────────────────────────────────── */

/* As large as it can be. */
static const char counts[] =
    "\"batch\":{\"id\":\"01234567-0123-0123-0123-012345678901\",\"published\":9007199254740992,"
    "\"done\":9007199254740992,\"dead\":9007199254740992,\"open\":9007199254740992,\"complete\":false}}";

static int check_member(quern_bytes data, size_t *members, quern_error *err)
{
    json_t *object = codec_parse(data, err);
    bool is_object = json_is_object(object), has_batch = json_object_get(object, "batch");
    *members = json_object_size(object);
    codec_drop(object);
    if (!is_object)
        return err_set(err, QUERN_E_ARGUMENT,
                       "the closing job's data is no JSON object, and \"batch\" is to be put into it; right would be "
                       "{\"key\": value, …}, or none");
    if (!has_batch) return QUERN_OK;
    return err_set(err, QUERN_E_ARGUMENT, "the closing job's data has a member \"batch\" of its own: give it another name");
}

static int check_then(const quern_message *then, const quern_config *config, size_t *members, quern_error *err)
{
    quern_error why;
    if (check_message(then, config, &why)) return err_set(err, why.code, "the closing job: %s", why.text);
    if (then->delay_ms || then->at_ms || then->unique || then->unique_ms)
        return err_set(err, QUERN_E_ARGUMENT,
                       "the closing job has a time or a unique key; it goes once, when the jobs of its batch have ended");
    if (then->is_raw)
        return err_set(err, QUERN_E_ARGUMENT,
                       "the closing job's data is raw bytes, and \"batch\" is to be put into it; right would be a JSON object, "
                       "or none");
    return check_member(check_data(then), members, err);
}

/* The data without its last brace, and the comma behind what is in it. Gives; with room for the counts. */
static char *open_object(quern_bytes data, size_t members, size_t *len)
{
    char *text = malloc(data.len + sizeof counts + 1);
    if (!text) return NULL;
    *len = data.len;
    while (data.at[*len - 1] != '}') --*len;
    memcpy(text, data.at, --*len);
    if (members) text[(*len)++] = ',';
    return text;
}

/* With its counts it must be one that is run. */
static int check_whole(const quern_message *then, const quern_config *config, char *text, size_t len, quern_error *err)
{
    quern_error why;
    quern_message whole = *then;
    memcpy(text + len, counts, sizeof counts);
    whole.data = (quern_bytes){text, len + sizeof counts - 1};
    if (!check_message(&whole, config, &why)) return QUERN_OK;
    return err_set(err, why.code, "the closing job with \"batch\" in it: %s", why.text);
}

static int keep_then(quern_batch *batch, const quern_message *then, quern_error *err)
{
    const quern_config *config = batch->publisher->config;
    size_t members = 0, len = 0;
    int code = check_then(then, config, &members, err);
    if (code) return code;
    batch->then = *then;
    batch->then.event = strdup(then->event);
    batch->then.key = then->key ? strdup(then->key) : NULL;
    char *text = open_object(check_data(then), members, &len);
    batch->then.data = (quern_bytes){text, len};
    if (!batch->then.event || !text || (then->key && !batch->then.key))
        return err_set(err, QUERN_E_MEMORY, "no memory for a batch");
    return check_whole(then, config, text, len, err);
}

/* ── for the host ────────────────────────────────────────────────────────────────────────────────────────────────── */

void quern_batch_free(quern_batch *batch)
{
    if (!batch) return;
    atomic_fetch_sub(&batch->publisher->inside, 1);
    free((char *)(uintptr_t)batch->then.event);
    free((char *)(uintptr_t)batch->then.key);
    free((char *)(uintptr_t)batch->then.data.at);
    free(batch);
}

quern_batch *quern_batch_open(quern_publisher *publisher, const quern_message *then, char id[40], quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    quern_batch *batch = publisher && then ? calloc(1, sizeof *batch) : NULL;
    if (!batch) {
        err_set(err, publisher && then ? QUERN_E_MEMORY : QUERN_E_ARGUMENT,
                publisher && then ? "no memory for a batch" : "no publisher or no closing job was given");
        return NULL;
    }
    atomic_fetch_add(&publisher->inside, 1);
    batch->publisher = publisher;
    uuid_text(batch->id);
    snprintf(batch->field, sizeof batch->field, "%s:%s", publisher->config->group, batch->id);
    batch->batch = (struct outgoing_batch){
        .id = batch->id, .field = batch->field, .wait_ms = publisher_marker_ms(publisher->config), .then = &batch->then};
    if (!keep_then(batch, then, err)) {
        if (id) memcpy(id, batch->id, sizeof batch->id);
        return batch;
    }
    quern_batch_free(batch);
    return NULL;
}

/* sealed_ms: 0: more may come. */
static int take(quern_batch *batch, const quern_message *messages, size_t n, int64_t sealed_ms, quern_receipt *receipts,
                quern_error *err)
{
    bool is_gone = batch->is_over || batch->is_sealed;
    if (is_gone) receipts_refuse(receipts, n, QUERN_E_GONE);
    if (is_gone)
        return err_set(err, QUERN_E_GONE, "the batch %s %s", batch->id,
                       batch->is_sealed ? "is sealed" : "is over: the answer to its first call was lost");
    batch->batch.sealed_ms = sealed_ms;
    int code = publisher_take(batch->publisher, messages, n, &batch->batch, receipts, err);
    batch->is_over = code == QUERN_E_UNKNOWN && batch->batch.then;
    batch->is_sealed = !code && sealed_ms;
    return code;
}

int quern_batch_add(quern_batch *batch, const quern_message *messages, size_t n, quern_receipt *receipts, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (!batch || (n && !messages)) return err_set(err, QUERN_E_ARGUMENT, "no batch or no messages were given");
    return n ? take(batch, messages, n, 0, receipts, err) : QUERN_OK;
}

int quern_batch_seal(quern_batch *batch, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (!batch) return err_set(err, QUERN_E_ARGUMENT, "no batch was given");
    return take(batch, NULL, 0, batch->publisher->config->batch_ms, NULL, err);
}

int quern_publish_batch(quern_publisher *publisher, const quern_message *messages, size_t n, const quern_message *then,
                        quern_receipt *receipts, char id[40], quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (n && !messages) return err_set(err, QUERN_E_ARGUMENT, "no messages were given");
    quern_batch *batch = quern_batch_open(publisher, then, id, err);
    int code = batch ? take(batch, messages, n, publisher->config->batch_ms, receipts, err) : err->code;
    if (!batch) receipts_refuse(receipts, n, code);
    quern_batch_free(batch);
    return code;
}
