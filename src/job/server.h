/* SPDX-License-Identifier: MIT */

/* job/server: where the server is, as the configuration says it.
 * Threads    any; reads files that it names. */
#ifndef QUERN_JOB_SERVER_H
#define QUERN_JOB_SERVER_H

#include "config/config.h"
#include "wire/url.h"

/* Fills url (url_free). QUERN_E_CONFIG: err names the key. config->redis is set. */
int server_url(struct url *url, const quern_config *config, quern_error *err) QUERN_MUST_USE;

#endif
