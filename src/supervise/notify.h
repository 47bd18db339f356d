/* SPDX-License-Identifier: MIT */

/* supervise/notify: what systemd is told: that it has begun, that it goes on, that it ends (sd_notify(3), without its library).
 * Idea       a datagram a word to the socket that NOTIFY_SOCKET names. Who has no such socket says the same, to nobody.
 * Invariant  no child sees the socket: what a job runs cannot speak for the service.
 * Threads    main. */
#ifndef QUERN_SUPERVISE_NOTIFY_H
#define QUERN_SUPERVISE_NOTIFY_H

#include <stdint.h>

/* Takes the socket out of the environment; before there are threads and children. */
void notify_open(void);
/* "READY=1", "STOPPING=1". Does not wait: what finds no room is lost. */
void notify_say(const char *word);
/* "WATCHDOG=1", where a watchdog asks. */
void notify_alive(void);
/* How often this process, or its parent for it, should say that it goes on: a quarter of the watchdog's time. 0: nobody asks. */
int64_t notify_every_ms(void);

#endif
