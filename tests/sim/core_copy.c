#include "tests/sim/core_copy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/core_state.h"

#define PARTS_COUNT 7u

/* What is no array. */
struct figures {
    uint64_t limits[5]; /* one by one: between them there is padding */
    struct pool pools[3];
    struct core_totals totals;
    uint64_t saga_id_last;
    uint64_t branches_reserved, errors_count, sources_count, plans_count;
    XXH128_hash_t names;
};

struct part {
    const void *at;
    size_t bytes;
};

static struct figures figures_of(const struct core *core)
{
    struct figures figures;
    memset(&figures, 0, sizeof figures);
    const struct core_limits *limits = &core->limits;
    const uint64_t known[] = {limits->sagas_max, limits->payload_bytes_max, limits->seed,
                              limits->names_max, limits->name_retention_ms};
    memcpy(figures.limits, known, sizeof known);
    figures.pools[0] = core->sagas_pool;
    figures.pools[1] = core->branches_pool;
    figures.pools[2] = core->completed_pool;
    figures.totals = core->totals;
    figures.saga_id_last = core->saga_id_last;
    figures.branches_reserved = core->branches_reserved;
    figures.errors_count = core->errors_count;
    figures.sources_count = core->sources_count;
    figures.plans_count = core->plans_count;
    if (core->names != NULL) {
        static XXH3_state_t hash;
        XXH3_128bits_reset(&hash);
        names_hash(core->names, &hash);
        figures.names = XXH3_128bits_digest(&hash);
    }
    return figures;
}

/* The sagas come last. */
static void parts_of(const struct core *core, const struct figures *figures,
                     struct part ret_parts[PARTS_COUNT])
{
    const struct core_source *sources;
    uint32_t sources_count = core_sources(core, &sources);
    const struct part parts[PARTS_COUNT] = {
        {figures, sizeof *figures},
        {core->errors, core->errors_count * sizeof *core->errors},
        {sources, sources_count * sizeof *sources},
        {core->plan_live, core->plans_count * sizeof *core->plan_live},
        {core->branches, core->branches_pool.touched * sizeof *core->branches},
        {core->completed, core->completed_pool.touched * sizeof *core->completed},
        {core->sagas, core->sagas_pool.touched * sizeof *core->sagas},
    };
    memcpy(ret_parts, parts, sizeof parts);
}

static void make_room(struct core_copy *copy, const struct part *parts)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < PARTS_COUNT; i++)
        bytes += parts[i].bytes;
    if (bytes <= copy->capacity)
        return;
    free(copy->bytes);
    copy->capacity = bytes * 2;
    copy->bytes = malloc(copy->capacity);
    assert(copy->bytes != NULL);
}

/* Who waits for a saga is not in the journal. */
static void forget_tokens(uint8_t *sagas, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += sizeof(struct saga))
        memset(sagas + at + offsetof(struct saga, token), 0, sizeof(uint64_t));
}

void core_copy_take(struct core_copy *copy, const struct core *core, uint64_t block_no)
{
    struct figures figures = figures_of(core);
    struct part parts[PARTS_COUNT];
    parts_of(core, &figures, parts);
    make_room(copy, parts);
    uint8_t *to = copy->bytes;
    for (uint32_t i = 0; i < PARTS_COUNT; i++) {
        memcpy(to, parts[i].at, parts[i].bytes);
        to += parts[i].bytes;
    }
    size_t sagas_bytes = parts[PARTS_COUNT - 1].bytes;
    forget_tokens(to - sagas_bytes, sagas_bytes);
    copy->block_no = block_no;
}

/* The figures come first, and say how long the rest is. */
bool core_copy_is_like(const struct core_copy *copy, const struct core *core)
{
    struct figures figures = figures_of(core);
    struct part parts[PARTS_COUNT];
    parts_of(core, &figures, parts);
    const uint8_t *from = copy->bytes;
    for (uint32_t i = 0; i < PARTS_COUNT; i++) {
        if (memcmp(from, parts[i].at, parts[i].bytes) != 0)
            return false;
        from += parts[i].bytes;
    }
    return true;
}

void core_copy_fini(struct core_copy *copy)
{
    free(copy->bytes);
    *copy = (struct core_copy){0};
}
