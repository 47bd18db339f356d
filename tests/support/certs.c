/* SPDX-License-Identifier: MIT */
#include "support/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/wait.h"

enum { PATHS = 8 };

/* authority NAME; signed NAME OF_WHOM SUBJECT_ALT_NAME DAYS_OR_DATES. One that is over is asked for by its dates; an openssl that knows no
 * dates there takes days that are over, which later ones refuse. */
static const char script[] =
    "set -e; umask 077; cd %s; exec >log 2>&1\n"
    "new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
    "authority() { openssl req -x509 $new -keyout $1.key -out $1.pem -subj /CN=quern-test-$1 -days 2; }\n"
    "signed() {\n"
    "    openssl req -new $new -keyout $1.key -out $1.csr -subj /CN=$1 -addext subjectAltName=$3\n"
    "    openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -copy_extensions copy $4 -out $1.pem\n"
    "}\n"
    "authority ca; authority other_ca\n"
    "here=DNS:localhost,IP:127.0.0.1\n"
    "signed server ca $here '-days 2'\n"
    "signed wrong ca DNS:elsewhere.test,IP:127.0.0.2 '-days 2'\n"
    "signed expired ca $here '-not_before 20200101000000Z -not_after 20200102000000Z' || signed expired ca $here '-days -1'\n"
    "signed stray other_ca $here '-days 2'\n"
    "signed client ca DNS:client.test '-days 2'\n";

void certs_make(struct certs *certs)
{
    const char *tmp = getenv("TMPDIR");
    char command[sizeof script + sizeof certs->dir];
    snprintf(certs->dir, sizeof certs->dir, "%s/quern-certs-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(certs->dir));
    snprintf(command, sizeof command, script, certs->dir);
    if (system(command)) fail_msg("openssl has made no certificates: see %s/log", certs->dir);
}

const char *certs_file(const struct certs *certs, const char *name)
{
    static char paths[PATHS][160];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, sizeof paths[0], "%s/%s", certs->dir, name);
    return path;
}

void certs_remove(struct certs *certs)
{
    char command[sizeof certs->dir + 16];
    if (!certs->dir[0]) return;
    snprintf(command, sizeof command, "rm -r %s", certs->dir);
    assert_int_equal(system(command), 0);
}
