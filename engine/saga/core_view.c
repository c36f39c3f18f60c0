#include "engine/saga/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/plant.h"
#include "engine/saga/core_state.h"

const char *outcome_text(enum outcome outcome)
{
    static const char *const texts[] = {"RUNNING",     "SUCCEEDED", "FAILED",
                                        "COMPENSATED", "STUCK",     "ABORTED"};
    assert(outcome <= OUTCOME_ABORTED);
    return texts[outcome];
}

uint32_t core_add_plan(struct core *core, struct plan *plan)
{
    assert(core->plans_count < CORE_PLANS_MAX);
    core->plans[core->plans_count] = plan;
    return core->plans_count++;
}

uint32_t core_plans_count(const struct core *core)
{
    return core->plans_count;
}

const struct plan *core_plan(const struct core *core, uint32_t index)
{
    assert(index < core->plans_count);
    return core->plans[index];
}

void core_set_on_note(struct core *core, core_on_note on_note, void *context)
{
    core->on_note = on_note;
    core->on_note_context = context;
}

void core_set_durations(struct core *core, struct tally *durations_ms)
{
    core->durations_ms = durations_ms;
}

void core_set_on_end(struct core *core, core_on_end on_end, void *context)
{
    core->on_end = on_end;
    core->on_end_context = context;
}

void core_mark_token(struct core *core, uint32_t slot, uint64_t bits)
{
    core->sagas[slot].token |= bits;
}

void core_set_name_retention(struct core *core, uint64_t retention_ms)
{
    core->limits.name_retention_ms = retention_ms;
}

void core_begin_at(struct core *core, uint64_t saga_id)
{
    assert(core->saga_id_last == 0 && saga_id > 0);
    core->saga_id_last = saga_id - 1;
    core->totals.started = saga_id - 1;
}

bool core_can_take(const struct effect_queue *effects)
{
    return effect_queue_count(effects) < effect_queue_capacity_max(effects) / 4 * 3;
}

bool core_is_half_full(const struct core *core)
{
    return 2ull * core->sagas_pool.used >= core->sagas_pool.capacity ||
           2ull * core->branches_reserved >= core->branches_pool.capacity ||
           slab_used_bytes(core->payloads) >= slab_region_bytes(core->payloads) / 8 * 3;
}

bool core_can_start(const struct core *core, uint32_t plan, const struct effect_queue *effects)
{
    uint64_t branches = (uint64_t)core->branches_reserved + core_branches_of(core->plans[plan]);
    /* Three quarters for starts, the rest for what running sagas come to need. */
    uint64_t payload_bytes_max = slab_region_bytes(core->payloads) / 4 * 3;
    return !core_pool_is_empty(&core->sagas_pool) && branches <= core->branches_pool.capacity &&
           slab_used_bytes(core->payloads) < payload_bytes_max &&
           effect_queue_count(effects) < effect_queue_capacity_max(effects) / 2;
}

bool core_expects(const struct core *core, uint32_t branch, uint32_t generation)
{
    if (branch >= core->branches_pool.touched)
        return false;
    return core->branches[branch].generation == generation && core_is_invoked(core, branch);
}

bool core_is_invoked(const struct core *core, uint32_t branch)
{
    return transitions[core->branches[branch].phase][TRIGGER_RESULT].next != PHASE_FREE;
}

bool core_needs_output(const struct core *core, uint32_t branch)
{
    const struct branch *waiting = &core->branches[branch];
    if (waiting->phase != PHASE_WAITING)
        return false;
    const struct plan *plan = core->plans[core->sagas[waiting->saga].plan];
    const struct plan_state *state = &plan->states[waiting->state];
    /* A handler that begins a step for a token to end has no result yet. */
    return state->task_kind != TASK_TOKEN &&
           (state->compensated || state->result_kind != RESULT_DROPPED);
}

struct flyover_bytes core_trace(const struct core *core, uint32_t branch)
{
    return core_payload(core, core_trace_of(core, &core->sagas[core->branches[branch].saga]));
}

const uint8_t *core_payloads(const struct core *core)
{
    return slab_region(core->payloads);
}

bool core_ends_by_token(const struct core *core, uint32_t branch)
{
    const struct branch *waiting = &core->branches[branch];
    const struct saga *saga = &core->sagas[waiting->saga];
    return waiting->phase == PHASE_WAITING &&
           core->plans[saga->plan]->states[waiting->state].task_kind == TASK_TOKEN;
}

uint64_t core_heartbeat_ms(const struct core *core, uint32_t branch)
{
    const struct branch *waiting = &core->branches[branch];
    const struct saga *saga = &core->sagas[waiting->saga];
    if (waiting->phase != PHASE_WAITING && waiting->phase != PHASE_DETACHED)
        return 0;
    return core->plans[saga->plan]->states[waiting->state].heartbeat_ms;
}

