#include "engine/saga/core.h"

#include <assert.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/plant.h"
#include "engine/saga/core_moves.h"

/* ---- what the moves share ---------------------------------------------------------------------
 */

void work_fire(struct work *work, enum trigger trigger)
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
    *effect_queue_push(work->effects) = (struct effect){
        .kind = row.effect,
        .outcome = work->saga->outcome,
        .saga = branch->saga,
        .branch = work->branch_index,
        .generation = branch->generation,
        .id = work->saga->id,
        .token = work->saga->token,
    };
}

struct work work_on(const struct work *work, uint32_t branch)
{
    struct work other = *work;
    other.branch_index = branch;
    other.branch = &work->core->branches[branch];
    return other;
}

void work_begin_step(struct work *work, uint16_t state)
{
    struct branch *branch = work->branch;
    branch->state = state;
    branch->attempt_no = 0;
    branch->retries_spent = 0;
    memset(branch->retried, 0, sizeof branch->retried);
}

void work_set_deadline(struct work *work, uint64_t timeout_ms)
{
    work->branch->deadline_ms = timeout_ms == 0 ? 0 : work->now_ms + (int64_t)timeout_ms;
    work->branch->due_ms = work->branch->deadline_ms;
}

void work_replace_payload(struct work *work, slab_ref payload)
{
    slab_release(work->core->payloads, work->branch->payload);
    work->branch->payload = payload;
}

bool work_put_result(struct work *work, enum result_path_kind kind, const struct path *path,
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
    work_replace_payload(work, payload);
    return true;
}

/* Returns the index of the error's name. */
static uint8_t count_error(struct core *core, struct flyover_bytes error)
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
    return (uint8_t)index;
}

static void tell_end(const struct work *work, enum outcome outcome)
{
    struct core *core = work->core;
    struct core_end end = {.token = work->saga->token, .plan = work->saga->plan};
    if (outcome == OUTCOME_SUCCEEDED)
        end.output = core_payload(core, work->branch->payload);
    else
        end.error = core_error_of(core, work->saga);
    core->on_end(core->on_end_context, &end);
}

void work_decide(struct work *work, enum outcome outcome)
{
    struct core *core = work->core;
    struct saga *saga = work->saga;
    saga->outcome = outcome & 7u;
    if (outcome != OUTCOME_SUCCEEDED && !saga->has_counted) {
        saga->error_index = count_error(core, core_error_of(core, saga));
        saga->has_counted = true;
    }
    switch (outcome) {
    case OUTCOME_SUCCEEDED: core->totals.succeeded++; break;
    case OUTCOME_FAILED: core->totals.failed++; break;
    case OUTCOME_COMPENSATED: core->totals.compensated++; break;
    case OUTCOME_STUCK: core->totals.stuck++; break;
    case OUTCOME_ABORTED: core->totals.aborted++; break;
    case OUTCOME_RUNNING: assert(false && "running is no outcome"); break;
    }
    if (core->durations_ms != NULL)
        tally_add(core->durations_ms, (uint64_t)(work->now_ms - saga->started_ms));
    if (core->on_end != NULL)
        tell_end(work, outcome);
}

/* ---- who is meant ----------------------------------------------------------------------------
 */

/* The work on a branch; false where there is none. */
bool work_find(struct core *core, uint32_t branch, const struct core_moment *moment,
               struct effect_queue *effects, struct work *ret_work)
{
    if (branch >= core->branches_pool.touched || core->branches[branch].phase == PHASE_FREE)
        return false;
    ret_work->core = core;
    ret_work->effects = effects;
    ret_work->now_ms = moment->now_ms;
    ret_work->block_no = moment->block_no;
    ret_work->branch_index = branch;
    ret_work->branch = &core->branches[branch];
    ret_work->saga = &core->sagas[ret_work->branch->saga];
    ret_work->plan = core->plans[ret_work->saga->plan];
    return true;
}

/* An event of the saga, about to change it: history hears of it when the last one noted lies far
 * back. */
