/* SPDX-License-Identifier: MIT */

/* A file is loaded by the name /proc/self/fd/N of its checked descriptor. The dynamic linker remembers objects by that name, so
 * N must never become another file: descriptors of loaded modules stay open for the life of the process, one per file, and a
 * file that is here already is not loaded again. */
#include "cli/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* A file that is loaded, for ever. */
struct module_file {
    struct module_file *next;
    dev_t device;
    ino_t inode;
    const quern_module *entry;
};

struct module_use {
    const quern_module *entry;
    quern_handler handler; /* its event is a copy of ours, its policy NULL: configurations come and go */
};

static struct module_file *loaded; /* main thread */

/* ── Is it safe to load? ── */

enum part { PART_ABOVE, PART_DIRECTORY, PART_FILE }; /* a directory further up, the one the file is in, the file */

/* Whoever owns this program can have us run what he likes anyway: a checkout that root runs for its owner still works. */
static bool is_trusted(uid_t owner)
{
    struct stat program;
    return owner == 0 || owner == geteuid() || (stat("/proc/self/exe", &program) == 0 && owner == program.st_uid);
}

/* What is wrong with path, found by its descriptor. QUERN_OK: nothing. */
static int part_check(int fd, const char *path, enum part part, quern_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return err_set(err, QUERN_E_CONFIG, "%s: %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode)) return err_set(err, QUERN_E_CONFIG, "%s is a symbolic link: name the path that it leads to", path);
    if (part == PART_FILE ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode))
        return err_set(err, QUERN_E_CONFIG, "%s is no %s", path, part == PART_FILE ? "regular file" : "directory");
    if (!is_trusted(st.st_uid))
        return err_set(err, QUERN_E_CONFIG, "%s belongs to user %u: its owner must be root or user %u", path,
                       (unsigned)st.st_uid, (unsigned)geteuid());
    bool is_writable = st.st_mode & (S_IWGRP | S_IWOTH), is_sticky = st.st_mode & S_ISVTX;
    if (!is_writable || (part == PART_ABOVE && is_sticky)) return QUERN_OK;
    return err_set(err, QUERN_E_CONFIG, "%s may be written by %s (mode %04o): keep modules elsewhere, or chmod go-w it", path,
                   st.st_mode & S_IWOTH ? "everybody" : "its group", (unsigned)(st.st_mode & 07777));
}

/* What the part of path is that ends before rest. */
static enum part part_of(const char *rest)
{
    rest += strspn(rest, "/");
    return strchr(rest, '/') ? PART_ABOVE : PART_DIRECTORY;
}

/* Opens the next part of path, which ends at end, below *fd and puts it into *fd. */
static int part_open(int *fd, char *path, size_t start, size_t end, quern_error *err)
{
    char after = path[end];
    enum part part = after ? part_of(path + end) : PART_FILE;
    path[end] = 0;
    int next = openat(*fd, path + start, O_PATH | O_NOFOLLOW | O_CLOEXEC), code = errno;
    close(*fd);
    *fd = next;
    code = next < 0 ? err_set(err, QUERN_E_CONFIG, "%s: %s", path, strerror(code)) : part_check(next, path, part, err);
    path[end] = after;
    return code;
}

/* Opens an absolute path part by part, each checked. path is changed meanwhile. -1: see err. Gives. */
static int path_open(char *path, quern_error *err)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        err_set(err, QUERN_E_CONFIG, "/: %s", strerror(errno));
        return -1;
    }
    int code = part_check(fd, "/", part_of(path), err);
    for (size_t start = 1, end; code == QUERN_OK && path[start - 1]; start = end + 1) {
        end = start + strcspn(path + start, "/");
        if (end > start || !path[end]) code = part_open(&fd, path, start, end, err);
    }
    if (code == QUERN_OK) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* ── Loading ── */

static int entry_check(const quern_module *entry, quern_error *err)
{
    if (!entry) return err_set(err, QUERN_E_CONFIG, "it is no quern module: it has no quern_module_entry");
    if (entry->abi != QUERN_MODULE_ABI)
        return err_set(err, QUERN_E_CONFIG, "it has ABI %u, this quern %s has %u: build it against this version", entry->abi,
                       quern_version(), QUERN_MODULE_ABI);
    if (entry->size < sizeof *entry || !entry->open)
        return err_set(err, QUERN_E_CONFIG,
                       "its quern_module_entry is incomplete (%zu bytes of %zu): build it against this "
                       "version, %s",
                       entry->size, sizeof *entry, quern_version());
    return QUERN_OK;
}

/* The linker's last complaint without our name for the file. */
static const char *linker_error(const char *name)
{
    const char *text = dlerror();
    if (!text) return "it cannot be loaded";
    size_t len = strlen(name);
    return strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2 : text;
}

