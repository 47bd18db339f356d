/* SPDX-License-Identifier: MIT */

/* demo-files: what workers/demo needs to know of files and JSON, so that a shell never takes a name apart.
 *
 *     demo-files DIR       one job per regular file below DIR: {"path": "…"}, or {"path_bytes": "hex"} where the name is
 *                          not UTF-8. Symbolic links are neither followed nor jobs; nor are sockets, pipes and devices.
 *     demo-files --table   jobs or results of deflate on standard input, one JSON object a line, become lines of
 *                          sha256 TAB bytes TAB deflated_bytes TAB name  ("-" where a job has none of these yet);
 *                          backslash, newline and carriage return of a name are written as sha256sum writes them.
 *
 * Exit status: 0, or 1 if something could not be listed or read; standard error says what. */
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FOLDERS_OPEN_MAX = 64 };

static int trouble;

static void complain(const char *what, const char *where)
{
    fprintf(stderr, "demo-files: %s: %s\n", what, where);
    trouble = 1;
}

/* ── DIR ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Gives; NULL: no memory. */
static char *hex_of(const char *bytes)
{
    size_t len = strlen(bytes);
    char *hex = malloc(2 * len + 1);
    if (!hex) return NULL;
    for (size_t i = 0; i < len; i++) sprintf(hex + 2 * i, "%02x", (unsigned char)bytes[i]);
    hex[2 * len] = '\0';
    return hex;
}

static json_t *job_of(const char *path)
{
    json_t *text = json_string(path); /* NULL: not UTF-8 */
    if (text) return json_pack("{so}", "path", text);
    char *hex = hex_of(path);
    json_t *job = hex ? json_pack("{ss}", "path_bytes", hex) : NULL;
    free(hex);
    return job;
}

static int file_met(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)place;
    if (kind == FTW_DNR) complain("this folder cannot be read, nor what is in it", path);
    if (kind == FTW_NS) complain("this cannot be looked at", path);
    if (kind != FTW_F || !S_ISREG(status->st_mode)) return 0;
    json_t *job = job_of(path);
    int is_written = job && json_dumpf(job, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(job);
    return is_written ? 0 : -1;
}

static void list(const char *folder)
{
    if (nftw(folder, file_met, FOLDERS_OPEN_MAX, FTW_PHYS) != 0) complain("the list broke off", folder);
}

/* ── --table ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void name_byte(int byte)
{
    switch (byte) {
    case '\\':
        fputs("\\\\", stdout);
        break;
    case '\n':
        fputs("\\n", stdout);
        break;
    case '\r':
        fputs("\\r", stdout);
        break;
    default:
        putchar(byte);
    }
}

/* false: not pairs of hex digits. */
static int name_from_hex(const char *hex)
{
    unsigned byte;
    int used;
    for (; *hex; hex += 2) {
        if (sscanf(hex, "%2x%n", &byte, &used) != 1 || used != 2) return 0;
        name_byte((int)byte);
    }
    return 1;
}

static void number_cell(const json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);
    if (json_is_integer(number))
        printf("%" JSON_INTEGER_FORMAT "\t", json_integer_value(number));
    else
        fputs("-\t", stdout);
}

/* false: neither a job nor a result. */
static int row(const json_t *object)
{
    const char *path = json_string_value(json_object_get(object, "path"));
    const char *hex = json_string_value(json_object_get(object, "path_bytes"));
    const char *sum = json_string_value(json_object_get(object, "sha256"));
    if (!path && !hex) return 0;
    printf("%s\t", sum ? sum : "-");
    number_cell(object, "bytes");
    number_cell(object, "deflated_bytes");
    int is_named = path || name_from_hex(hex);
    for (; path && *path; path++) name_byte((unsigned char)*path);
    putchar('\n');
    return is_named;
}

static void table(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while ((len = getline(&line, &room, stdin)) > 0) {
        json_t *object = json_loadb(line, (size_t)len, 0, NULL);
        if (!object || !row(object)) complain("neither a job nor a result", line);
        json_decref(object);
    }
    free(line);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: demo-files DIR | demo-files --table\n", stderr);
        return 2;
    }
    if (strcmp(argv[1], "--table") == 0)
        table();
    else
        list(argv[1]);
    if (fflush(stdout) != 0) complain("standard output", "cannot be written");
    return trouble;
}