static void note_touch(struct work *work)
{
    if ((uint32_t)work->block_no - work->saga->noted_block <= CORE_NOTED_BLOCKS)
        return;
    work->saga->noted_block = (uint32_t)work->block_no;
    struct core_note note = {.kind = CORE_NOTE_TOUCHED, .saga_id = work->saga->id};
    if (work->core->on_note != NULL)
        work->core->on_note(work->core->on_note_context, &note);
}

/* ---- a step is answered -----------------------------------------------------------------------
 */

static void end_detached(struct work *work, enum trigger trigger)
{
    work_fire(work, trigger);
    work->saga->detached_live--;
    core_release_branch(work->core, work->branch_index);
}

static void count_step(struct work *work)
{
    work->core->totals.steps++;
    if (work->saga->steps_done < UINT16_MAX)
        work->saga->steps_done++;
}

static const struct plan_state *state_of(const struct work *work)
{
    return &work->plan->states[work->branch->state];
}

/* The next heartbeat is due a while from now, if that is before the attempt is out of time. */
static void set_beat(struct work *work)
{
    int64_t beat_ms = work->now_ms + (int64_t)state_of(work)->heartbeat_ms;
    int64_t deadline_ms = work->branch->deadline_ms;
    work->branch->due_ms = deadline_ms != 0 && deadline_ms < beat_ms ? deadline_ms : beat_ms;
}

/* A handler has begun a step whose end comes by token. Next: on_result or on_error, by token. */
static void await_token(struct work *work)
{
    if (state_of(work)->heartbeat_ms > 0)
        set_beat(work);
    /* Whoever answers from now on is another one than the handler. */
    work->branch->generation++;
    work_fire(work, TRIGGER_AWAIT);
}

static bool awaits_token(const struct work *work)
{
    return work->branch->phase == PHASE_AWAITING && state_of(work)->task_kind == TASK_TOKEN;
}

static void on_result(struct work *work, const struct event *event)
{
    struct flyover_bytes output = event->result.output;
    if (event->result.by_token) {
        if (!awaits_token(work))
            return;
        note_touch(work);
        count_step(work);
        walk_step_done(work, TRIGGER_SIGNAL, output);
        return;
    }
    if (!work_has_row(work, TRIGGER_RESULT))
        return;
    note_touch(work);
    switch ((enum phase)work->branch->phase) {
    case PHASE_WAITING:
        if (state_of(work)->task_kind == TASK_TOKEN && !undo_is_told(work)) {
            await_token(work);
            return;
        }
        count_step(work);
        walk_step_done(work, TRIGGER_RESULT, output);
        break;
    case PHASE_UNDO_WAITING:
        count_step(work);
        undo_done(work, TRIGGER_RESULT);
        break;
    case PHASE_DETACHED:
        count_step(work);
        end_detached(work, TRIGGER_RESULT);
        break;
    case PHASE_FREE:
    case PHASE_READY:
    case PHASE_BACKOFF:
    case PHASE_SLEEPING:
    case PHASE_AWAITING:
    case PHASE_UNDOING:
    case PHASE_UNDO_BACKOFF:
    case PHASE_DETACHED_BACKOFF:
    case PHASE_STUCK:
    case PHASE_STUCK_FORWARD:
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
    uint64_t seed =
        work->core->limits.seed + work->saga->id * 0x9e3779b97f4a7c15u + branch->step_no;
    branch->due_ms = work->now_ms + (int64_t)plan_retry_delay_ms(retrier, retries, seed);
    work->core->totals.retries++;
    work_fire(work, TRIGGER_RETRY);
    return true;
}

/* A forward step failed with no retry left: the saga goes where Catch says, or fails. */
static void on_step_failed(struct work *work, struct flyover_bytes name, struct flyover_bytes cause)
{
    const struct plan_state *state = state_of(work);
    uint16_t index =
        plan_find_catcher(work->plan, state->catchers_first, state->catchers_count, name);
    if (index == UINT16_MAX || undo_is_told(work)) {
        undo_fail(work, name, cause);
        return;
    }
    const struct plan_catcher *catcher = &work->plan->catchers[index];
    if (!work->branch->handling) {
        core_release_completed(work->core, work->branch->completed);
        work->branch->completed = CORE_NONE;
    }
    work->branch->due_ms = 0;
    work_fire(work, TRIGGER_CAUGHT);
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + 64];
    size_t bytes = value_make_error(name, cause, error, sizeof error);
    assert(bytes > 0);
    struct flyover_bytes result = {error, (uint32_t)bytes};
    if (work_put_result(work, catcher->result_kind, &catcher->result_path, result))
        walk(work, catcher->next);
    else
        undo_fail_with(work, error_data_limit, "no room for the caught error in the payload");
}

