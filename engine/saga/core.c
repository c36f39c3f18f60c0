#include "engine/saga/core.h"

#include <assert.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/plant.h"
#include "engine/saga/core_state.h"

/* The state in work: one event on one branch. */
struct work {
    struct core *core;
    struct effect_queue *effects;
    int64_t now_ms;
    uint32_t branch_index;
    struct branch *branch;
    struct saga *saga;
    const struct plan *plan;
};

static const struct flyover_bytes name_runtime = {(const uint8_t *)"States.Runtime", 14};
static const struct flyover_bytes name_no_choice = {(const uint8_t *)"States.NoChoiceMatched", 22};
static const struct flyover_bytes name_data_limit = {(const uint8_t *)"States.DataLimitExceeded",
                                                     24};

static void replace_payload(struct work *work, slab_ref payload)
{
    slab_release(work->core->payloads, work->branch->payload);
    work->branch->payload = payload;
}

/* Puts a result where the path says. False where there is no room for what would come out. */
static bool put_result(struct work *work, enum result_path_kind kind, const struct path *path,
                       struct flyover_bytes result)
{
    static const uint8_t nil = 0xc0;
    struct core *core = work->core;
    if (kind == RESULT_DROPPED)
        return true;
    if (result.count == 0)
        result = (struct flyover_bytes){&nil, 1};
    if (kind == RESULT_INTO) {
        struct flyover_bytes input = core_payload(core, work->branch->payload);
        size_t bytes = value_put_at(input, path, result, core->scratch, sizeof core->scratch);
        if (bytes == 0)
            return false;
        result = (struct flyover_bytes){core->scratch, (uint32_t)bytes};
    }
    slab_ref payload = core_keep_bytes(core, result);
    if (payload.at == 0)
        return false;
    replace_payload(work, payload);
    return true;
}

/* ---- moves: every one is a row of the table -------------------------------------------------- */

/* Moves the branch by the table and asks for the row's effect. The caller knows the row is there.
 */
static void fire(struct work *work, enum trigger trigger)
{
    struct branch *branch = work->branch;
    struct transition row = transitions[branch->phase][trigger];
    assert(row.next != PHASE_FREE);
    branch->phase = row.next;
    if (row.effect == EFFECT_NONE)
        return;
    if (row.effect == EFFECT_INVOKE) {
        if (!PLANTED(SAME_GENERATION))
            branch->generation++;
        branch->attempt_no++;
    }
    struct effect *effect = effect_queue_push(work->effects);
    *effect = (struct effect){
        .kind = row.effect,
        .outcome = work->saga->outcome,
        .saga = branch->saga,
        .branch = work->branch_index,
        .generation = branch->generation,
        .id = work->saga->id,
        .token = work->saga->token,
    };
}

static void count_error(struct core *core, struct flyover_bytes error)
{
    struct flyover_cursor cursor = {error.at, error.at + error.count};
    struct flyover_cursor found;
    struct flyover_bytes name = {(const uint8_t *)"other", 5};
    if (flyover_find(&cursor, "Error", &found))
        (void)flyover_read_str(&found, &name);
    assert(name.count <= FLYOVER_ERROR_NAME_BYTES_MAX);
    uint32_t index = 0;
    while (index < core->errors_count && (strlen(core->errors[index].name) != name.count ||
                                          memcmp(core->errors[index].name, name.at, name.count)))
        index++;
    if (index == CORE_ERRORS_MAX)
        index = CORE_ERRORS_MAX - 1;
    if (index == core->errors_count) {
        bool last = index == CORE_ERRORS_MAX - 1;
        memcpy(core->errors[index].name, last ? "other" : (const char *)name.at,
               last ? 5 : name.count);
        core->errors_count++;
    }
    core->errors[index].count++;
}

