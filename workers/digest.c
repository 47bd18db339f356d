/* SPDX-License-Identifier: MIT */

/* workers/digest: a checksum.
 * Idea       of a file, {"path": …} or {"path_bytes": …} (see jobfile.h); of a text in the job, {"text": …}; or, when the job's
 *            data_type is "bytes", of its data as it is. Records {"path": …, "algorithm": …, "digest": hex, "bytes": n}.
 * Options    algorithm: "sha256" (default), "sha512", "blake2b512". A job's own "algorithm" goes before it.
 * Threads    the hash and its buffer are one worker thread's, made once by thread_open. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "jobfile.h"
#include "options.h"

enum { CHUNK_BYTES = 64 * 1024 };

static const struct algorithm {
    const char *name;
    const EVP_MD *(*of_libcrypto)(void);
} algorithms[] = {{"sha256", EVP_sha256}, {"sha512", EVP_sha512}, {"blake2b512", EVP_blake2b512}};

struct digester {
    EVP_MD_CTX *hash;
    unsigned char in[CHUNK_BYTES];
};

static const struct algorithm *algorithm_named(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (strcmp(algorithms[i].name, name) == 0) return &algorithms[i];
    return NULL;
}

/* Into *algorithm, unless the key is absent. */
static int algorithm_read(const json_t *from, const struct algorithm **algorithm, quern_error *error)
{
    const char *name = (*algorithm)->name;
    if (options_text(from, "algorithm", &name, error) != QUERN_OK) return QUERN_E_CONFIG;
    const struct algorithm *found = algorithm_named(name);
    if (!found) return options_wrong(error, "algorithm: \"%s\" is none of sha256, sha512, blake2b512", name);
    *algorithm = found;
    return QUERN_OK;
}

static void digest_thread_close(void *thread, void *user)
{
    (void)user;
    struct digester *digester = thread;
    if (!digester) return;
    EVP_MD_CTX_free(digester->hash);
    free(digester);
}

static int digest_thread_open(void **thread, void *user)
{
    struct digester *digester = calloc(1, sizeof *digester);
    if (!digester) return -1;
    digester->hash = EVP_MD_CTX_new();
    if (!digester->hash) {
        digest_thread_close(digester, user);
        return -1;
    }
    *thread = digester;
    return 0;
}

/* Ends the hash and records result, to which it adds what was found. Takes result. */
static quern_verdict digest_record(quern_job *job, struct digester *digester, const struct algorithm *algorithm, uint64_t bytes,
                                   json_t *result)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len = 0;
    if (!EVP_DigestFinal_ex(digester->hash, digest, &len)) {
        json_decref(result);
        quern_job_error(job, "libcrypto cannot compute %s", algorithm->name);
        return QUERN_RETRY;
    }
    jobfile_hex(digest, len, hex);
    json_t *found = json_pack("{s:s, s:s, s:I}", "algorithm", algorithm->name, "digest", hex, "bytes", (json_int_t)bytes);
    if (!found || json_object_update(result, found) != 0) {
        json_decref(result);
        result = NULL;
    }
    json_decref(found);
    return jobfile_record(job, result);
}

static quern_verdict digest_inline(quern_job *job, struct digester *digester, const struct algorithm *algorithm,
                                   const char *bytes, size_t len)
{
    EVP_DigestUpdate(digester->hash, bytes, len);
    return digest_record(job, digester, algorithm, len, json_object());
}

static quern_verdict digest_file(quern_job *job, struct digester *digester, const struct algorithm *algorithm,
                                 const json_t *data)
{
    struct jobfile file;
    quern_verdict verdict = jobfile_open(job, data, &file);
    if (verdict) return verdict;
    uint64_t bytes = 0;
    ssize_t got;
    while ((got = jobfile_read(job, &file, digester->in, CHUNK_BYTES)) > 0) {
        EVP_DigestUpdate(digester->hash, digester->in, (size_t)got);
        bytes += (uint64_t)got;
    }
    jobfile_close(&file);
    if (got < 0) return QUERN_RETRY;
    return digest_record(job, digester, algorithm, bytes, json_pack("{s:s}", file.key, file.name));
}

static bool is_raw(const quern_job *job)
{
    quern_bytes type = quern_job_field(job, "data_type");
    return type.at && type.len == strlen("bytes") && memcmp(type.at, "bytes", type.len) == 0;
}

static bool digest_start(quern_job *job, struct digester *digester, const struct algorithm *algorithm)
{
    if (EVP_DigestInit_ex(digester->hash, algorithm->of_libcrypto(), NULL)) return true;
    quern_job_error(job, "this libcrypto has no %s", algorithm->name);
    return false;
}

static quern_verdict digest_json(quern_job *job, struct digester *digester, const struct algorithm *algorithm)
{
    const json_t *data = quern_job_json(job);
    if (!data) return QUERN_DEAD;
    quern_error error;
    if (algorithm_read(data, &algorithm, &error) != QUERN_OK) {
        quern_job_error(job, "%s", error.text);
        return QUERN_DEAD;
    }
    if (!digest_start(job, digester, algorithm)) return QUERN_RETRY;
    const json_t *text = json_object_get(data, "text");
    if (!text) return digest_file(job, digester, algorithm, data);
    if (json_is_string(text) && !json_object_get(data, "path") && !json_object_get(data, "path_bytes"))
        return digest_inline(job, digester, algorithm, json_string_value(text), json_string_length(text));
    quern_job_error(job, "text: must be a text, and no file named beside it");
    return QUERN_DEAD;
}

static quern_verdict digest_run(quern_job *job, void *thread, void *user)
{
    const struct algorithm *algorithm = user;
    if (!is_raw(job)) return digest_json(job, thread, algorithm);
    if (!digest_start(job, thread, algorithm)) return QUERN_RETRY;
    quern_bytes data = quern_job_data(job);
    return digest_inline(job, thread, algorithm, data.at, data.len);
}

/* libcrypto looks for its algorithms at their first use: here that is before there are threads. */
static void warm_up(void)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        EVP_Digest("", 0, digest, NULL, algorithms[i].of_libcrypto(), NULL);
}

static int digest_open(const char *options_json, quern_handler *handler, quern_error *error)
{
    static const char *const known[] = {"algorithm", NULL};
    const struct algorithm *algorithm = &algorithms[0];
    json_t *options = options_read(options_json, known, error);
    if (!options) return QUERN_E_CONFIG;
    int code = algorithm_read(options, &algorithm, error);
    json_decref(options);
    if (code != QUERN_OK) return code;
    warm_up();
    handler->run = digest_run;
    handler->thread_open = digest_thread_open;
    handler->thread_close = digest_thread_close;
    handler->user = (void *)(uintptr_t)algorithm; /* a row of the table above: nothing to free */
    return QUERN_OK;
}

static void digest_close(quern_handler *handler)
{
    handler->user = NULL;
}

QUERN_PUBLIC const quern_module quern_module_entry = {
    .abi = QUERN_MODULE_ABI, .size = sizeof(quern_module), .name = "digest", .open = digest_open, .close = digest_close};
