/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include <uuid/uuid.h>

void uuid_text(char *text)
{
    uuid_t id;
    uuid_generate_random(id);
    uuid_unparse_lower(id, text);
}