static void step_error(struct work *work, struct flyover_bytes name, struct flyover_bytes cause,
                       bool retryable)
{
    const struct plan_state *state = state_of(work);
    bool undoing = work->branch->phase == PHASE_UNDO_WAITING;
    bool detached = work->branch->phase == PHASE_DETACHED;
    /* A saga that is cancelled tries nothing again that is not a compensation. */
    bool told = undoing ? work->saga->cancel == CANCEL_ABORT : !detached && undo_is_told(work);
    if (retryable && !told &&
        retry(work, undoing ? state->undo_retriers_first : state->retriers_first,
              undoing ? state->undo_retriers_count : state->retriers_count, name))
        return;
    count_step(work);
    if (detached) {
        work->core->totals.detached_failed++;
        end_detached(work, TRIGGER_FAIL);
    } else if (undoing) {
        undo_failed(work, name, cause);
    } else {
        on_step_failed(work, name, cause);
    }
}

static void on_error(struct work *work, const struct event *event)
{
    bool waits = event->error.by_token ? awaits_token(work) : work_has_row(work, TRIGGER_RESULT);
    if (!waits)
        return;
    note_touch(work);
    step_error(work, event->error.name, event->error.cause, event->error.retryable);
}

/* ---- time -------------------------------------------------------------------------------------
 */

static void on_timeout(struct work *work)
{
    static const char late[] = "the attempt took longer than its TimeoutSeconds";
    static const char silent[] = "no heartbeat came within HeartbeatSeconds";
    static const struct flyover_bytes heartbeat = {(const uint8_t *)"States.HeartbeatTimeout", 23};
    bool beat = work->branch->due_ms != work->branch->deadline_ms;
    struct flyover_bytes cause = {(const uint8_t *)(beat ? silent : late),
                                  beat ? sizeof silent - 1 : sizeof late - 1};
    work->core->totals.timeouts++;
    step_error(work, beat ? heartbeat : error_timeout, cause, true);
}

/* Next: on_result or on_error after a pause; walk after a Wait; on_step_failed, when it was a
 * deadline. */
static void on_timer(struct work *work)
{
    if (work->branch->due_ms == 0 || work->branch->due_ms > work->now_ms)
        return;
    note_touch(work);
    switch ((enum phase)work->branch->phase) {
    case PHASE_SLEEPING: walk_wake(work); break;
    case PHASE_BACKOFF: walk_ask(work); break;
    case PHASE_UNDO_BACKOFF:
        work_set_deadline(work, state_of(work)->undo_timeout_ms);
        work_fire(work, TRIGGER_TIMER);
        break;
    case PHASE_DETACHED_BACKOFF:
        work_set_deadline(work, state_of(work)->timeout_ms);
        work_fire(work, TRIGGER_TIMER);
        break;
    case PHASE_WAITING:
    case PHASE_AWAITING:
    case PHASE_UNDO_WAITING:
    case PHASE_DETACHED: on_timeout(work); break;
    case PHASE_FREE:
    case PHASE_READY:
    case PHASE_UNDOING:
    case PHASE_STUCK:
    case PHASE_STUCK_FORWARD:
    case PHASE_ENDED:
    case PHASES_COUNT: break;
    }
}

/* Work on the first of the saga's branches that carries it; false where the slot has no saga that
 * still runs. */
