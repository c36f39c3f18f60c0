#include "engine/saga/core_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/region.h"

static struct pool pool_of(uint32_t capacity)
{
    return (struct pool){.head = CORE_NONE, .capacity = capacity};
}

enum status core_open(const struct core_limits *limits, struct core **ret_core)
{
    if (limits->sagas_max == 0 || limits->sagas_max > CORE_SAGAS_MAX ||
        limits->payload_bytes_max < (16u << 20) || limits->names_max > NAMES_MAX)
        return STATUS_INVALID;
    struct core *core = calloc(1, sizeof *core);
    if (core == NULL)
        return STATUS_NO_MEMORY;
    core->limits = *limits;
    core->sagas_pool = pool_of(limits->sagas_max);
    core->branches_pool = pool_of(limits->sagas_max * BRANCHES_PER_SAGA);
    core->completed_pool = pool_of(limits->sagas_max * COMPLETED_PER_SAGA);
    core->sagas =
        region_map((uint64_t)core->sagas_pool.capacity * sizeof *core->sagas, REGION_STATE);
    core->branches =
        region_map((uint64_t)core->branches_pool.capacity * sizeof *core->branches, REGION_STATE);
    core->completed =
        region_map((uint64_t)core->completed_pool.capacity * sizeof *core->completed, REGION_STATE);
    core->index_lines = limits->sagas_max / 8 + 1;
    core->index =
        region_map((uint64_t)core->index_lines * INDEX_LINE * sizeof *core->index, REGION_STATE);
    enum status status = slab_open(limits->payload_bytes_max, &core->payloads);
    if (status == STATUS_OK && limits->names_max > 0)
        status = names_open(limits->names_max, &core->names);
    if (core->sagas == NULL || core->branches == NULL || core->completed == NULL ||
        core->index == NULL)
        status = STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        core_close(core);
        return status;
    }
    *ret_core = core;
    return STATUS_OK;
}

void core_close(struct core *core)
{
    if (core == NULL)
        return;
    for (uint32_t i = 0; i < core->plans_count; i++)
        plan_free(core->plans[i]);
    region_unmap(core->sagas, (uint64_t)core->sagas_pool.capacity * sizeof *core->sagas);
    region_unmap(core->branches, (uint64_t)core->branches_pool.capacity * sizeof *core->branches);
    region_unmap(core->completed,
                 (uint64_t)core->completed_pool.capacity * sizeof *core->completed);
    region_unmap(core->index, (uint64_t)core->index_lines * INDEX_LINE * sizeof *core->index);
    slab_close(core->payloads);
    names_close(core->names);
    free(core);
}

/* ---- by id ------------------------------------------------------------------------------------
 */

/* A place holds slot + 1, so that memory that was never touched is empty. */
static uint32_t *index_line(const struct core *core, uint64_t saga_id)
{
    return core->index + saga_id / 8 % core->index_lines * INDEX_LINE;
}

void core_index_add(struct core *core, uint32_t slot)
{
    uint32_t *line = index_line(core, core->sagas[slot].id);
    for (uint32_t i = 0; i < INDEX_LINE; i++) {
        if (line[i] == 0) {
            line[i] = slot + 1;
            return;
        }
    }
    core->index_missed++;
}

void core_index_remove(struct core *core, uint32_t slot)
{
    uint32_t *line = index_line(core, core->sagas[slot].id);
    for (uint32_t i = 0; i < INDEX_LINE; i++) {
        if (line[i] == slot + 1) {
            line[i] = 0;
            return;
        }
    }
    assert(core->index_missed > 0);
    core->index_missed--;
}

void core_index_rebuild(struct core *core)
{
    for (uint32_t slot = 0; slot < core->sagas_pool.touched; slot++)
        if (core->sagas[slot].in_use)
            core_index_add(core, slot);
}

uint32_t core_find_saga(const struct core *core, uint64_t saga_id)
{
    if (saga_id == 0 || saga_id > core->saga_id_last)
        return CORE_NO_SAGA;
    const uint32_t *line = index_line(core, saga_id);
    for (uint32_t i = 0; i < INDEX_LINE; i++)
        if (line[i] != 0 && core->sagas[line[i] - 1].id == saga_id)
            return line[i] - 1;
    for (uint32_t slot = 0; core->index_missed > 0 && slot < core->sagas_pool.touched; slot++)
        if (core->sagas[slot].in_use && core->sagas[slot].id == saga_id)
            return slot;
    return CORE_NO_SAGA;
}

bool core_is_live(void *context, uint64_t saga_id)
{
    return core_find_saga(context, saga_id) != CORE_NO_SAGA;
}

/* ---- slots ------------------------------------------------------------------------------------
 */

uint32_t core_acquire_saga(struct core *core)
{
    struct pool *pool = &core->sagas_pool;
    assert(!core_pool_is_empty(pool));
    uint32_t index = pool->head;
    if (index != CORE_NONE)
        pool->head = core->sagas[index].completed_head;
    else
        index = pool->touched++;
    pool->used++;
    return index;
}

uint32_t core_branches_of(const struct plan *plan)
{
    return plan->detached_count + plan->undo_branches;
}

