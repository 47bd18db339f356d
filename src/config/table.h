/* SPDX-License-Identifier: MIT */

/* config/table: the one table of configuration keys.
 * Idea       a row says all there is to know of a key; the JSON file, the environment, options, quern_config_set(), --help,
 *            config/quern.json and the README are read from it or compared with it. A new key is a row here and a member in
 *            struct quern_config.
 * Invariant  names and aliases are unique; every default is a valid value of its row.
 * Threads    any: it is constant. */
#ifndef QUERN_CONFIG_TABLE_H
#define QUERN_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The member a row names has the C type in brackets. */
enum config_type {
    CONFIG_TEXT,    /* [char *] UTF-8 without control characters */
    CONFIG_NAME,    /* [char *] and without spaces */
    CONFIG_GROUP,   /* [char *] and without a colon, and no name that another key of the stream has */
    CONFIG_START,   /* [char *] "0", "$" or an entry id */
    CONFIG_NUMBER,  /* [int64_t] 0 where null is the default and nothing is set */
    CONFIG_THREADS, /* [unsigned] 0: "auto" */
    CONFIG_BOOL,    /* [bool] */
    CONFIG_CHOICE,  /* [int] the place in choices, from 0 */
    CONFIG_GROUPS,  /* [struct config_list] */
    CONFIG_WORKERS, /* [struct config_workers] */
    CONFIG_QUEUES,  /* [struct config_list] JSON objects as texts */
    CONFIG_TYPES
};

enum config_flag {
    CONFIG_PROGRAM = 1,    /* means something to the program only; the library keeps it */
    CONFIG_SECRET = 2,     /* its value never appears in a text of ours */
    CONFIG_PER_EVENT = 4,  /* a handler or a worker may have its own: policy_at */
    CONFIG_LIVE = 8,       /* can change while jobs run (pool/reload) */
    CONFIG_PUBLISHER = 16, /* means something to a publisher only: a pool has nothing of it to change */
    CONFIG_PER_QUEUE = 32  /* an element of queues may have its own */
};

struct config_row {
    const char *name, *alias; /* alias: NULL where there is none */
    enum config_type type;
    unsigned flags;
    size_t at;            /* the member's offset in struct quern_config */
    size_t policy_at;     /* and in struct policy, if CONFIG_PER_EVENT */
    int64_t min, max;     /* of a number; of a text in bytes; of a list in elements */
    const char *choices;  /* CONFIG_CHOICE: "this|that" */
    const char *fallback; /* the default, as quern_config_set() takes it; NULL: not set, null in JSON */
    const char *sentence;
};

/* All rows, in the order in which they are shown. Lends for ever. */
const struct config_row *config_rows(size_t *count);

/* The row of a key, by name or alias; NULL: there is none. */
const struct config_row *config_find(const char *key);

/* The same for an option of the program, where '-' is as good as '_': lease-ms. */
const struct config_row *config_find_option(const char *option);

/* The place of word among the row's choices; -1: it is not among them. */
int config_choice(const struct config_row *row, const char *word);

/* The name that was probably meant by one that is no key; NULL: none is near. With names (ends with NULL), these count too;
 * with flags, only rows that have them. at_most: how many characters may be wrong (a last word that was
 * forgotten counts as one). */
const char *config_nearest(const char *wrong, unsigned flags, const char *const *names, size_t at_most);

/* How many characters config_nearest() lets be wrong in a word that a person typed. */
size_t config_typos(const char *wrong);

enum { CONFIG_RIGHT_SIZE = 192 };
/* What would be a right value, in words: "a whole number, 1 to 1024, or auto". */
void config_right(const struct config_row *row, char text[CONFIG_RIGHT_SIZE]);

/* One line per key for --help: "--key WORD  sentence (default; range)". line is lent its text for the call. */
void config_help(void (*line)(void *user, const char *text), void *user);

#endif