static bool find_carrier(struct core *core, uint32_t slot, const struct core_moment *moment,
                         struct effect_queue *effects, struct work *ret_work)
{
    if (slot >= core->sagas_pool.touched || !core->sagas[slot].in_use)
        return false;
    uint32_t at = core->sagas[slot].branches_head;
    while (at != CORE_NONE && (core->branches[at].phase == PHASE_DETACHED ||
                               core->branches[at].phase == PHASE_DETACHED_BACKOFF))
        at = core->branches[at].next;
    return at != CORE_NONE && work_find(core, at, moment, effects, ret_work);
}

static void on_deadline(struct work *work, bool undo_begun)
{
    static const char late[] = "the saga took longer than its TimeoutSeconds";
    static const char past[] = "the saga was not at its end by the deadline of its start";
    bool by_start = work->saga->by_deadline;
    int64_t due_ms = core_deadline_ms(work->core, work->branch->saga);
    if (due_ms < 0 || due_ms > work->now_ms)
        return;
    note_touch(work);
    work->core->totals.timeouts++;
    undo_cancel(work, CANCEL_COMPENSATE, undo_begun, error_timeout,
                (struct flyover_bytes){(const uint8_t *)(by_start ? past : late),
                                       by_start ? sizeof past - 1 : sizeof late - 1});
}

/* ---- from outside -----------------------------------------------------------------------------
 */

/* For a saga that does not wait for it yet: the newest goes to the end. core_check_signal has seen
 * to it that there is room. */
static void keep_signal(struct work *work, uint16_t signal, struct flyover_bytes payload)
{
    struct core *core = work->core;
    if (PLANTED(LOST_SIGNAL))
        return;
    uint32_t index = core_acquire_completed(core);
    assert(index != CORE_NONE);
    struct completed *kept = &core->completed[index];
    kept->state = signal;
    kept->input = core_keep_bytes(core, payload);
    assert(kept->input.at != 0);
    uint32_t *link = &work->saga->signals_head;
    while (*link != CORE_NONE)
        link = &core->completed[*link].next;
    *link = index;
}

/* Next: walk, where a state waits for it; where it will: walk_ask. */
static void on_signal(struct work *work, const struct event *event)
{
    uint16_t signal = plan_find_signal(work->plan, event->signal.name);
    for (uint32_t at = work->saga->branches_head; at != CORE_NONE;
         at = work->core->branches[at].next) {
        struct work awaiting = work_on(work, at);
        const struct plan_state *state = state_of(&awaiting);
        if (awaiting.branch->phase != PHASE_AWAITING || state->task_kind != TASK_SIGNAL ||
            state->signal != signal)
            continue;
        work->core->totals.signals++;
        count_step(&awaiting);
        walk_step_done(&awaiting, TRIGGER_SIGNAL, event->signal.payload);
        return;
    }
    work->core->totals.signals++;
    keep_signal(work, signal, event->signal.payload);
}

/* From whoever has the token; or of a step that is in the hands of a remote worker, whose first one
 * says that it was given out: until then it does not wait for heartbeats. */
static void on_heartbeat(struct work *work)
{
    bool handled = work->branch->phase == PHASE_WAITING || work->branch->phase == PHASE_DETACHED;
    if ((!handled && !awaits_token(work)) || state_of(work)->heartbeat_ms == 0)
        return;
    note_touch(work);
    if (PLANTED(LONE_BEAT))
        work->branch->due_ms = work->branch->deadline_ms;
    else
        set_beat(work);
}

static void on_source(struct core *core, uint64_t first_hash)
{
    uint32_t index = core->sources_count++ % CORE_SOURCES_MAX;
    core->sources[index] = (struct core_source){.first_hash = first_hash};
}

