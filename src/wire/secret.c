/* SPDX-License-Identifier: MIT */
#include "wire/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { SECRET_MAX = 1024, PAGE_BYTES = 4096 };

static int no_good(quern_error *err, const char *key, const char *path, const char *why)
{
    return err_set(err, QUERN_E_CONFIG, "%s: %s: %s", key, path, why);
}

static int look_at_file(int fd, const char *key, const char *path, quern_error *err)
{
    struct stat what;
    if (fd < 0 || fstat(fd, &what)) return no_good(err, key, path, strerror(errno));
    if (!S_ISREG(what.st_mode)) return no_good(err, key, path, "is not a regular file");
    if (what.st_mode & (S_IWGRP | S_IRWXO)) return no_good(err, key, path, "others may read or change it; chmod 600");
    if (what.st_size > SECRET_MAX)
        return no_good(err, key, path, "is longer than 1,024 bytes: it is to hold a password and nothing else");
    return QUERN_OK;
}

/* The length of the password; -1: it cannot be read. */
static ssize_t fill(int fd, char *page)
{
    ssize_t len = 0, n;
    while ((n = read(fd, page + len, (size_t)(SECRET_MAX + 1 - len))) > 0 || (n < 0 && errno == EINTR)) len += n > 0 ? n : 0;
    if (n < 0) return -1;
    if (len && page[len - 1] == '\n') len--;
    if (len && page[len - 1] == '\r') len--;
    page[len] = 0;
    return len;
}

/* One that is not dumped, where the kernel lets us say so. NULL: no memory. */
static char *open_page(void)
{
    char *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
    madvise(page, PAGE_BYTES, MADV_DONTDUMP);
    return page;
}

int secret_read(const char *key, const char *path, char **secret, quern_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code = look_at_file(fd, key, path, err);
    char *page = code ? NULL : open_page();
    if (!code && !page) code = err_set(err, QUERN_E_MEMORY, "no memory for a password");
    ssize_t len = code ? 0 : fill(fd, page);
    if (len < 0) code = no_good(err, key, path, strerror(errno));
    if (!code && (len == 0 || len > SECRET_MAX || strlen(page) != (size_t)len))
        code = no_good(err, key, path, "is empty, or holds a NUL: it is to hold a password and nothing else");
    if (fd >= 0) close(fd);
    if (code)
        secret_drop(page);
    else
        *secret = page;
    return code;
}

void secret_drop(char *secret)
{
    if (!secret) return;
    explicit_bzero(secret, PAGE_BYTES);
    munmap(secret, PAGE_BYTES);
}
