/* SPDX-License-Identifier: MIT */
#include "upkeep/frozen.h"

#include "base/clock.h"
#include "wire/pending.h"

/* FNV-1a */
static uint64_t hash(quern_bytes name)
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < name.len; i++) sum = (sum ^ (unsigned char)name.at[i]) * UINT64_C(1099511628211);
    return sum;
}

void frozen_begin(struct frozen *frozen)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < frozen->count; i++)
        if (frozen->rows[i].walk == frozen->walk) frozen->rows[kept++] = frozen->rows[i];
    frozen->count = kept;
    frozen->walk++;
    frozen->wants_look = false;
}

static struct frozen_row *find(struct frozen *frozen, uint32_t origin, struct entry_id id)
{
    for (uint32_t i = 0; i < frozen->count; i++)
        if (frozen->rows[i].origin == origin && entry_id_compare(frozen->rows[i].id, id) == 0) return &frozen->rows[i];
    return NULL;
}

/* Far enough behind the last look that it would show if that one had come together with a renewal, and too soon for the next renewal:
 * a lease is renewed when a third of it is over. */
static bool is_just_behind(const struct frozen_row *row, int64_t asked_ns, int64_t now_ns, int64_t lease_ns)
{
    return asked_ns - row->seen_ns >= FROZEN_AGAIN_MS * NS_PER_MS && now_ns - row->asked_ns <= lease_ns / 4;
}

bool frozen_sees(struct frozen *frozen, uint32_t origin, const struct pending_row *row, int64_t asked_ns, int64_t now_ns,
                 int64_t lease_ns)
{
    struct frozen_row *known = frozen->count ? find(frozen, origin, row->id) : NULL;
    if (row->idle_ms != 0) {
        if (known) *known = frozen->rows[--frozen->count];
        return false;
    }
    if (!known && frozen->count == FROZEN_MAX) return false;
    if (!known) known = &frozen->rows[frozen->count++], known->looks = 0;
    uint64_t owner = hash(row->consumer);
    if (!known->looks || known->owner != owner || known->deliveries != row->deliveries)
        *known = (struct frozen_row){
            .id = row->id, .owner = owner, .since_ns = now_ns, .origin = origin, .deliveries = row->deliveries};
    bool is_seen_twice = known->looks && is_just_behind(known, asked_ns, now_ns, lease_ns);
    known->looks++;
    known->walk = frozen->walk;
    known->asked_ns = asked_ns;
    known->seen_ns = now_ns;
    if (known->looks < FROZEN_LOOKS || now_ns - known->since_ns < lease_ns) return false;
    frozen->wants_look |= !is_seen_twice;
    return is_seen_twice;
}
