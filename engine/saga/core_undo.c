#include <assert.h>
#include <string.h>

#include "engine/base/plant.h"
#include "engine/saga/core_moves.h"

const struct flyover_bytes error_runtime = {(const uint8_t *)"States.Runtime", 14};
const struct flyover_bytes error_no_choice = {(const uint8_t *)"States.NoChoiceMatched", 22};
const struct flyover_bytes error_data_limit = {(const uint8_t *)"States.DataLimitExceeded", 24};
const struct flyover_bytes error_timeout = {(const uint8_t *)"States.Timeout", 14};
const struct flyover_bytes error_cancelled = {(const uint8_t *)"Flyover.Cancelled", 17};

/* Branches that may carry one saga forward or back: those that are not detached. */
#define CARRIERS_MAX (PLAN_UNDO_BRANCHES_MAX + 1u)

static void undo_next(struct work *work);

/* ---- one compensation -------------------------------------------------------------------------
 */

/* Next: on_result or on_error with the branch in UNDO_WAITING. */
static void undo_step(struct work *work, uint32_t completed)
{
    const struct completed *step = &work->core->completed[completed];
    work_begin_step(work, step->state);
    work->branch->step_no = step->step_no;
    work->branch->completed = completed;
    work_set_deadline(work, work->plan->states[step->state].undo_timeout_ms);
    work_fire(work, TRIGGER_TASK);
}

static bool is_last_carrier(const struct saga *saga)
{
    return saga->branches_live - saga->detached_live == 1 || PLANTED(LONELY_UNDO);
}

static void end(struct work *work)
{
    struct saga *saga = work->saga;
    if (!is_last_carrier(saga)) {
        work_fire(work, TRIGGER_LEAVE);
    } else {
        work_decide(work, saga->cancel == CANCEL_ABORT ? OUTCOME_ABORTED
                          : saga->has_undone           ? OUTCOME_COMPENSATED
                                                       : OUTCOME_FAILED);
        work_fire(work, TRIGGER_END);
    }
    core_release_branch(work->core, work->branch_index);
}

/* Compensates the completed step that is the last of those nobody is at, or ends the branch when
 * none is left. */
static void undo_next(struct work *work)
{
    struct saga *saga = work->saga;
    assert(work->branch->phase == PHASE_UNDOING);
    if (saga->cancel == CANCEL_ABORT)
        core_release_all_completed(work->core, &saga->completed_head);
    uint32_t completed = saga->completed_head;
    if (completed == CORE_NONE) {
        end(work);
        return;
    }
    saga->completed_head = work->core->completed[completed].next;
    undo_step(work, completed);
}

static void release_step(struct work *work)
{
    core_release_completed(work->core, work->branch->completed);
    work->branch->completed = CORE_NONE;
}

void undo_done(struct work *work, enum trigger trigger)
{
    struct saga *saga = work->saga;
    release_step(work);
    work->branch->handling = false;
    work->branch->due_ms = 0;
    work_replace_payload(work, SLAB_NONE);
    saga->has_undone = true;
    if (PLANTED(SKIPPED_COMPENSATION) && saga->completed_head != CORE_NONE) {
        uint32_t skipped = saga->completed_head;
        saga->completed_head = work->core->completed[skipped].next;
        core_release_completed(work->core, skipped);
    }
    work_fire(work, trigger);
    undo_next(work);
}

/* Waits for an operator: at a compensation, or at a step past the pivot. */
static void park(struct work *work, enum trigger trigger)
{
    work->branch->due_ms = 0;
    if (work->saga->outcome != OUTCOME_STUCK)
        work_decide(work, OUTCOME_STUCK);
    work_fire(work, trigger);
    /* Whoever waited has been told; what comes of the mending is asked for. */
    work->saga->token = 0;
}

/* The error and what the compensation got, as the input of the way that its Catch names. */
static bool put_handling(struct work *work, const struct plan_catcher *catcher,
                         struct flyover_bytes name, struct flyover_bytes cause)
{
    static const uint8_t nil = 0xc0;
    struct core *core = work->core;
    const struct completed *step = &core->completed[work->branch->completed];
    struct flyover_bytes output = core_payload(core, step->output);
    if (output.count == 0)
        output = (struct flyover_bytes){&nil, 1};
    size_t bytes = value_make_undo(core_payload(core, step->input), output, core->scratch,
                                   sizeof core->scratch);
    if (bytes == 0)
        return false;
    slab_ref payload =
        core_keep_bytes(core, (struct flyover_bytes){core->scratch, (uint32_t)bytes});
    if (payload.at == 0)
        return false;
    work_replace_payload(work, payload);
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + 64];
    bytes = value_make_error(name, cause, error, sizeof error);
    assert(bytes > 0);
    return work_put_result(work, catcher->result_kind, &catcher->result_path,
                           (struct flyover_bytes){error, (uint32_t)bytes});
}

