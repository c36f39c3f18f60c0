/* The digest of a core: over all that a replay has to give again, in an order of its own. */
#include <string.h>

#include "engine/saga/core_state.h"

/* Most of it are single numbers: they are gathered, since each call of XXH3 has its price. What is
 * hashed is the same bytes one after the other. */
struct gathered {
    XXH3_state_t state;
    uint32_t used;
    uint8_t bytes[4096];
};

static void flush(struct gathered *hash)
{
    XXH3_128bits_update(&hash->state, hash->bytes, hash->used);
    hash->used = 0;
}

static void hash_bytes(struct gathered *hash, const void *bytes, size_t count)
{
    if (count > sizeof hash->bytes - hash->used)
        flush(hash);
    if (count > sizeof hash->bytes) {
        XXH3_128bits_update(&hash->state, bytes, count);
        return;
    }
    if (count > 0)
        memcpy(hash->bytes + hash->used, bytes, count);
    hash->used += (uint32_t)count;
}

static inline void hash_u64(struct gathered *hash, uint64_t value)
{
    if (sizeof value > sizeof hash->bytes - hash->used)
        flush(hash);
    memcpy(hash->bytes + hash->used, &value, sizeof value);
    hash->used += sizeof value;
}

static void hash_payload(struct gathered *hash, const struct core *core, slab_ref ref)
{
    struct flyover_bytes bytes = core_payload(core, ref);
    hash_u64(hash, bytes.count);
    hash_bytes(hash, bytes.at, bytes.count);
}

static void hash_completed(struct gathered *hash, const struct core *core, uint32_t index)
{
    hash_u64(hash, index);
    if (index == CORE_NONE)
        return;
    const struct completed *completed = &core->completed[index];
    hash_u64(hash, completed->step_no);
    hash_u64(hash, completed->state);
    hash_payload(hash, core, completed->input);
    hash_payload(hash, core, completed->output);
}

static void hash_saga(struct gathered *hash, const struct core *core, const struct saga *saga)
{
    const uint64_t parts[] = {
        saga->id,
        (uint64_t)saga->started_ms,
        (uint64_t)saga->deadline_ms,
        saga->plan,
        saga->outcome,
        saga->branches_live,
        saga->detached_live,
        saga->failed,
        saga->pivoted,
        saga->cancel,
        saga->has_undone + 2u * saga->by_deadline,
        saga->has_counted,
        saga->noted_block,
        saga->step_no,
        saga->steps_done,
    };
    hash_bytes(hash, parts, sizeof parts);
    hash_payload(hash, core, saga->error);
    const uint32_t lists[] = {saga->completed_head, saga->signals_head};
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t index = lists[i]; index != CORE_NONE; index = core->completed[index].next)
            hash_completed(hash, core, index);
        hash_u64(hash, CORE_NONE);
    }
    for (uint32_t index = saga->branches_head; index != CORE_NONE;
         index = core->branches[index].next)
        hash_u64(hash, index);
}

static void hash_branch(struct gathered *hash, const struct core *core, const struct branch *branch)
{
    const uint64_t known[] = {branch->phase, branch->generation};
    hash_bytes(hash, known, sizeof known);
    if (branch->phase == PHASE_FREE)
        return;
    uint64_t parts[] = {
        branch->saga,
        branch->state,
        branch->step_no,
        branch->attempt_no,
        branch->retries_spent,
        (uint64_t)branch->due_ms,
        (uint64_t)branch->deadline_ms,
        branch->delayed + 2u * branch->handling,
        0,
    };
    _Static_assert(sizeof branch->retried == sizeof parts[0], "the last part has room for them");
    memcpy(&parts[sizeof parts / sizeof parts[0] - 1], branch->retried, sizeof branch->retried);
    hash_bytes(hash, parts, sizeof parts);
    hash_payload(hash, core, branch->payload);
    hash_completed(hash, core, branch->completed);
}

/* The order in which free slots will be used again decides where later sagas go. */
static void hash_pools(struct gathered *hash, const struct core *core)
{
    const struct pool *pools[] = {&core->sagas_pool, &core->branches_pool, &core->completed_pool};
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        hash_u64(hash, pools[i]->head);
        hash_u64(hash, pools[i]->touched);
        hash_u64(hash, pools[i]->used);
    }
    uint32_t index = core->sagas_pool.head;
    for (; index != CORE_NONE; index = core->sagas[index].completed_head)
        hash_u64(hash, index);
    for (index = core->branches_pool.head; index != CORE_NONE; index = core->branches[index].next)
        hash_u64(hash, index);
}

struct core_digest core_digest(const struct core *core)
{
    struct gathered gathered, *hash = &gathered;
    hash->used = 0;
    XXH3_128bits_reset(&hash->state);
    hash_u64(hash, core->saga_id_last);
    hash_u64(hash, core->plans_count);
    const struct core_totals *totals = &core->totals;
    const uint64_t figures[] = {
        totals->started,
        totals->succeeded,
        totals->compensated,
        totals->failed,
        totals->stuck,
        totals->ended,
        totals->steps,
        totals->steps_ended,
        totals->detached_failed,
        totals->retries,
        core->branches_reserved,
        core->sources_count,
        core->errors_count,
        totals->aborted,
        totals->timeouts,
        totals->signals,
        totals->mended,
        core->limits.seed,
        core->limits.name_retention_ms,
    };
    hash_bytes(hash, figures, sizeof figures);
    /* As far as they are in use: the rest is empty. */
    const struct core_source *sources;
    hash_bytes(hash, core->sources, core_sources(core, &sources) * sizeof *sources);
    hash_bytes(hash, core->errors, core->errors_count * sizeof *core->errors);
    hash_pools(hash, core);
    flush(hash);
    if (core->names != NULL)
        names_hash(core->names, &hash->state);
    for (uint32_t i = 0; i < core->sagas_pool.touched; i++)
        if (core->sagas[i].in_use)
            hash_saga(hash, core, &core->sagas[i]);
    for (uint32_t i = 0; i < core->branches_pool.touched; i++)
        hash_branch(hash, core, &core->branches[i]);
    flush(hash);
    XXH128_hash_t digest = XXH3_128bits_digest(&hash->state);
    return (struct core_digest){digest.high64, digest.low64};
}
