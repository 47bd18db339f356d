/* SPDX-License-Identifier: MIT */

/* tests/nth/seam: what lies between the library and its sockets, where the nth answer goes wrong.
 * Idea       the program is linked with send(), recv(), poll(), close() and clock_gettime() of ours (--wrap), so a fault is where it is
 *            wanted, in the thread that meets it: no second process, no pause. The server behind it is a real one. A connection is told
 *            by the name that it gives itself (CLIENT SETNAME quern:…:settler), and questions are counted by such roles, over all
 *            connections of a role: the nth question of the settler is the same one in each run, whatever the other threads do.
 * Time       the clock that the library sees can be put forward: so nobody waits for a deadline of a second. While threads wait
 *            and nothing comes it goes twenty times as fast, for six seconds in all.
 * Threads    arm, jump: the test's, while nothing runs; the rest: any. */
#ifndef QUERN_TESTS_NTH_SEAM_H
#define QUERN_TESTS_NTH_SEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum seam_role { SEAM_DISPATCHER, SEAM_SETTLER, SEAM_HEARTBEAT, SEAM_REAPER, SEAM_PUBLISHER, SEAM_ROLES };
extern const char *const seam_roles[SEAM_ROLES];

enum seam_how {
    SEAM_END_BEFORE,  /* the question is not sent, the connection ends */
    SEAM_END_AFTER,   /* it is answered, the connection ends before the answer */
    SEAM_CUT,         /* likewise, in the middle of the answer */
    SEAM_MUTE_BEFORE, /* the question is not sent, and nothing comes until the deadline is over */
    SEAM_MUTE_AFTER,  /* it is answered, and likewise */
    SEAM_SLOW,        /* the answer comes late, and in time */
    SEAM_SAY_BEFORE,  /* the question is not sent, and answered by these bytes */
    SEAM_SAY_AFTER    /* it is answered, by these bytes instead */
};

struct seam_kind {
    const char *name;
    enum seam_how how;
    const char *bytes; /* of SEAM_SAY_… */
    size_t len;
    int cut; /* of SEAM_CUT: how many bytes come; negative: all but so many; 0: half of them */
};

extern const struct seam_kind seam_kinds[];
extern const size_t seam_kind_count;

/* Begins to count anew; the nth (from 0) question of role meets kind. kind NULL: none does. */
void seam_arm(enum seam_role role, unsigned nth, const struct seam_kind *kind);

/* Has it happened? strike: another fault than those of answers has. */
bool seam_has_struck(void);
void seam_strike(void);

/* How many questions a role has asked since. */
unsigned seam_asked(enum seam_role role);

/* Puts the clock forward. */
void seam_jump(int64_t ms);

#endif
