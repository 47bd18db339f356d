/* SPDX-License-Identifier: MIT */
#include "embed/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static bool is_set(const char *value)
{
    return value && *value;
}

static const char *home(void)
{
    const char *home = getenv("HOME");
    if (is_set(home)) return home;
    const struct passwd *self = getpwuid(geteuid());
    return self && is_set(self->pw_dir) ? self->pw_dir : NULL;
}

/* The first of a service's directories. With DynamicUser=yes it is a link that the service manager has made (systemd.exec(5)). */
static int write_given(char path[PATH_MAX], const char *list)
{
    char named[PATH_MAX];
    int len = snprintf(named, sizeof named, "%.*s", (int)strcspn(list, ":"), list);
    if (len >= PATH_MAX) return len;
    return realpath(named, path) ? (int)strlen(path) : snprintf(path, PATH_MAX, "%s", named);
}

/* As snprintf() returns it; -1: there is no place for state. */
static int write_default(char path[PATH_MAX])
{
    const char *given = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *at_home = home();
    if (is_set(given)) return write_given(path, given);
    if (is_set(xdg) && *xdg == '/') return snprintf(path, PATH_MAX, "%s/quern", xdg);
    return at_home ? snprintf(path, PATH_MAX, "%s/.local/state/quern", at_home) : -1;
}

static int write_absolute(char path[PATH_MAX], const char *dir)
{
    char cwd[PATH_MAX];
    if (*dir == '/') return snprintf(path, PATH_MAX, "%s", dir);
    return getcwd(cwd, sizeof cwd) ? snprintf(path, PATH_MAX, "%s/%s", cwd, dir) : -1;
}

static int find_path(char path[PATH_MAX], const char *dir, quern_error *err)
{
    int len = is_set(dir) ? write_absolute(path, dir) : write_default(path);
    if (len < 0) return err_set(err, QUERN_E_CONFIG, "no home directory to keep the private server in: set state_dir");
    if (len >= PATH_MAX) return err_set(err, QUERN_E_CONFIG, "state_dir has %d bytes: choose a shorter one", len);
    while (len > 1 && path[len - 1] == '/') path[--len] = 0; /* "link/" would be followed, "link" is seen */
    int socket_len = len + (int)sizeof PLACE_SOCKET;
    if (socket_len <= PLACE_SOCKET_MAX) return QUERN_OK;
    return err_set(err, QUERN_E_CONFIG,
                   "the socket path %.300s/" PLACE_SOCKET " has %d bytes and a Unix socket's at most %d: choose a shorter "
                   "state_dir, of at most %d bytes",
                   path, socket_len, PLACE_SOCKET_MAX, PLACE_SOCKET_MAX - (int)sizeof PLACE_SOCKET);
}

/* 0: it is there now, or something of that name. */
static int make_all(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(path, 0700) && errno != EEXIST;
        *slash = '/';
        if (failed && access(path, F_OK)) return -1;
    }
    return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

static int judge(const struct stat *status, const char *path, quern_error *err)
{
    if (status->st_uid != geteuid())
        return err_set(err, QUERN_E_CONFIG, "%s belongs to user %u, not to you (%u): choose a state_dir of your own", path,
                       status->st_uid, geteuid());
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, QUERN_E_CONFIG, "others may write to %s (mode %04o): chmod 700 it, or choose another state_dir",
                       path, status->st_mode & 07777);
    return QUERN_OK;
}

static int open_dir(const char *path, int *fd, quern_error *err)
{
    struct stat status;
    int opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 && (errno == ELOOP || errno == ENOTDIR))
        return err_set(err, QUERN_E_CONFIG, "%s is a symbolic link or no directory: name the directory itself as state_dir",
                       path);
    if (opened < 0 || fstat(opened, &status))
        return err_set(err, QUERN_E_SERVER, "cannot open the state directory %s: %s", path, strerror(errno));
    int code = judge(&status, path, err);
    if (code) close(opened);
    if (!code) *fd = opened;
    return code;
}

int place_open(struct place *place, const char *dir, quern_error *err)
{
    char path[PATH_MAX];
    int fd = -1, code = find_path(path, dir, err);
    if (code) return code;
    if (make_all(path)) return err_set(err, QUERN_E_SERVER, "cannot make the state directory %s: %s", path, strerror(errno));
    code = open_dir(path, &fd, err);
    if (code) return code;
    place->fd = fd;
    snprintf(place->dir, sizeof place->dir, "%.*s", PLACE_SOCKET_MAX, path);
    snprintf(place->socket, sizeof place->socket, "%.*s/" PLACE_SOCKET, PLACE_SOCKET_MAX - (int)sizeof PLACE_SOCKET, path);
    return QUERN_OK;
}

int place_find(const char *dir, char path[PATH_MAX], quern_error *err)
{
    int code = find_path(path, dir, err);
    if (code || access(path, F_OK) == 0) return code;
    return err_set(err, QUERN_E_GONE, "%s: %s", path, strerror(errno));
}

void place_close(struct place *place)
{
    close(place->fd);
    place->fd = -1;
}
