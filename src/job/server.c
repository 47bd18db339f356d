/* SPDX-License-Identifier: MIT */
#include "job/server.h"

int server_url(struct url *url, const quern_config *config, const char *stream, quern_error *err)
{
    struct url_more more = {.key = stream,
                            .tls_ca = config->tls_ca,
                            .tls_cert = config->tls_cert,
                            .tls_key = config->tls_key,
                            .tls_name = config->tls_name,
                            .password_file = config->redis_password_file,
                            .sentinel_password_file = config->sentinel_password_file};
    int code = url_read(url, config->redis, err);
    return code ? code : url_add(url, &more, err);
}