bool core_beats(const struct core *core, uint32_t branch)
{
    return core->branches[branch].due_ms != core->branches[branch].deadline_ms;
}

void core_invocation(const struct core *core, uint32_t branch, struct core_invocation *ret_call)
{
    const struct branch *waiting = &core->branches[branch];
    const struct saga *saga = &core->sagas[waiting->saga];
    const struct plan_state *state = &core->plans[saga->plan]->states[waiting->state];
    bool undo = waiting->phase == PHASE_UNDO_WAITING;
    *ret_call = (struct core_invocation){
        .saga_id = saga->id,
        .step_no = waiting->step_no,
        .attempt_no = waiting->attempt_no,
        .deadline_ms = waiting->deadline_ms,
        .phase = undo ? FLYOVER_COMPENSATION : FLYOVER_FORWARD,
        .plan = saga->plan,
        .state = waiting->state,
        .resource = undo ? state->undo_resource : state->resource,
        .trace = core_trace_of(core, saga),
    };
    if (undo) {
        const struct completed *completed = &core->completed[waiting->completed];
        ret_call->input = core_payload(core, completed->input);
        ret_call->output = core_payload(core, completed->output);
    } else {
        ret_call->input = core_payload(core, waiting->payload);
    }
}

int64_t core_due_ms(const struct core *core, uint32_t branch)
{
    const struct branch *waiting = &core->branches[branch];
    if (waiting->due_ms == 0)
        return -1;
    switch ((enum phase)waiting->phase) {
    case PHASE_WAITING:
    case PHASE_BACKOFF:
    case PHASE_SLEEPING:
    case PHASE_AWAITING:
    case PHASE_UNDO_WAITING:
    case PHASE_UNDO_BACKOFF:
    case PHASE_DETACHED:
    case PHASE_DETACHED_BACKOFF: return waiting->due_ms;
    case PHASE_FREE:
    case PHASE_READY:
    case PHASE_UNDOING:
    case PHASE_STUCK:
    case PHASE_STUCK_FORWARD:
    case PHASE_ENDED:
    case PHASES_COUNT: break;
    }
    return -1;
}

int64_t core_deadline_ms(const struct core *core, uint32_t slot)
{
    const struct saga *saga = &core->sagas[slot];
    if (!saga->in_use || saga->deadline_ms == 0 || saga->outcome != OUTCOME_RUNNING ||
        saga->failed || saga->pivoted || saga->cancel != CANCEL_NONE)
        return -1;
    return saga->deadline_ms;
}

bool core_next_branch(const struct core *core, uint32_t slot, uint32_t *at)
{
    *at = *at == CORE_NO_SAGA ? core->sagas[slot].branches_head : core->branches[*at].next;
    return *at != CORE_NONE;
}

void core_prefetch_branch(const struct core *core, uint32_t branch)
{
    __builtin_prefetch(&core->branches[branch]);
}

void core_prefetch_saga(const struct core *core, uint32_t branch)
{
    const struct branch *found = &core->branches[branch];
    __builtin_prefetch(&core->sagas[found->saga]);
    if (found->payload.at != 0)
        __builtin_prefetch(slab_bytes(core->payloads, found->payload) - sizeof(uint64_t));
    if (found->completed != CORE_NONE)
        __builtin_prefetch(&core->completed[found->completed]);
}

static int compare_by_saga(const void *a, const void *b)
{
    const struct effect *left = a, *right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return left->branch < right->branch ? -1 : left->branch > right->branch;
}

void core_resume(const struct core *core, struct effect_queue *effects)
{
    assert(effect_queue_count(effects) == 0);
    effects->head = 0;
    effects->tail = 0;
    for (uint32_t index = 0; index < core->branches_pool.touched; index++) {
        const struct branch *branch = &core->branches[index];
        if (!core_is_invoked(core, index) || PLANTED(NO_RESUME))
            continue;
        *effect_queue_push(effects) = (struct effect){
            .kind = EFFECT_INVOKE,
            .saga = branch->saga,
            .branch = index,
            .generation = branch->generation,
            .id = core->sagas[branch->saga].id,
        };
    }
    qsort(effects->items, effects->tail, sizeof *effects->items, compare_by_saga);
}

