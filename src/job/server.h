/* SPDX-License-Identifier: MIT */

/* job/server: where the server is, as the configuration says it.
 * Threads    any; reads files that it names. */
#ifndef QUERN_JOB_SERVER_H
#define QUERN_JOB_SERVER_H

#include "config/config.h"
#include "wire/url.h"

/* Fills url (url_free); on a Cluster the node that has stream is meant. config->redis is set. QUERN_E_CONFIG: err names the key. */
int server_url(struct url *url, const quern_config *config, const char *stream, quern_error *err) QUERN_MUST_USE;

#endif