void undo_failed(struct work *work, struct flyover_bytes name, struct flyover_bytes cause)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    if (work->saga->cancel == CANCEL_ABORT) {
        release_step(work);
        work_fire(work, TRIGGER_RESULT);
        undo_next(work);
        return;
    }
    uint16_t index =
        plan_find_catcher(work->plan, state->undo_catchers_first, state->undo_catchers_count, name);
    if (index == UINT16_MAX || !put_handling(work, &work->plan->catchers[index], name, cause)) {
        park(work, TRIGGER_FAIL);
        return;
    }
    work->branch->handling = true;
    work->branch->due_ms = 0;
    work_fire(work, TRIGGER_CAUGHT);
    walk(work, work->plan->catchers[index].next);
}

/* ---- a saga fails -----------------------------------------------------------------------------
 */

static void keep_error(struct work *work, struct flyover_bytes name, struct flyover_bytes cause)
{
    struct core *core = work->core;
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + 64];
    size_t bytes = value_make_error(name, cause, error, sizeof error);
    assert(bytes > 0);
    slab_release(core->payloads, work->saga->error);
    work->saga->error = core_keep_bytes(core, (struct flyover_bytes){error, (uint32_t)bytes});
}

/* Compensates what was done: on this branch, and with compensations in parallel on more. Next:
 * undo_next on each. */
static void turn_back(struct work *work)
{
    struct core *core = work->core;
    struct saga *saga = work->saga;
    assert(!saga->failed);
    saga->failed = true;
    work->branch->due_ms = 0;
    work_fire(work, TRIGGER_FAIL);
    /* The last branch to end takes the saga with it: none ends before all are there. */
    struct work others[PLAN_UNDO_BRANCHES_MAX];
    uint32_t others_count = 0, steps_count = 0;
    for (uint32_t at = saga->completed_head; at != CORE_NONE && steps_count <= CARRIERS_MAX;
         at = core->completed[at].next)
        steps_count++;
    while (saga->cancel != CANCEL_ABORT && others_count + 1 < work->plan->undo_branches &&
           others_count + 1 < steps_count) {
        struct work other = work_on(work, core_acquire_branch(core, work->branch->saga));
        work_fire(&other, TRIGGER_FAIL);
        others[others_count++] = other;
    }
    undo_next(work);
    for (uint32_t i = 0; i < others_count; i++)
        undo_next(&others[i]);
}

bool undo_is_told(const struct work *work)
{
    return work->branch->handling ? work->saga->cancel == CANCEL_ABORT
                                  : work->saga->cancel != CANCEL_NONE;
}

void undo_as_told(struct work *work)
{
    bool handling = work->branch->handling;
    release_step(work);
    work->branch->handling = false;
    work->branch->due_ms = 0;
    work_replace_payload(work, SLAB_NONE);
    if (!handling) {
        turn_back(work);
        return;
    }
    work_fire(work, TRIGGER_FAIL);
    undo_next(work);
}

void undo_fail(struct work *work, struct flyover_bytes name, struct flyover_bytes cause)
{
    if (undo_is_told(work)) {
        undo_as_told(work);
        return;
    }
    if (work->branch->handling) {
        /* The step stays in hand: an operator may have its compensation tried again. */
        work->branch->handling = false;
        work_replace_payload(work, SLAB_NONE);
        work->branch->state = work->core->completed[work->branch->completed].state;
        work_fire(work, TRIGGER_FAIL);
        park(work, TRIGGER_PARK);
        return;
    }
    release_step(work);
    if (work->saga->pivoted) {
        keep_error(work, name, cause);
        work->saga->failed = true;
        park(work, TRIGGER_PARK);
        return;
    }
    /* No step will ask for it again, and the error may need its room. */
    work_replace_payload(work, SLAB_NONE);
    keep_error(work, name, cause);
    turn_back(work);
}

void undo_fail_with(struct work *work, struct flyover_bytes name, const char *cause)
{
    undo_fail(work, name, (struct flyover_bytes){(const uint8_t *)cause, (uint32_t)strlen(cause)});
}

/* ---- by an operator ---------------------------------------------------------------------------
 */