/* The outcome of the saga is known: counts it. The reply leaves by the row that ends the branch. */
static void decide(struct work *work, enum outcome outcome)
{
    struct core *core = work->core;
    work->saga->outcome = (uint8_t)outcome;
    if (outcome != OUTCOME_SUCCEEDED)
        count_error(core, core_error_of(core, work->saga));
    switch (outcome) {
    case OUTCOME_SUCCEEDED: core->totals.succeeded++; break;
    case OUTCOME_FAILED: core->totals.failed++; break;
    case OUTCOME_COMPENSATED: core->totals.compensated++; break;
    case OUTCOME_STUCK: core->totals.stuck++; break;
    case OUTCOME_RUNNING: assert(false && "running is no outcome"); break;
    }
}

static void begin_step(struct work *work, uint16_t state)
{
    struct branch *branch = work->branch;
    branch->state = state;
    branch->attempt_no = 0;
    branch->retries_spent = 0;
    memset(branch->retried, 0, sizeof branch->retried);
}

/* Compensates the step completed last, or ends the saga when none is left.
 * Next: on_result or on_error with the branch in UNDO_WAITING. */
static void undo_next(struct work *work)
{
    struct core *core = work->core;
    struct saga *saga = work->saga;
    assert(work->branch->phase == PHASE_UNDOING);
    uint32_t index = saga->completed_head;
    if (index == CORE_NONE) {
        decide(work, saga->undone_count > 0 ? OUTCOME_COMPENSATED : OUTCOME_FAILED);
        fire(work, TRIGGER_END);
        core_release_branch(core, work->branch_index);
        return;
    }
    begin_step(work, core->completed[index].state);
    work->branch->step_no = core->completed[index].step_no;
    work->branch->completed = index;
    fire(work, TRIGGER_TASK);
}

/* The saga has failed for good: remembers why, and compensates. Next: undo_next. */
static void fail(struct work *work, struct flyover_bytes name, struct flyover_bytes cause)
{
    struct core *core = work->core;
    core_release_completed(core, work->branch->completed);
    work->branch->completed = CORE_NONE;
    size_t bytes = value_make_error(name, cause, core->scratch, sizeof core->scratch);
    assert(bytes > 0);
    struct flyover_bytes error = {core->scratch, (uint32_t)bytes};
    assert(!work->saga->failed);
    /* No step will ask for it again, and the error may need its room. */
    replace_payload(work, SLAB_NONE);
    work->saga->failed = true;
    work->saga->error = core_keep_bytes(core, error);
    fire(work, TRIGGER_FAIL);
    undo_next(work);
}

static void fail_with(struct work *work, struct flyover_bytes name, const char *cause)
{
    fail(work, name, (struct flyover_bytes){(const uint8_t *)cause, (uint32_t)strlen(cause)});
}

/* Runs a fire-and-forget step on a branch of its own. */
static void detach(struct work *work, uint16_t state)
{
    struct core *core = work->core;
    uint32_t index = core_acquire_branch(core, work->branch->saga);
    struct work detached = *work;
    detached.branch_index = index;
    detached.branch = &core->branches[index];
    detached.branch->payload = work->branch->payload;
    slab_retain(core->payloads, work->branch->payload);
    begin_step(&detached, state);
    detached.branch->step_no = ++work->saga->step_no;
    work->saga->detached_live++;
    fire(&detached, TRIGGER_DETACH);
}

/* Begins the Task in `state`: an entry for its compensation is taken before it runs, so that a
 * step that completed can always be remembered. Next: on_result or on_error. */
static void begin_task(struct work *work, uint16_t state)
{
    begin_step(work, state);
    if (work->plan->states[state].compensated) {
        work->branch->completed = core_acquire_completed(work->core);
        if (work->branch->completed == CORE_NONE) {
            fail_with(work, name_runtime, "no room to remember another completed step");
            return;
        }
    }
    work->branch->step_no = ++work->saga->step_no;
    fire(work, TRIGGER_TASK);
}

static void succeed(struct work *work)
{
    decide(work, OUTCOME_SUCCEEDED);
    uint32_t index = work->saga->completed_head;
    while (index != CORE_NONE) {
        uint32_t next = work->core->completed[index].next;
        core_release_completed(work->core, index);
        index = next;
    }
    work->saga->completed_head = CORE_NONE;
    fire(work, TRIGGER_END);
    core_release_branch(work->core, work->branch_index);
}

