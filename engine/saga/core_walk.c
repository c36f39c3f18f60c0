#include <assert.h>
#include <string.h>

#include "engine/base/plant.h"
#include "engine/saga/core_moves.h"

/* Runs a fire-and-forget step on a branch of its own. */
static void detach(struct work *work, uint16_t state)
{
    struct core *core = work->core;
    struct work detached = work_on(work, core_acquire_branch(core, work->branch->saga));
    detached.branch->payload = work->branch->payload;
    slab_retain(core->payloads, work->branch->payload);
    work_begin_step(&detached, state);
    detached.branch->step_no = ++work->saga->step_no;
    work->saga->detached_live++;
    work_set_deadline(&detached, work->plan->states[state].timeout_ms);
    work_fire(&detached, TRIGGER_DETACH);
}

/* Takes the oldest signal of that name that came before it was waited for. The caller releases the
 * entry. */
static uint32_t take_kept_signal(struct work *work, uint16_t signal)
{
    struct completed *completed = work->core->completed;
    uint32_t *link = &work->saga->signals_head;
    while (*link != CORE_NONE && completed[*link].state != signal)
        link = &completed[*link].next;
    uint32_t found = *link;
    if (found != CORE_NONE)
        *link = completed[found].next;
    return found;
}

/* The payload of a signal that is there already is the answer. */
static void answer_from_kept(struct work *work, uint32_t kept)
{
    struct core *core = work->core;
    work->saga->steps_done++;
    core->totals.steps++;
    walk_step_done(work, TRIGGER_SIGNAL, core_payload(core, core->completed[kept].input));
    core_release_completed(core, kept);
}

void walk_ask(struct work *work)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    /* The time of a step that a handler begins and a token ends runs from its beginning. */
    work_set_deadline(work, state->timeout_ms);
    if (state->task_kind != TASK_SIGNAL) {
        work_fire(work, work->branch->phase == PHASE_BACKOFF ? TRIGGER_TIMER : TRIGGER_TASK);
        return;
    }
    work->branch->attempt_no++;
    work_fire(work, TRIGGER_AWAIT);
    uint32_t kept = take_kept_signal(work, state->signal);
    if (kept != CORE_NONE)
        answer_from_kept(work, kept);
}

/* Begins the Task in `state`: an entry for its compensation is taken before it runs, so that a
 * step that completed can always be remembered. False where that failed the saga. */
static bool begin_task(struct work *work, uint16_t state)
{
    bool remembered = work->plan->states[state].compensated && !work->saga->pivoted;
    work_begin_step(work, state);
    if (remembered) {
        work->branch->completed = core_acquire_completed(work->core);
        if (work->branch->completed == CORE_NONE) {
            undo_fail_with(work, error_runtime, "no room to remember another completed step");
            return false;
        }
    }
    work->branch->step_no = ++work->saga->step_no;
    return true;
}

void walk_again(struct work *work)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    if (state->type != STATE_TASK || state->fire_and_forget || work->branch->step_no == 0) {
        walk(work, work->branch->state);
        return;
    }
    uint32_t attempt_no = work->branch->attempt_no;
    work_begin_step(work, work->branch->state);
    /* Counted on, so that no token of an attempt before is good for one of these. */
    work->branch->attempt_no = attempt_no;
    walk_ask(work);
}

void walk_succeed(struct work *work)
{
    if (work->branch->handling) {
        undo_done(work, TRIGGER_HANDLED);
        return;
    }
    work_decide(work, OUTCOME_SUCCEEDED);
    core_release_all_completed(work->core, &work->saga->completed_head);
    work_fire(work, TRIGGER_END);
    core_release_branch(work->core, work->branch_index);
}

static void sleep_until(struct work *work, const struct plan_state *state)
{
    const char *reason;
    struct flyover_bytes input = core_payload(work->core, work->branch->payload);
    int64_t until_ms;
    if (!plan_wait_until(state, input, work->now_ms, &until_ms, &reason)) {
        undo_fail_with(work, error_runtime, reason);
        return;
    }
    work->branch->due_ms = until_ms;
    work_fire(work, TRIGGER_SLEEP);
}

void walk_wake(struct work *work)
{
    struct branch *branch = work->branch;
    bool delayed = branch->delayed;
    branch->delayed = false;
    branch->due_ms = 0;
    work_fire(work, TRIGGER_TIMER);
    if (delayed)
        start_set_deadline(work);
    walk(work, delayed ? branch->state : work->plan->states[branch->state].next);
}

