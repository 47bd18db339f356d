/* SPDX-License-Identifier: MIT */

/* proof/faults: what a campaign does to a queue, one after the other, and over each other. */
#ifndef QUERN_TESTS_PROOF_FAULTS_H
#define QUERN_TESTS_PROOF_FAULTS_H

enum fault {
    /* the proxy's: it meets one connection */
    FAULT_DELAY,     /* both ways, for some time */
    FAULT_THROTTLE,  /* a few bytes at a time */
    FAULT_SILENT,    /* half-open: the question is not carried, and nobody is told */
    FAULT_RESET,     /* it ends at once */
    FAULT_UNSENT,    /* it ends with the next question, which does not arrive */
    FAULT_UNHEARD,   /* it ends with the next answer: what was asked is done, and who asked does not know */
    FAULT_CUT,       /* the same, after the first bytes of the answer */
    FAULT_SPLIT,     /* the next answers come byte by byte */
    FAULT_PARTITION, /* nobody hears of anybody, for some time */
    FAULTS_OF_PROXY,
    /* the campaign's */
    FAULT_KILL = FAULTS_OF_PROXY, /* a worker: kill -9 */
    FAULT_STOP,                   /* a worker stands still for longer than a lease */
    FAULT_TERM,                   /* a worker stops in order, and is started again */
    FAULT_KILL_FEEDER,
    FAULT_KILL_SERVER, /* kill -9 and a start from its append-only file */
    FAULT_KILL_CLIENT, /* CLIENT KILL: one */
    FAULT_KILL_CLIENTS,
    FAULT_PAUSE,       /* CLIENT PAUSE ALL */
    FAULT_PAUSE_WRITE, /* CLIENT PAUSE WRITE */
    FAULT_FORGET,      /* SCRIPT FLUSH */
    FAULT_UNBLOCK,     /* CLIENT UNBLOCK: one */
    FAULT_MEMORY,      /* maxmemory is over, for some time */
    FAULT_SLEEP,       /* DEBUG SLEEP: the server itself stands still */
    FAULT_DELETE,      /* XDEL: an entry, pending or not */
    FAULT_UNGROUP,     /* XGROUP DESTROY */
    FAULT_UNGROUP_RETRY,
    FAULT_RAZE, /* DEL of the stream */
    /* the jobs' own, counted by how processes have ended */
    FAULT_POINT,
    FAULT_HANDLER,
    FAULTS
};

static const char *const fault_names[FAULTS] = {
    "delay",
    "throttle",
    "half-open",
    "reset",
    "question lost",
    "answer lost",
    "answer cut",
    "answer split",
    "partition",
    "kill worker",
    "stop worker",
    "end worker",
    "kill feeder",
    "kill server",
    "kill client",
    "kill clients",
    "pause",
    "pause writes",
    "script flush",
    "unblock",
    "out of memory",
    "server sleeps",
    "delete entry",
    "destroy group",
    "destroy retry group",
    "delete stream",
    "crash point",
    "handler ends process",
};

#endif