/* Goes from state to state until a step has to be waited for or the saga is at its end. */
static void walk(struct work *work, uint16_t at)
{
    /* One turn more than may be passed, for the step or the end behind them. */
    for (uint32_t passed = 0; passed <= CORE_WALK_MAX; passed++) {
        if (at == PLAN_NO_STATE) {
            succeed(work);
            return;
        }
        const struct plan_state *state = &work->plan->states[at];
        work->branch->state = at;
        switch (state->type) {
        case STATE_TASK:
            if (work->saga->step_no >= CORE_STEPS_MAX) {
                fail_with(work, name_runtime, "the saga has taken as many steps as it may, 25000");
                return;
            }
            if (!state->fire_and_forget) {
                begin_task(work, at);
                return;
            }
            if (work->saga->detached_live == work->plan->detached_count) {
                fail_with(work, name_runtime,
                          "a loop came to a fire-and-forget step that still runs");
                return;
            }
            detach(work, at);
            at = state->next;
            break;
        case STATE_PASS:
            if (state->has_result &&
                !put_result(work, state->result_kind, &state->result_path, state->result)) {
                fail_with(work, name_data_limit, "the payload would be larger than 256 KiB");
                return;
            }
            at = state->next;
            break;
        case STATE_CHOICE:
            at = plan_choose(work->plan, state, core_payload(work->core, work->branch->payload));
            if (at == PLAN_NO_STATE) {
                fail_with(work, name_no_choice, "no choice matched and there is no Default");
                return;
            }
            break;
        case STATE_SUCCEED: succeed(work); return;
        case STATE_FAIL: fail(work, state->error, state->cause); return;
        }
    }
    fail_with(work, name_runtime, "1000 states passed without a step: a circle?");
}

/* ---- events --------------------------------------------------------------------------------- */

static bool find_work(struct core *core, uint32_t branch, int64_t now_ms,
                      struct effect_queue *effects, struct work *ret_work)
{
    if (branch >= core->branches_pool.touched || core->branches[branch].phase == PHASE_FREE)
        return false;
    ret_work->core = core;
    ret_work->effects = effects;
    ret_work->now_ms = now_ms;
    ret_work->branch_index = branch;
    ret_work->branch = &core->branches[branch];
    ret_work->saga = &core->sagas[ret_work->branch->saga];
    ret_work->plan = core->plans[ret_work->saga->plan];
    return true;
}

/* Next: walk. */
static enum status on_start(struct core *core, int64_t now_ms, const struct event *event,
                            uint64_t token, struct effect_queue *effects, uint64_t *ret_saga_id)
{
    if (event->start.plan >= core->plans_count || event->start.input.count == 0 ||
        event->start.input.count > FLYOVER_PAYLOAD_BYTES_MAX ||
        !core_can_start(core, event->start.plan, effects))
        return STATUS_INVALID;
    if (event->start.source != EVENT_NO_SOURCE &&
        (event->start.source >= core->sources_count || event->start.source >= CORE_SOURCES_MAX))
        return STATUS_INVALID;
    const struct plan *plan = core->plans[event->start.plan];
    uint32_t index = core_acquire_saga(core);
    struct saga *saga = &core->sagas[index];
    *saga = (struct saga){
        .id = ++core->saga_id_last,
        .started_ms = now_ms,
        .plan = (uint16_t)event->start.plan,
        .outcome = OUTCOME_RUNNING,
        .in_use = true,
        .completed_head = CORE_NONE,
        .token = token,
    };
    core->branches_reserved += 1u + plan->detached_count;
    core->totals.started++;
    if (event->start.source != EVENT_NO_SOURCE) {
        struct core_source *source = &core->sources[event->start.source];
        source->chain_hash = XXH3_64bits_withSeed(event->start.input.at, event->start.input.count,
                                                  source->chain_hash);
        source->count++;
    }
    uint32_t root = core_acquire_branch(core, index);
    struct work work;
    bool found = find_work(core, root, now_ms, effects, &work);
    assert(found);
    work.branch->payload = core_keep_bytes(core, event->start.input);
    assert(work.branch->payload.at != 0);
    if (ret_saga_id != NULL)
        *ret_saga_id = saga->id;
    walk(&work, plan->start);
    return STATUS_OK;
}

