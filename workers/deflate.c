/* SPDX-License-Identifier: MIT */

/* workers/deflate: how small does a file get?
 * Idea       real CPU work on real files: compresses the file of {"path": …} or {"path_bytes": …} (see jobfile.h) through zlib,
 *            throws the output away, and records what it saw:
 *            {"path": …, "sha256": of the original, "bytes": n, "deflated_bytes": n, "ratio": deflated_bytes / bytes}
 *            (an empty file has ratio 1).
 * Options    level: 1 to 9, default 9.
 * Threads    the codec, the hash and their buffers are one worker thread's, made once by thread_open. */
#define ZLIB_CONST
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "jobfile.h"
#include "options.h"

enum { CHUNK_BYTES = 64 * 1024, SHA256_BYTES = 32 };

struct deflater {
    z_stream stream;
    EVP_MD_CTX *sha256;
    unsigned char in[CHUNK_BYTES], out[CHUNK_BYTES];
};

struct deflated {
    uint64_t bytes, deflated_bytes;
    char sha256[2 * SHA256_BYTES + 1];
};

static void deflate_thread_close(void *thread, void *user)
{
    (void)user;
    struct deflater *deflater = thread;
    if (!deflater) return;
    deflateEnd(&deflater->stream);
    EVP_MD_CTX_free(deflater->sha256);
    free(deflater);
}

static int deflate_thread_open(void **thread, void *user)
{
    const int *level = user;
    struct deflater *deflater = calloc(1, sizeof *deflater);
    if (!deflater) return -1;
    deflater->sha256 = EVP_MD_CTX_new();
    if (!deflater->sha256 || deflateInit(&deflater->stream, *level) != Z_OK) {
        deflate_thread_close(deflater, user);
        return -1;
    }
    *thread = deflater;
    return 0;
}

/* One chunk of the file, len 0 at its end. False: the hash failed. */
static bool deflate_chunk(struct deflater *deflater, size_t len, struct deflated *seen)
{
    z_stream *stream = &deflater->stream;
    if (!EVP_DigestUpdate(deflater->sha256, deflater->in, len)) return false;
    stream->next_in = deflater->in;
    stream->avail_in = (unsigned)len;
    do {
        stream->next_out = deflater->out;
        stream->avail_out = CHUNK_BYTES;
        deflate(stream, len ? Z_NO_FLUSH : Z_FINISH);
        seen->deflated_bytes += CHUNK_BYTES - stream->avail_out;
    } while (stream->avail_out == 0);
    seen->bytes += len;
    return true;
}

static bool deflate_file(quern_job *job, struct deflater *deflater, struct jobfile *file, struct deflated *seen)
{
    deflateReset(&deflater->stream);
    bool is_hashed = EVP_DigestInit_ex(deflater->sha256, EVP_sha256(), NULL);
    ssize_t got = 1;
    while (is_hashed && got > 0) {
        got = jobfile_read(job, file, deflater->in, CHUNK_BYTES);
        if (got < 0) return false;
        is_hashed = deflate_chunk(deflater, (size_t)got, seen);
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (is_hashed && EVP_DigestFinal_ex(deflater->sha256, digest, NULL)) {
        jobfile_hex(digest, SHA256_BYTES, seen->sha256);
        return true;
    }
    quern_job_error(job, "libcrypto cannot compute SHA-256");
    return false;
}

static quern_verdict deflate_record(quern_job *job, const struct jobfile *file, const struct deflated *seen)
{
    double ratio = seen->bytes ? (double)seen->deflated_bytes / (double)seen->bytes : 1;
    return jobfile_record(job, json_pack("{s:s, s:s, s:I, s:I, s:f}", file->key, file->name, "sha256", seen->sha256, "bytes",
                                         (json_int_t)seen->bytes, "deflated_bytes", (json_int_t)seen->deflated_bytes, "ratio",
                                         ratio));
}

static quern_verdict deflate_run(quern_job *job, void *thread, void *user)
{
    (void)user;
    const json_t *data = quern_job_json(job);
    if (!data) return QUERN_DEAD;
    struct jobfile file;
    quern_verdict verdict = jobfile_open(job, data, &file);
    if (verdict) return verdict;
    struct deflated seen = {0};
    verdict = deflate_file(job, thread, &file, &seen) ? deflate_record(job, &file, &seen) : QUERN_RETRY;
    jobfile_close(&file);
    return verdict;
}

static int deflate_open(const char *options_json, quern_handler *handler, quern_error *error)
{
    static const char *const known[] = {"level", NULL};
    int64_t level = Z_BEST_COMPRESSION;
    json_t *options = options_read(options_json, known, error);
    if (!options) return QUERN_E_CONFIG;
    int code = options_integer(options, "level", 1, Z_BEST_COMPRESSION, &level, error);
    json_decref(options);
    if (code != QUERN_OK) return code;
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL); /* libcrypto looks for it at its first use: before there are threads */
    int *user = malloc(sizeof *user);
    if (!user) return options_no_memory(error);
    *user = (int)level;
    handler->run = deflate_run;
    handler->thread_open = deflate_thread_open;
    handler->thread_close = deflate_thread_close;
    handler->user = user;
    return QUERN_OK;
}

static void deflate_close(quern_handler *handler)
{
    free(handler->user);
    handler->user = NULL;
}

QUERN_PUBLIC const quern_module quern_module_entry = {
    .abi = QUERN_MODULE_ABI, .size = sizeof(quern_module), .name = "deflate", .open = deflate_open, .close = deflate_close};
