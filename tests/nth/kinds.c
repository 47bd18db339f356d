/* SPDX-License-Identifier: MIT */

/* Every way in which an answer can fail to be one. Error replies are those that wire/errors knows, and some that it does not. */
#include "nth/seam.h"

#define SAY(how_, name_, text)                                                   \
    {                                                                            \
        .name = (name_), .how = (how_), .bytes = (text), .len = sizeof(text) - 1 \
    }
#define REFUSAL(code, more) SAY(SEAM_SAY_BEFORE, code, "-" code " " more "\r\n")

const struct seam_kind seam_kinds[] = {
    {.name = "end_before", .how = SEAM_END_BEFORE},
    {.name = "end_after", .how = SEAM_END_AFTER},
    {.name = "cut_first", .how = SEAM_CUT, .cut = 1},
    {.name = "cut_half", .how = SEAM_CUT},
    {.name = "cut_last", .how = SEAM_CUT, .cut = -1},
    {.name = "mute_before", .how = SEAM_MUTE_BEFORE},
    {.name = "mute_after", .how = SEAM_MUTE_AFTER},
    {.name = "slow", .how = SEAM_SLOW},
    /* transient */
    REFUSAL("LOADING", "Redis is loading the dataset in memory"),
    REFUSAL("READONLY", "You can't write against a read only replica."),
    REFUSAL("CLUSTERDOWN", "The cluster is down"),
    REFUSAL("MASTERDOWN", "Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    REFUSAL("TRYAGAIN", "Multiple keys request during rehashing of slot"),
    REFUSAL("ASK", "3999 127.0.0.1:6381"),
    REFUSAL("BUSY", "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    REFUSAL("UNKILLABLE", "Sorry the script already executed write commands against the dataset."),
    REFUSAL("MISCONF", "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."),
    REFUSAL("OOM", "command not allowed when used memory > 'maxmemory'."),
    REFUSAL("NOREPLICAS", "Not enough good replicas to write."),
    REFUSAL("EXECABORT", "Transaction discarded because of previous errors."),
    SAY(SEAM_SAY_BEFORE, "max_clients", "-ERR max number of clients reached\r\n"),
    SAY(SEAM_SAY_BEFORE, "script_OOM", "-ERR Error running script: @user_script:1: -OOM command not allowed\r\n"),
    /* to be answered by something else first */
    REFUSAL("NOSCRIPT", "No matching script. Please use EVAL."),
    REFUSAL("NOGROUP", "No such key 'jobs' or consumer group 'g' in XREADGROUP with GROUP option"),
    REFUSAL("UNBLOCKED", "the stream key no longer exists"),
    /* for somebody to mend */
    REFUSAL("NOAUTH", "Authentication required."),
    REFUSAL("WRONGPASS", "invalid username-password pair or user is disabled."),
    REFUSAL("NOPERM", "this user has no permissions to run the command"),
    REFUSAL("WRONGTYPE", "Operation against a key holding the wrong kind of value"),
    REFUSAL("MOVED", "3999 127.0.0.1:6381"),
    REFUSAL("CROSSSLOT", "Keys in request don't hash to the same slot"),
    SAY(SEAM_SAY_BEFORE, "unknown_command", "-ERR unknown command 'X', with args beginning with: \r\n"),
    SAY(SEAM_SAY_BEFORE, "unknown_error", "-ERR something nobody has heard of\r\n"),
    SAY(SEAM_SAY_BEFORE, "empty_error", "-\r\n"),
    /* no answer to what was asked */
    SAY(SEAM_SAY_BEFORE, "nil_bytes", "$-1\r\n"),
    SAY(SEAM_SAY_BEFORE, "nil_list", "*-1\r\n"),
    SAY(SEAM_SAY_BEFORE, "empty_list", "*0\r\n"),
    SAY(SEAM_SAY_BEFORE, "empty_bytes", "$0\r\n\r\n"),
    SAY(SEAM_SAY_BEFORE, "status", "+OK\r\n"),
    SAY(SEAM_SAY_BEFORE, "number", ":7\r\n"),
    SAY(SEAM_SAY_BEFORE, "nil_entries", "*1\r\n*2\r\n$4\r\njobs\r\n*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n$-1\r\n"),
    /* no answer at all */
    SAY(SEAM_SAY_AFTER, "garbage", "HTTP/1.1 400 Bad Request\r\n\r\n"),
    SAY(SEAM_SAY_AFTER, "zeroes", "\0\0\0\0\r\n"),
    SAY(SEAM_SAY_AFTER, "large_bytes", "$536870913\r\n"),
    SAY(SEAM_SAY_AFTER, "large_list", "*2147483648\r\n"),
    SAY(SEAM_SAY_AFTER, "bad_number", ":12x\r\n"),
    SAY(SEAM_SAY_AFTER, "deep",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"),
};
const size_t seam_kind_count = sizeof seam_kinds / sizeof *seam_kinds;