/* A forward step is done: its result goes into the payload, the saga walks on. Next: walk. */
static void on_step_done(struct work *work, struct flyover_bytes output)
{
    struct core *core = work->core;
    struct branch *branch = work->branch;
    const struct plan_state *state = &work->plan->states[branch->state];
    bool room = true;
    if (state->compensated) {
        struct completed *completed = &core->completed[branch->completed];
        completed->state = branch->state;
        completed->step_no = branch->step_no;
        completed->input = branch->payload;
        slab_retain(core->payloads, branch->payload);
        if (output.count > 0) {
            completed->output = core_keep_bytes(core, output);
            room = completed->output.at != 0;
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
    fire(work, TRIGGER_RESULT);
    if (!room || !put_result(work, state->result_kind, &state->result_path, output))
        fail_with(work, name_data_limit, "no room for the output of the step");
    else
        walk(work, state->next);
}

static void on_undo_done(struct work *work)
{
    struct core *core = work->core;
    uint32_t index = work->branch->completed;
    assert(index == work->saga->completed_head);
    work->saga->completed_head = core->completed[index].next;
    core_release_completed(core, index);
    work->branch->completed = CORE_NONE;
    work->saga->undone_count++;
    index = work->saga->completed_head;
    if (PLANTED(SKIPPED_COMPENSATION) && index != CORE_NONE) {
        work->saga->completed_head = core->completed[index].next;
        core_release_completed(core, index);
    }
    fire(work, TRIGGER_RESULT);
    undo_next(work);
}

static void end_detached(struct work *work, enum trigger trigger)
{
    fire(work, trigger);
    work->saga->detached_live--;
    core_release_branch(work->core, work->branch_index);
}

static void count_step(struct work *work)
{
    work->core->totals.steps++;
    work->saga->steps_done++;
}

static void on_result(struct work *work, struct flyover_bytes output)
{
    if (transitions[work->branch->phase][TRIGGER_RESULT].next == PHASE_FREE)
        return;
    count_step(work);
    switch ((enum phase)work->branch->phase) {
    case PHASE_WAITING: on_step_done(work, output); break;
    case PHASE_UNDO_WAITING: on_undo_done(work); break;
    case PHASE_DETACHED: end_detached(work, TRIGGER_RESULT); break;
    case PHASE_FREE:
    case PHASE_READY:
    case PHASE_BACKOFF:
    case PHASE_UNDOING:
    case PHASE_UNDO_BACKOFF:
    case PHASE_DETACHED_BACKOFF:
    case PHASE_STUCK:
    case PHASE_ENDED:
    case PHASES_COUNT: assert(false && "no row"); break;
    }
}

/* True if a retrier takes the error: the branch then sleeps until due_ms. Next: on_timer. */
static bool retry(struct work *work, uint16_t first, uint16_t count, struct flyover_bytes name)
{
    struct branch *branch = work->branch;
    uint16_t index = plan_find_retrier(work->plan, first, count, name);
    if (index == UINT16_MAX)
        return false;
    const struct plan_retrier *retrier = &work->plan->retriers[index];
    uint8_t *spent = &branch->retried[index - first];
    /* A retrier of more than 255 attempts counts on in retries_spent, shared by such retriers. */
    uint32_t retries = *spent < UINT8_MAX ? *spent : branch->retries_spent;
    if (retries >= retrier->attempts_max)
        return false;
    retries++;
    if (retries <= UINT8_MAX)
        *spent = (uint8_t)retries;
    if (retries >= UINT8_MAX)
        branch->retries_spent = retries;
    uint64_t seed = work->saga->id * 0x9e3779b97f4a7c15u + branch->step_no;
    branch->due_ms = work->now_ms + (int64_t)plan_retry_delay_ms(retrier, retries, seed);
    work->core->totals.retries++;
    fire(work, TRIGGER_RETRY);
    return true;
}

/* A forward step failed with no retry left: the saga goes where Catch says, or fails. */
static void on_step_failed(struct work *work, struct flyover_bytes name, struct flyover_bytes cause)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    uint16_t index = plan_find_catcher(work->plan, state, name);
    if (index == UINT16_MAX) {
        fail(work, name, cause);
        return;
    }
    const struct plan_catcher *catcher = &work->plan->catchers[index];
    core_release_completed(work->core, work->branch->completed);
    work->branch->completed = CORE_NONE;
    fire(work, TRIGGER_CAUGHT);
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + 64];
    size_t bytes = value_make_error(name, cause, error, sizeof error);
    assert(bytes > 0);
    struct flyover_bytes result = {error, (uint32_t)bytes};
    if (put_result(work, catcher->result_kind, &catcher->result_path, result))
        walk(work, catcher->next);
    else
        fail_with(work, name_data_limit, "no room for the caught error in the payload");
}

