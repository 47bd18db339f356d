/* SPDX-License-Identifier: MIT */
#include "jobfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/* The bytes that hex spells, into path[PATH_MAX]. False: it is no hexadecimal, too long, or has a NUL in it. */
static bool path_unhex(const char *hex, char *path)
{
    size_t len = strlen(hex);
    if (len % 2 != 0 || len / 2 >= PATH_MAX) return false;
    for (size_t i = 0; i < len / 2; i++) {
        int high = digit_value(hex[2 * i]), low = digit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0 || high + low == 0) return false;
        path[i] = (char)(high << 4 | low);
    }
    path[len / 2] = 0;
    return true;
}

/* The text that data names the file with, NULL if it does not, or not with one text. */
static const json_t *name_of(const json_t *data, struct jobfile *file)
{
    const json_t *plain = json_object_get(data, "path"), *bytes = json_object_get(data, "path_bytes");
    const json_t *name = plain ? plain : bytes;
    if ((plain && bytes) || !json_is_string(name) || json_string_length(name) == 0) return NULL;
    file->key = plain ? "path" : "path_bytes";
    file->name = json_string_value(name);
    return name;
}

/* The path into path[PATH_MAX]. False: there is none in data, the job's error says why. */
static bool path_of(quern_job *job, const json_t *data, struct jobfile *file, char *path)
{
    const json_t *name = name_of(data, file);
    if (!name) {
        quern_job_error(job, "the data must name one file: {\"path\": TEXT} or {\"path_bytes\": HEX}");
    } else if (strcmp(file->key, "path_bytes") == 0) {
        if (path_unhex(file->name, path)) return true;
        quern_job_error(job, "path_bytes: must be a file name's bytes in hexadecimal, without a zero byte");
    } else if (strlen(file->name) != json_string_length(name) || strlen(file->name) >= PATH_MAX) {
        quern_job_error(job, "path: no file name has a NUL in it or over %d bytes", PATH_MAX - 1);
    } else {
        memcpy(path, file->name, strlen(file->name) + 1);
        return true;
    }
    return false;
}

/* What may pass with time or on another try; a file that is missing or forbidden stays so. */
static bool is_passing(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == EINTR || code == EIO || code == ESTALE ||
           code == ETIMEDOUT || code == EAGAIN;
}

quern_verdict jobfile_open(quern_job *job, const json_t *data, struct jobfile *file)
{
    char path[PATH_MAX];
    if (!path_of(job, data, file, path)) return QUERN_DEAD;
    /* O_NONBLOCK so that a pipe without a writer does not hold the worker; it changes nothing for regular files. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0) {
        int code = errno;
        quern_job_error(job, "%s %s: %s", file->key, file->name, code == ELOOP ? "it is a symbolic link" : strerror(code));
        return is_passing(code) ? QUERN_RETRY : QUERN_DEAD;
    }
    struct stat found;
    bool is_regular = fstat(file->fd, &found) == 0 && S_ISREG(found.st_mode);
    file->bytes = is_regular ? found.st_size : 0;
    file->read = 0;
    if (is_regular) return 0;
    quern_job_error(job, "%s %s: not a regular file", file->key, file->name);
    jobfile_close(file);
    return QUERN_DEAD;
}

void jobfile_close(struct jobfile *file)
{
    close(file->fd);
    file->fd = -1;
}

ssize_t jobfile_read(quern_job *job, struct jobfile *file, void *buffer, size_t size)
{
    ssize_t got;
    do {
        if (quern_job_cancelled(job)) {
            quern_job_error(job, "cancelled while reading");
            return -1;
        }
        got = read(file->fd, buffer, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) quern_job_error(job, "%s %s: %s", file->key, file->name, strerror(errno));
    if (got > 0) file->read += got;
    if (got > 0 && file->bytes) quern_job_progress(job, 100.0 * (double)file->read / (double)file->bytes, NULL);
    return got;
}

quern_verdict jobfile_record(quern_job *job, json_t *result)
{
    enum { RATIO_DIGITS = 5 };
    char *text = result ? json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(RATIO_DIGITS)) : NULL;
    json_decref(result);
    int code = text ? quern_job_result(job, text, strlen(text)) : QUERN_E_MEMORY;
    free(text);
    if (code == QUERN_OK) return QUERN_DONE;
    quern_job_error(job, "the result cannot be kept: %s", code == QUERN_E_MEMORY ? "no memory" : "it is too long");
    return code == QUERN_E_MEMORY ? QUERN_RETRY : QUERN_DEAD;
}

void jobfile_hex(const unsigned char *bytes, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++) {
        *text++ = "0123456789abcdef"[bytes[i] >> 4];
        *text++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *text = 0;
}