/* Takes fd. NULL: see err. */
static const quern_module *file_load(int fd, const struct stat *st, quern_error *err)
{
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    struct module_file *file = malloc(sizeof *file);
    void *handle = file ? dlopen(name, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!handle) {
        err_set(err, file ? QUERN_E_CONFIG : QUERN_E_MEMORY, "%s", file ? linker_error(name) : "no memory");
        free(file);
        close(fd);
        return NULL;
    }
    *file = (struct module_file){loaded, st->st_dev, st->st_ino, dlsym(handle, "quern_module_entry")};
    loaded = file;
    return file->entry;
}

/* The module behind fd, loaded now or before. Takes fd. NULL: see err. */
static const quern_module *file_entry(int fd, quern_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err_set(err, QUERN_E_CONFIG, "%s", strerror(errno));
        close(fd);
        return NULL;
    }
    const struct module_file *file = loaded;
    while (file && (file->device != st.st_dev || file->inode != st.st_ino)) file = file->next;
    if (file) close(fd);
    quern_error why = {0};
    const quern_module *entry = file ? file->entry : file_load(fd, &st, &why);
    if (!entry && why.code != QUERN_OK) {
        if (err) *err = why;
        return NULL;
    }
    return entry_check(entry, err) == QUERN_OK ? entry : NULL;
}

/* The path of the module that a worker names, into path[PATH_MAX]. */
static int path_make(char *path, const char *directory, const char *name, quern_error *err)
{
    bool is_path = name[0] == '/';
    if (!is_path && (!*name || strchr(name, '/')))
        return err_set(err, QUERN_E_CONFIG, "a module is a name, such as \"exec\", or an absolute path");
    if (!is_path && directory[0] != '/')
        return err_set(err, QUERN_E_CONFIG, "module_path %s must be an absolute path", directory);
    int len = is_path ? snprintf(path, PATH_MAX, "%s", name) : snprintf(path, PATH_MAX, "%s/%s.so", directory, name);
    return len < PATH_MAX ? QUERN_OK : err_set(err, QUERN_E_CONFIG, "its path is longer than %d bytes", PATH_MAX - 1);
}

static const quern_module *module_find(const char *directory, const char *name, quern_error *err)
{
    char path[PATH_MAX];
    if (path_make(path, directory, name, err) != QUERN_OK) return NULL;
    int fd = path_open(path, err);
    return fd < 0 ? NULL : file_entry(fd, err);
}

/* ── Using ── */

static void use_close(struct module_use *use)
{
    char *event = (char *)use->handler.event;
    if (use->entry->close) use->entry->close(&use->handler);
    free(event);
}

static int use_open(struct module_use *use, const struct config_worker *worker, quern_config *config, quern_error *err)
{
    char *event = strdup(worker->event);
    if (!event) return err_set(err, QUERN_E_MEMORY, "no memory");
    use->handler = (quern_handler){.size = sizeof use->handler, .event = event, .policy = worker->policy};
    int code = use->entry->open(worker->options ? worker->options : "{}", &use->handler, err);
    use->handler.event = event; /* a guest may have written over it */
    if (code != QUERN_OK) {
        free(event);
        return err->text[0] ? code : err_set(err, code, "it does not open, and does not say why");
    }
    if (!use->handler.run) code = err_set(err, QUERN_E_CONFIG, "it has opened without a function to run");
    if (code == QUERN_OK) code = quern_config_on(config, &use->handler, err);
    use->handler.policy = NULL;
    if (code != QUERN_OK) use_close(use);
    return code;
}

/* Room for one more. */
static bool modules_grow(struct modules *modules)
{
    struct module_use *more = realloc(modules->at, (modules->count + 1) * sizeof *more);
    if (more) modules->at = more;
    return more;
}

int module_load(struct modules *modules, const char *directory, const struct config_worker *worker, quern_config *config,
                quern_error *err)
{
    quern_error why = {.code = QUERN_E_CONFIG};
    struct module_use use = {.entry = module_find(directory, worker->module, &why)};
    int code = use.entry ? QUERN_OK : why.code;
    if (code == QUERN_OK && !modules_grow(modules)) code = err_set(&why, QUERN_E_MEMORY, "no memory");
    if (code == QUERN_OK) code = use_open(&use, worker, config, &why);
    if (code != QUERN_OK) return err_set(err, code, "module %s for event %s: %s", worker->module, worker->event, why.text);
    modules->at[modules->count++] = use;
    return QUERN_OK;
}

void module_unload(struct modules *modules, size_t kept)
{
    while (modules->count > kept) use_close(&modules->at[--modules->count]);
}

void module_unload_all(struct modules *modules)
{
    module_unload(modules, 0);
    free(modules->at);
    *modules = (struct modules){0};
}