static void note_end(const struct core *core, const struct saga *saga)
{
    /* One that was mended, and succeeded, may have been stuck at an error before. */
    bool has_error = saga->has_counted && saga->outcome != OUTCOME_SUCCEEDED;
    struct core_note note = {
        .kind = CORE_NOTE_ENDED,
        .saga_id = saga->id,
        .plan = saga->plan,
        .outcome = (enum outcome)saga->outcome,
        .error = has_error ? saga->error_index : CORE_NO_ERROR,
        .started_ms = saga->started_ms,
        .steps = saga->steps_done,
    };
    core->on_note(core->on_note_context, &note);
}

static void release_saga(struct core *core, uint32_t index)
{
    struct saga *saga = &core->sagas[index];
    if (core->on_note != NULL)
        note_end(core, saga);
    core_index_remove(core, index);
    slab_release(core->payloads, saga->error);
    core_release_all_completed(core, &saga->completed_head);
    core_release_all_completed(core, &saga->signals_head);
    core->branches_reserved -= core_branches_of(core->plans[saga->plan]);
    core->plan_live[saga->plan]--;
    core->totals.ended++;
    core->totals.steps_ended += saga->steps_done;
    saga->in_use = false;
    saga->id = 0;
    saga->completed_head = core->sagas_pool.head;
    core->sagas_pool.head = index;
    core->sagas_pool.used--;
}

uint32_t core_acquire_branch(struct core *core, uint32_t saga_index)
{
    struct pool *pool = &core->branches_pool;
    assert(!core_pool_is_empty(pool));
    uint32_t index = pool->head;
    if (index != CORE_NONE)
        pool->head = core->branches[index].next;
    else
        index = pool->touched++;
    pool->used++;
    struct branch *branch = &core->branches[index];
    struct saga *saga = &core->sagas[saga_index];
    uint32_t generation = branch->generation;
    memset(branch, 0, sizeof *branch);
    branch->generation = generation;
    branch->saga = saga_index;
    branch->phase = PHASE_READY;
    branch->completed = CORE_NONE;
    branch->next = saga->branches_head;
    saga->branches_head = index;
    if (saga->branches_live++ > 0 && core->on_note != NULL) {
        struct core_note note = {.kind = CORE_NOTE_BRANCH, .saga_id = saga->id, .branch = index};
        core->on_note(core->on_note_context, &note);
    }
    return index;
}

static void unlink_branch(struct core *core, struct saga *saga, uint32_t index)
{
    uint32_t *link = &saga->branches_head;
    while (*link != index)
        link = &core->branches[*link].next;
    *link = core->branches[index].next;
}

void core_release_branch(struct core *core, uint32_t index)
{
    struct branch *branch = &core->branches[index];
    struct saga *saga = &core->sagas[branch->saga];
    slab_release(core->payloads, branch->payload);
    branch->payload = SLAB_NONE;
    branch->phase = PHASE_FREE;
    unlink_branch(core, saga, index);
    branch->next = core->branches_pool.head;
    core->branches_pool.head = index;
    core->branches_pool.used--;
    assert(saga->branches_live > 0);
    if (--saga->branches_live == 0)
        release_saga(core, branch->saga);
}

uint32_t core_acquire_completed(struct core *core)
{
    struct pool *pool = &core->completed_pool;
    if (core_pool_is_empty(pool))
        return CORE_NONE;
    uint32_t index = pool->head;
    if (index != CORE_NONE)
        pool->head = core->completed[index].next;
    else
        index = pool->touched++;
    pool->used++;
    core->completed[index] = (struct completed){.next = CORE_NONE};
    return index;
}

void core_release_completed(struct core *core, uint32_t index)
{
    if (index == CORE_NONE)
        return;
    struct completed *completed = &core->completed[index];
    slab_release(core->payloads, completed->input);
    slab_release(core->payloads, completed->output);
    completed->next = core->completed_pool.head;
    core->completed_pool.head = index;
    core->completed_pool.used--;
}

void core_release_all_completed(struct core *core, uint32_t *head)
{
    while (*head != CORE_NONE) {
        uint32_t index = *head;
        *head = core->completed[index].next;
        core_release_completed(core, index);
    }
}

slab_ref core_keep_bytes(struct core *core, struct flyover_bytes bytes)
{
    slab_ref ref = slab_acquire(core->payloads, bytes.count);
    if (ref.at != 0)
        memcpy(slab_bytes(core->payloads, ref), bytes.at, bytes.count);
    return ref;
}

struct flyover_bytes core_payload(const struct core *core, slab_ref ref)
{
    if (ref.at == 0)
        return (struct flyover_bytes){0};
    return (struct flyover_bytes){slab_bytes(core->payloads, ref),
                                  slab_bytes_count(core->payloads, ref)};
}

struct flyover_bytes core_error_of(const struct core *core, const struct saga *saga)
{
    static const char no_room[] = "\x82\xa5"
                                  "Error"
                                  "\xb8States.DataLimitExceeded"
                                  "\xa5"
                                  "Cause"
                                  "\xb9no room to keep the error";
    if (saga->failed && saga->error.at == 0)
        return (struct flyover_bytes){(const uint8_t *)no_room, sizeof no_room - 1};
    return core_payload(core, saga->error);
}