/* The branches that carry the saga; a move may end any of them, but only its own. */
static uint32_t list_carriers(const struct work *work, uint32_t ret_branches[CARRIERS_MAX])
{
    uint32_t count = 0;
    for (uint32_t at = work->saga->branches_head; at != CORE_NONE;
         at = work->core->branches[at].next) {
        uint8_t phase = work->core->branches[at].phase;
        if (phase == PHASE_DETACHED || phase == PHASE_DETACHED_BACKOFF)
            continue;
        assert(count < CARRIERS_MAX);
        ret_branches[count++] = at;
    }
    return count;
}

/* A handler that has the step in hand is waited for; all else stops now. */
static void stop_branch(struct work *work, bool undo_begun)
{
    switch ((enum phase)work->branch->phase) {
    case PHASE_BACKOFF:
    case PHASE_SLEEPING: undo_as_told(work); break;
    case PHASE_AWAITING:
        if (undo_begun)
            walk_keep_begun(work);
        undo_as_told(work);
        break;
    case PHASE_UNDO_BACKOFF:
        work->branch->due_ms = 0;
        release_step(work);
        work_fire(work, TRIGGER_MEND);
        undo_next(work);
        break;
    case PHASE_WAITING:
        if (PLANTED(HASTY_CANCEL))
            undo_as_told(work);
        break;
    case PHASE_UNDO_WAITING: break;
    case PHASE_FREE:
    case PHASE_READY:
    case PHASE_UNDOING:
    case PHASE_DETACHED:
    case PHASE_DETACHED_BACKOFF:
    case PHASE_STUCK:
    case PHASE_STUCK_FORWARD:
    case PHASE_ENDED:
    case PHASES_COUNT: assert(false && "no branch of a saga that can be cancelled rests there");
    }
}

void undo_cancel(struct work *work, enum cancel cancel, bool undo_begun, struct flyover_bytes name,
                 struct flyover_bytes cause)
{
    uint32_t branches[CARRIERS_MAX];
    uint32_t count = list_carriers(work, branches);
    bool back = work->saga->failed;
    work->saga->cancel = cancel & 3u;
    if (!back)
        keep_error(work, name, cause);
    for (uint32_t i = 0; i < count; i++) {
        struct work carrier = work_on(work, branches[i]);
        if (!back || cancel == CANCEL_ABORT)
            stop_branch(&carrier, undo_begun);
    }
}

static void mend_compensation(struct work *work, enum mend_action action)
{
    uint32_t completed = work->branch->completed;
    work->branch->completed = CORE_NONE;
    work_fire(work, TRIGGER_MEND);
    if (action == MEND_RETRY) {
        undo_step(work, completed);
        return;
    }
    core_release_completed(work->core, completed);
    work->saga->has_undone = true;
    if (action == MEND_RESOLVE)
        core_release_all_completed(work->core, &work->saga->completed_head);
    undo_next(work);
}

static void mend_forward(struct work *work, enum mend_action action, struct flyover_bytes output)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    work->saga->failed = false;
    slab_release(work->core->payloads, work->saga->error);
    work->saga->error = SLAB_NONE;
    work_fire(work, TRIGGER_MEND);
    switch (action) {
    case MEND_RETRY: walk_again(work); break;
    case MEND_RESOLVE: walk_succeed(work); break;
    case MEND_SKIP:
        if (output.count > 0 &&
            !work_put_result(work, state->result_kind, &state->result_path, output))
            undo_fail_with(work, error_data_limit, "no room for the output of the step");
        else
            walk(work, state->next);
        break;
    }
}

void undo_mend(struct work *work, enum mend_action action, struct flyover_bytes output)
{
    uint32_t branches[CARRIERS_MAX];
    uint32_t count = list_carriers(work, branches);
    work->saga->outcome = OUTCOME_RUNNING;
    work->core->totals.stuck--;
    work->core->totals.mended++;
    for (uint32_t i = 0; i < count; i++) {
        struct work carrier = work_on(work, branches[i]);
        if (carrier.branch->phase == PHASE_STUCK)
            mend_compensation(&carrier, action);
        else if (carrier.branch->phase == PHASE_STUCK_FORWARD)
            mend_forward(&carrier, action, output);
    }
}

void undo_skip_waits(struct work *work)
{
    uint32_t branches[CARRIERS_MAX];
    uint32_t count = list_carriers(work, branches);
    for (uint32_t i = 0; i < count; i++) {
        struct work carrier = work_on(work, branches[i]);
        if (carrier.branch->phase == PHASE_SLEEPING)
            walk_wake(&carrier);
    }
}
