/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include <errno.h>
#include <sys/random.h>
#include <uuid/uuid.h>

enum { AT_ONCE = 256 };

/* true: all of it is random. */
static int draw(unsigned char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = getrandom(bytes + at, len - at, 0);
        if (n < 0 && errno != EINTR) return 0;
        if (n > 0) at += (size_t)n;
    }
    return 1;
}

static void text_of(uuid_t id, char *text)
{
    id[6] = (unsigned char)((id[6] & 0x0f) | 0x40); /* version 4 */
    id[8] = (unsigned char)((id[8] & 0x3f) | 0x80); /* the variant of RFC 4122 */
    uuid_unparse_lower(id, text);
}

void uuid_texts(char *first, size_t stride, size_t n)
{
    uuid_t ids[AT_ONCE];
    for (size_t from = 0; from < n; from += AT_ONCE) {
        size_t count = n - from < AT_ONCE ? n - from : AT_ONCE;
        int is_drawn = draw(ids[0], count * sizeof *ids);
        for (size_t i = 0; i < count; i++) {
            if (!is_drawn) uuid_generate(ids[i]); /* a kernel that has no such call: libuuid knows others */
            text_of(ids[i], first + (from + i) * stride);
        }
    }
}

void uuid_text(char *text)
{
    uuid_texts(text, UUID_SIZE, 1);
}