static void remember_step(struct work *work, struct completed *completed,
                          struct flyover_bytes output, bool *ret_room)
{
    struct core *core = work->core;
    struct branch *branch = work->branch;
    completed->state = branch->state;
    completed->step_no = branch->step_no;
    completed->input = branch->payload;
    slab_retain(core->payloads, branch->payload);
    if (output.count > 0) {
        completed->output = core_keep_bytes(core, output);
        *ret_room = completed->output.at != 0;
    }
    completed->next = work->saga->completed_head;
    work->saga->completed_head = branch->completed;
    branch->completed = CORE_NONE;
    if (PLANTED(FORWARD_COMPENSATION) && completed->next != CORE_NONE) {
        uint32_t *last = &core->completed[completed->next].next;
        while (*last != CORE_NONE)
            last = &core->completed[*last].next;
        *last = work->saga->completed_head;
        work->saga->completed_head = completed->next;
        completed->next = CORE_NONE;
    }
}

void walk_keep_begun(struct work *work)
{
    assert(work->branch->phase == PHASE_AWAITING && !work->branch->handling);
    if (work->branch->completed == CORE_NONE)
        return;
    bool room;
    remember_step(work, &work->core->completed[work->branch->completed], (struct flyover_bytes){0},
                  &room);
}

/* Nothing before this step can be undone any more, and a wish to came too late. */
static void pass_pivot(struct work *work)
{
    struct saga *saga = work->saga;
    saga->pivoted = true;
    if (PLANTED(LEAKY_PIVOT))
        return;
    core_release_all_completed(work->core, &saga->completed_head);
    if (saga->cancel == CANCEL_COMPENSATE) {
        saga->cancel = CANCEL_NONE;
        slab_release(work->core->payloads, saga->error);
        saga->error = SLAB_NONE;
    }
}

void walk_step_done(struct work *work, enum trigger trigger, struct flyover_bytes output)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    bool room = true;
    work_fire(work, trigger);
    work->branch->due_ms = 0;
    if (work->branch->completed != CORE_NONE && !work->branch->handling)
        remember_step(work, &work->core->completed[work->branch->completed], output, &room);
    /* A step that a token ends has only begun when its handler answers, which comes here where the
     * saga was cancelled meanwhile: what was begun is undone. */
    if (state->pivot && (state->task_kind != TASK_TOKEN || trigger == TRIGGER_SIGNAL))
        pass_pivot(work);
    if (undo_is_told(work))
        undo_as_told(work);
    else if (!room || !work_put_result(work, state->result_kind, &state->result_path, output))
        undo_fail_with(work, error_data_limit, "no room for the output of the step");
    else
        walk(work, state->next);
}

/* A Task. True: it runs beside, and `*at` is what follows. */
static bool pass_task(struct work *work, uint16_t *at)
{
    const struct plan_state *state = &work->plan->states[*at];
    if (work->saga->step_no >= CORE_STEPS_MAX) {
        /* This one is not begun, and has no number that a retry by hand could take again. */
        work->branch->step_no = 0;
        undo_fail_with(work, error_runtime, "the saga has taken as many steps as it may, 25000");
        return false;
    }
    if (!state->fire_and_forget) {
        if (begin_task(work, *at))
            walk_ask(work);
        return false;
    }
    if (work->saga->detached_live == work->plan->detached_count) {
        undo_fail_with(work, error_runtime,
                       "a loop came to a fire-and-forget step that still runs");
        return false;
    }
    detach(work, *at);
    *at = state->next;
    return true;
}

void walk(struct work *work, uint16_t at)
{
    /* One turn more than may be passed, for the step or the end behind them. */
    for (uint32_t passed = 0; passed <= CORE_WALK_MAX; passed++) {
        if (at == PLAN_NO_STATE) {
            walk_succeed(work);
            return;
        }
        const struct plan_state *state = &work->plan->states[at];
        work->branch->state = at;
        switch (state->type) {
        case STATE_TASK:
            if (!pass_task(work, &at))
                return;
            break;
        case STATE_PASS:
            if (state->has_result &&
                !work_put_result(work, state->result_kind, &state->result_path, state->result)) {
                undo_fail_with(work, error_data_limit, "the payload would be larger than 256 KiB");
                return;
            }
            at = state->next;
            break;
        case STATE_CHOICE:
            at = plan_choose(work->plan, state, core_payload(work->core, work->branch->payload));
            if (at == PLAN_NO_STATE) {
                undo_fail_with(work, error_no_choice, "no choice matched and there is no Default");
                return;
            }
            break;
        case STATE_WAIT: sleep_until(work, state); return;
        case STATE_SUCCEED: walk_succeed(work); return;
        case STATE_FAIL: undo_fail(work, state->error, state->cause); return;
        }
    }
    undo_fail_with(work, error_runtime, "1000 states passed without a step: a circle?");
}