bool core_view_branch(const struct core *core, uint32_t branch, struct core_branch_view *ret_view)
{
    if (branch >= core->branches_pool.touched || core->branches[branch].phase == PHASE_FREE)
        return false;
    const struct branch *seen = &core->branches[branch];
    const struct saga *saga = &core->sagas[seen->saga];
    *ret_view = (struct core_branch_view){
        .saga_id = saga->id,
        .plan = saga->plan,
        .phase = (enum phase)seen->phase,
        .state = core->plans[saga->plan]->states[seen->state].name,
        .step_no = seen->step_no,
        .attempt_no = seen->attempt_no,
        .due_ms = seen->due_ms,
        .started_ms = saga->started_ms,
        .outcome = (enum outcome)saga->outcome,
        .compensating = saga->failed && !saga->pivoted,
        .cancelled = saga->cancel != CANCEL_NONE,
    };
    return true;
}

struct flyover_bytes core_branch_payload(const struct core *core, uint32_t branch)
{
    return core_payload(core, core->branches[branch].payload);
}

static bool is_detached(const struct branch *branch)
{
    return branch->phase == PHASE_DETACHED || branch->phase == PHASE_DETACHED_BACKOFF;
}

bool core_view_saga(const struct core *core, uint32_t slot, struct core_saga_view *ret_view)
{
    if (slot >= core->sagas_pool.touched || !core->sagas[slot].in_use)
        return false;
    const struct saga *saga = &core->sagas[slot];
    uint32_t carrier = saga->branches_head;
    for (uint32_t at = carrier; at != CORE_NONE; at = core->branches[at].next)
        if (!is_detached(&core->branches[at]) || is_detached(&core->branches[carrier]))
            carrier = at;
    *ret_view = (struct core_saga_view){
        .saga_id = saga->id,
        .plan = saga->plan,
        .branch = carrier,
        .step_no = saga->step_no,
        .steps_done = saga->steps_done,
        .started_ms = saga->started_ms,
        .deadline_ms = saga->deadline_ms,
        .outcome = (enum outcome)saga->outcome,
        .compensating = saga->failed && !saga->pivoted,
        .cancelled = saga->cancel != CANCEL_NONE,
        .pivoted = saga->pivoted,
    };
    return true;
}

bool core_next_completed(const struct core *core, uint32_t slot, uint32_t *at,
                         struct event_step *ret_step)
{
    *at = *at == CORE_NO_SAGA ? core->sagas[slot].completed_head : core->completed[*at].next;
    if (*at == CORE_NONE)
        return false;
    const struct completed *completed = &core->completed[*at];
    *ret_step = (struct event_step){
        .state = completed->state,
        .step_no = completed->step_no,
        .input = core_payload(core, completed->input),
        .output = core_payload(core, completed->output),
    };
    return true;
}

uint32_t core_branches_count(const struct core *core)
{
    return core->branches_pool.touched;
}

struct flyover_bytes core_saga_error(const struct core *core, uint32_t branch)
{
    return core_error_of(core, &core->sagas[core->branches[branch].saga]);
}

struct core_room core_room(const struct core *core)
{
    return (struct core_room){
        .payload_bytes = slab_used_bytes(core->payloads),
        .payload_bytes_max = core->limits.payload_bytes_max,
        .branches = core->branches_pool.used,
        .branches_max = core->branches_pool.capacity,
        .names = core->names == NULL ? 0 : names_count(core->names),
        .names_max = core->limits.names_max,
    };
}

struct core_totals core_totals(const struct core *core)
{
    return core->totals;
}

uint64_t core_totals_ended(const struct core *core)
{
    return core->totals.ended;
}

uint64_t core_totals_decided(const struct core *core)
{
    const struct core_totals *totals = &core->totals;
    /* Each that was mended had been stuck, and is not counted there any more. */
    return totals->succeeded + totals->compensated + totals->failed + totals->aborted +
           totals->stuck + totals->mended;
}

uint32_t core_errors(const struct core *core, const struct core_error **ret_errors)
{
    *ret_errors = core->errors;
    return core->errors_count;
}

uint32_t core_sources(const struct core *core, const struct core_source **ret_sources)
{
    *ret_sources = core->sources;
    return core->sources_count < CORE_SOURCES_MAX ? core->sources_count : CORE_SOURCES_MAX;
}

uint32_t core_next_source(const struct core *core)
{
    return core->sources_count % CORE_SOURCES_MAX;
}

uint32_t core_sagas_live(const struct core *core)
{
    return core->sagas_pool.used;
}

uint32_t core_plan_live(const struct core *core, uint32_t plan)
{
    return core->plan_live[plan];
}

uint32_t core_sagas_count(const struct core *core)
{
    return core->sagas_pool.touched;
}

uint64_t core_saga_id_last(const struct core *core)
{
    return core->saga_id_last;
}

struct core_limits core_limits(const struct core *core)
{
    return core->limits;
}

uint32_t core_branches_max(const struct core *core)
{
    return core->branches_pool.capacity;
}