/* What is meant for a saga by its id. What core_check_* would refuse changes nothing. */
static void on_saga(struct core *core, const struct core_moment *moment, const struct event *event,
                    struct effect_queue *effects)
{
    struct work work;
    uint64_t id = event->kind == EVENT_SIGNAL   ? event->signal.saga_id
                  : event->kind == EVENT_CANCEL ? event->cancel.saga_id
                                                : event->mend.saga_id;
    if (!find_carrier(core, core_find_saga(core, id), moment, effects, &work))
        return;
    if (event->kind == EVENT_SIGNAL) {
        if (core_check_signal(core, id, event->signal.name, NULL) != STATUS_OK)
            return;
        note_touch(&work);
        on_signal(&work, event);
    } else if (event->kind == EVENT_CANCEL) {
        if (core_check_cancel(core, id, event->cancel.abort, NULL) != STATUS_OK)
            return;
        note_touch(&work);
        undo_cancel(&work, event->cancel.abort ? CANCEL_ABORT : CANCEL_COMPENSATE,
                    event->cancel.undo_begun, error_cancelled, event->cancel.reason);
    } else {
        if (core_check_mend(core, id, event->mend.action, event->mend.output.count > 0, NULL) !=
            STATUS_OK)
            return;
        note_touch(&work);
        if (work.saga->outcome == OUTCOME_STUCK)
            undo_mend(&work, event->mend.action, event->mend.output);
        else
            undo_skip_waits(&work);
    }
}

static bool is_sound(const struct event *event)
{
    switch (event->kind) {
    case EVENT_RESULT: return event->result.output.count <= FLYOVER_PAYLOAD_BYTES_MAX;
    case EVENT_ERROR:
        return event->error.name.count <= FLYOVER_ERROR_NAME_BYTES_MAX &&
               event->error.cause.count <= FLYOVER_ERROR_CAUSE_BYTES_MAX;
    case EVENT_SIGNAL:
        return event->signal.payload.count > 0 &&
               event->signal.payload.count <= FLYOVER_PAYLOAD_BYTES_MAX;
    case EVENT_CANCEL:
        return event->cancel.reason.count <= EVENT_REASON_BYTES_MAX &&
               !(event->cancel.abort && event->cancel.undo_begun);
    case EVENT_MEND:
        return event->mend.reason.count <= EVENT_REASON_BYTES_MAX &&
               event->mend.output.count <= FLYOVER_PAYLOAD_BYTES_MAX;
    case EVENT_START:
    case EVENT_REDRIVE:
    case EVENT_TIMER:
    case EVENT_HEARTBEAT:
    case EVENT_SOURCE: return true;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION: break;
    }
    return false;
}

enum status core_apply(struct core *core, const struct core_moment *moment,
                       const struct event *event, uint64_t token, struct effect_queue *effects,
                       uint64_t *ret_saga_id)
{
    struct work work;
    if (!is_sound(event))
        return STATUS_INVALID;
    switch (event->kind) {
    case EVENT_START: return start_on_start(core, moment, event, token, effects, ret_saga_id);
    case EVENT_REDRIVE: return start_on_redrive(core, moment, event, token, effects, ret_saga_id);
    case EVENT_RESULT:
        if (work_find(core, event->result.branch, moment, effects, &work))
            on_result(&work, event);
        return STATUS_OK;
    case EVENT_ERROR:
        if (work_find(core, event->error.branch, moment, effects, &work))
            on_error(&work, event);
        return STATUS_OK;
    case EVENT_TIMER:
        if (event->timer.of_saga) {
            if (find_carrier(core, event->timer.branch, moment, effects, &work))
                on_deadline(&work, event->timer.undo_begun);
        } else if (work_find(core, event->timer.branch, moment, effects, &work)) {
            on_timer(&work);
        }
        return STATUS_OK;
    case EVENT_HEARTBEAT:
        if (work_find(core, event->heartbeat.branch, moment, effects, &work))
            on_heartbeat(&work);
        return STATUS_OK;
    case EVENT_SIGNAL:
    case EVENT_CANCEL:
    case EVENT_MEND: on_saga(core, moment, event, effects); return STATUS_OK;
    case EVENT_SOURCE: on_source(core, event->source.first_hash); return STATUS_OK;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION: break;
    }
    return STATUS_INVALID;
}