static void on_error(struct work *work, const struct event *event)
{
    const struct plan_state *state = &work->plan->states[work->branch->state];
    struct flyover_bytes name = event->error.name;
    bool undoing = work->branch->phase == PHASE_UNDO_WAITING;
    if (transitions[work->branch->phase][TRIGGER_RETRY].next == PHASE_FREE)
        return;
    if (event->error.retryable &&
        retry(work, undoing ? state->undo_retriers_first : state->retriers_first,
              undoing ? state->undo_retriers_count : state->retriers_count, name))
        return;
    count_step(work);
    if (work->branch->phase == PHASE_DETACHED) {
        work->core->totals.detached_failed++;
        end_detached(work, TRIGGER_FAIL);
    } else if (undoing) {
        decide(work, OUTCOME_STUCK);
        fire(work, TRIGGER_FAIL);
    } else {
        on_step_failed(work, name, event->error.cause);
    }
}

/* The pause of a retry is over: the step is tried again. Next: on_result or on_error. */
static void on_timer(struct work *work)
{
    if (transitions[work->branch->phase][TRIGGER_TIMER].next != PHASE_FREE)
        fire(work, TRIGGER_TIMER);
}

static void on_source(struct core *core, uint64_t first_hash)
{
    uint32_t index = core->sources_count++ % CORE_SOURCES_MAX;
    core->sources[index] = (struct core_source){.first_hash = first_hash};
}

enum status core_apply(struct core *core, int64_t now_ms, const struct event *event, uint64_t token,
                       struct effect_queue *effects, uint64_t *ret_saga_id)
{
    struct work work;
    switch (event->kind) {
    case EVENT_START: return on_start(core, now_ms, event, token, effects, ret_saga_id);
    case EVENT_RESULT:
        if (event->result.output.count > FLYOVER_PAYLOAD_BYTES_MAX)
            return STATUS_INVALID;
        if (find_work(core, event->result.branch, now_ms, effects, &work))
            on_result(&work, event->result.output);
        return STATUS_OK;
    case EVENT_ERROR:
        if (event->error.name.count > FLYOVER_ERROR_NAME_BYTES_MAX ||
            event->error.cause.count > FLYOVER_ERROR_CAUSE_BYTES_MAX)
            return STATUS_INVALID;
        if (find_work(core, event->error.branch, now_ms, effects, &work))
            on_error(&work, event);
        return STATUS_OK;
    case EVENT_TIMER:
        if (find_work(core, event->timer.branch, now_ms, effects, &work))
            on_timer(&work);
        return STATUS_OK;
    case EVENT_SOURCE: on_source(core, event->source.first_hash); return STATUS_OK;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION: break;
    }
    return STATUS_INVALID;
}
