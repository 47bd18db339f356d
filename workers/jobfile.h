/* SPDX-License-Identifier: MIT */

/* workers/jobfile: the file that a job names.
 * Idea       JSON texts are UTF-8, file names on Linux are any bytes but NUL. A name that is UTF-8 travels as
 *            {"path": "/usr/share/doc/x"}, any other as its bytes in hexadecimal, two digits each:
 *            {"path_bytes": "2f746d702fe9"} is /tmp/ and one Latin-1 é.
 * Invariant  only regular files are read, and never through a symbolic link as the last component.
 * Threads    the worker's that runs the job. */
#ifndef QUERN_WORKERS_JOBFILE_H
#define QUERN_WORKERS_JOBFILE_H

#include <jansson.h>
#include <quern.h>
#include <sys/types.h>

struct jobfile {
    int fd;
    const char *key, *name; /* as the job gave it: "path" or "path_bytes"; lent by the job */
    int64_t bytes, read;    /* as large as it was when it was opened; of these, read by now */
};

/* Opens the file named by data, the job's JSON. 0: open. Else the verdict to return, its reason is the job's error:
 * QUERN_DEAD where no other try can help (no such file, not a regular one), else QUERN_RETRY. */
quern_verdict jobfile_open(quern_job *job, const json_t *data, struct jobfile *file);
void jobfile_close(struct jobfile *file);

/* Up to size bytes, 0 at the end; tells how far the job is. -1: cancelled, or it cannot be read; the job's error says which:
 * return QUERN_RETRY. */
ssize_t jobfile_read(quern_job *job, struct jobfile *file, void *buffer, size_t size);

/* Records result (takes it; NULL: there was no memory to make it) as JSON and returns the job's verdict. */
quern_verdict jobfile_record(quern_job *job, json_t *result);

/* Lower-case hexadecimal digits of bytes and a NUL into text[2 * len + 1]. */
void jobfile_hex(const unsigned char *bytes, size_t len, char *text);

#endif
