#include "engine/client/invocations.h"

#include <assert.h>
#include <stdlib.h>

static bool grow(struct invocations *invocations)
{
    uint32_t capacity = invocations->capacity == 0 ? 64 : invocations->capacity * 2;
    struct invocation_slot *grown = realloc(invocations->slots, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    invocations->slots = grown;
    invocations->capacity = capacity;
    return true;
}

static bool acquire(struct invocations *invocations, uint32_t *ret_slot)
{
    if (invocations->free_first != 0) {
        *ret_slot = invocations->free_first - 1;
        invocations->free_first = invocations->slots[*ret_slot].next_free;
        return true;
    }
    if (invocations->used_count == invocations->capacity && !grow(invocations))
        return false;
    *ret_slot = invocations->used_count++;
    invocations->slots[*ret_slot] = (struct invocation_slot){0};
    return true;
}

bool invocations_add(struct invocations *invocations, uint64_t engine_id, uint64_t *ret_id)
{
    uint32_t slot;
    if (!acquire(invocations, &slot))
        return false;
    invocations->slots[slot].engine_id = engine_id;
    invocations->slots[slot].generation++;
    invocations->open_count++;
    *ret_id = (uint64_t)invocations->slots[slot].generation << 32 | slot;
    return true;
}

bool invocations_find(const struct invocations *invocations, uint64_t id, uint64_t *ret_engine_id)
{
    uint32_t slot = (uint32_t)id;
    uint32_t generation = (uint32_t)(id >> 32);
    if (slot >= invocations->used_count || generation % 2 == 0 ||
        invocations->slots[slot].generation != generation)
        return false;
    *ret_engine_id = invocations->slots[slot].engine_id;
    return true;
}

static void release(struct invocations *invocations, uint32_t slot)
{
    assert(invocations->slots[slot].generation % 2 == 1);
    invocations->slots[slot].generation++;
    invocations->slots[slot].next_free = invocations->free_first;
    invocations->free_first = slot + 1;
    invocations->open_count--;
}

void invocations_remove(struct invocations *invocations, uint64_t id)
{
    release(invocations, (uint32_t)id);
}

void invocations_clear(struct invocations *invocations)
{
    for (uint32_t slot = 0; slot < invocations->used_count; slot++)
        if (invocations->slots[slot].generation % 2 == 1)
            release(invocations, slot);
    assert(invocations->open_count == 0);
}

void invocations_fini(struct invocations *invocations)
{
    free(invocations->slots);
    *invocations = (struct invocations){0};
}
