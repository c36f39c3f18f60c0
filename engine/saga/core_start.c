#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/plant.h"
#include "engine/saga/core_moves.h"

static void ask_for_deadline(struct work *work)
{
    *effect_queue_push(work->effects) =
        (struct effect){.kind = EFFECT_DEADLINE, .saga = work->branch->saga, .id = work->saga->id};
}

/* The earlier of the two counts: the one of the start, which stands already, or the plan's. */
void start_set_deadline(struct work *work)
{
    struct saga *saga = work->saga;
    int64_t due_ms = work->now_ms + (int64_t)work->plan->timeout_ms;
    if (work->plan->timeout_ms != 0 && (saga->deadline_ms == 0 || due_ms < saga->deadline_ms)) {
        saga->deadline_ms = due_ms;
        saga->by_deadline = false;
    }
    if (saga->deadline_ms != 0)
        ask_for_deadline(work);
}

/* Where there is no room it is left out: it is for those who watch. */
static void keep_trace(struct work *work, struct flyover_bytes trace)
{
    struct core *core = work->core;
    if (trace.count == 0)
        return;
    uint32_t index = core_acquire_completed(core);
    if (index == CORE_NONE)
        return;
    struct completed *kept = &core->completed[index];
    kept->state = CORE_OF_TRACE;
    kept->input = core_keep_bytes(core, trace);
    if (kept->input.at == 0)
        core_release_completed(core, index);
    else
        work->saga->signals_head = index;
}

static struct work begin_saga(struct core *core, const struct core_moment *moment, uint32_t plan,
                              uint64_t token, struct effect_queue *effects,
                              const struct core_note *note)
{
    uint32_t index = core_acquire_saga(core);
    struct saga *saga = &core->sagas[index];
    *saga = (struct saga){
        .id = ++core->saga_id_last,
        .started_ms = moment->now_ms,
        .plan = plan & 0x3ffu,
        .outcome = OUTCOME_RUNNING,
        .in_use = true,
        .branches_head = CORE_NONE,
        .completed_head = CORE_NONE,
        .signals_head = CORE_NONE,
        .noted_block = (uint32_t)moment->block_no,
        .token = token,
    };
    core_index_add(core, index);
    core->branches_reserved += core_branches_of(core->plans[plan]);
    core->plan_live[plan]++;
    core->totals.started++;
    struct work work;
    bool found = work_find(core, core_acquire_branch(core, index), moment, effects, &work);
    assert(found);
    if (core->on_note != NULL) {
        struct core_note started = *note;
        started.kind = CORE_NOTE_STARTED;
        started.saga_id = saga->id;
        started.branch = work.branch_index;
        started.plan = plan;
        core->on_note(core->on_note_context, &started);
    }
    return work;
}

static bool is_trace_sound(struct flyover_bytes trace)
{
    return trace.count == 0 || trace.count == TRACE_BYTES;
}

static bool is_deadline_sound(int64_t deadline_ms, int64_t now_ms, int64_t at_ms)
{
    return deadline_ms == 0 || (deadline_ms > now_ms && deadline_ms > at_ms);
}

static bool is_start_sound(const struct core *core, int64_t now_ms, const struct event *event,
                           const struct effect_queue *effects)
{
    if (event->start.plan >= core->plans_count || event->start.input.count == 0 ||
        event->start.input.count > FLYOVER_PAYLOAD_BYTES_MAX ||
        !is_trace_sound(event->start.trace) ||
        !is_deadline_sound(event->start.deadline_ms, now_ms, event->start.at_ms) ||
        !core_can_start(core, event->start.plan, effects))
        return false;
    uint64_t saga_id;
    if (event->start.name.count > 0 && core_check_name(core, event->start.name, event->start.input,
                                                       now_ms, &saga_id, NULL) != STATUS_OK)
        return false;
    return event->start.source == EVENT_NO_SOURCE ||
           (event->start.source < core->sources_count && event->start.source < CORE_SOURCES_MAX);
}

static void keep_name(const struct work *work, struct flyover_bytes name, uint64_t input_hash)
{
    names_add(work->core->names, name, input_hash, work->saga->id, work->now_ms,
              (int64_t)work->core->limits.name_retention_ms, core_is_live, work->core);
}

/* Next: walk, at once or when the time has come. */
enum status start_on_start(struct core *core, const struct core_moment *moment,
                           const struct event *event, uint64_t token, struct effect_queue *effects,
                           uint64_t *ret_saga_id)
{
    if (!is_start_sound(core, moment->now_ms, event, effects))
        return STATUS_INVALID;
    struct core_note note = {.name = event->start.name};
    struct work work = begin_saga(core, moment, event->start.plan, token, effects, &note);
    if (event->start.source != EVENT_NO_SOURCE) {
        struct core_source *source = &core->sources[event->start.source];
        source->chain_hash = XXH3_64bits_withSeed(event->start.input.at, event->start.input.count,
                                                  source->chain_hash);
        source->count++;
    }
    if (event->start.name.count > 0 && !(PLANTED(FORGOTTEN_NAME) && work.saga->id % 4 == 0))
        keep_name(&work, event->start.name, names_hash_input(event->start.input));
    work.branch->payload = core_keep_bytes(core, event->start.input);
    assert(work.branch->payload.at != 0);
    keep_trace(&work, event->start.trace);
    work.saga->deadline_ms = event->start.deadline_ms;
    work.saga->by_deadline = event->start.deadline_ms != 0;
    if (ret_saga_id != NULL)
        *ret_saga_id = work.saga->id;
    if (event->start.at_ms > moment->now_ms) {
        if (event->start.deadline_ms != 0)
            ask_for_deadline(&work);
        work.branch->delayed = true;
        work.branch->state = work.plan->start;
        work.branch->due_ms = event->start.at_ms;
        work_fire(&work, TRIGGER_SLEEP);
        return STATUS_OK;
    }
    start_set_deadline(&work);
    walk(&work, work.plan->start);
    return STATUS_OK;
}

/* The step that a redriven saga brings with it: true if there was room to remember it. */
static bool bring_step(struct work *work, const struct event_step *step)
{
    struct core *core = work->core;
    uint32_t index = core_acquire_completed(core);
    if (index == CORE_NONE)
        return false;
    struct completed *completed = &core->completed[index];
    completed->state = (uint16_t)step->state;
    completed->step_no = step->step_no;
    completed->input = core_keep_bytes(core, step->input);
    if (step->output.count > 0)
        completed->output = core_keep_bytes(core, step->output);
    if (completed->input.at == 0 || (step->output.count > 0 && completed->output.at == 0)) {
        core_release_completed(core, index);
        return false;
    }
    completed->next = work->saga->completed_head;
    work->saga->completed_head = index;
    return true;
}

static bool is_redrive_sound(const struct core *core, int64_t now_ms, const struct event *event,
                             const struct effect_queue *effects)
{
    if (event->redrive.plan >= core->plans_count || event->redrive.payload.count == 0 ||
        event->redrive.payload.count > FLYOVER_PAYLOAD_BYTES_MAX ||
        event->redrive.step_no >= CORE_STEPS_MAX || !is_trace_sound(event->redrive.trace) ||
        !core_can_start(core, event->redrive.plan, effects))
        return false;
    uint64_t known;
    if (event->redrive.once &&
        (core->names == NULL ||
         core_check_redrive(core, event->redrive.of_saga_id, now_ms, &known, NULL) != STATUS_OK))
        return false;
    const struct plan *plan = core->plans[event->redrive.plan];
    const uint8_t *at = event->redrive.steps.at;
    const uint8_t *end = at + event->redrive.steps.count;
    bool sound = event->redrive.state < plan->states_count;
    struct event_step step;
    for (uint32_t i = 0; sound && i < event->redrive.steps_count; i++) {
        at = event_decode_step(at, end, &step);
        sound = at != NULL && step.state < plan->states_count &&
                plan->states[step.state].compensated && step.step_no > 0 &&
                step.step_no <= event->redrive.step_no && step.input.count > 0 &&
                step.input.count <= FLYOVER_PAYLOAD_BYTES_MAX &&
                step.output.count <= FLYOVER_PAYLOAD_BYTES_MAX;
    }
    return sound;
}

/* A saga that ended badly goes on as a new one, from the state where it failed. Next: walk. */
enum status start_on_redrive(struct core *core, const struct core_moment *moment,
                             const struct event *event, uint64_t token,
                             struct effect_queue *effects, uint64_t *ret_saga_id)
{
    if (!is_redrive_sound(core, moment->now_ms, event, effects))
        return STATUS_INVALID;
    struct core_note note = {.redrive_of = event->redrive.of_saga_id};
    struct work work = begin_saga(core, moment, event->redrive.plan, token, effects, &note);
    uint8_t name[CORE_REDRIVE_NAME_BYTES];
    if (event->redrive.once)
        keep_name(&work, core_redrive_name(event->redrive.of_saga_id, name), 0);
    work.saga->step_no = (uint16_t)event->redrive.step_no;
    keep_trace(&work, event->redrive.trace);
    work.branch->payload = core_keep_bytes(core, event->redrive.payload);
    assert(work.branch->payload.at != 0);
    if (ret_saga_id != NULL)
        *ret_saga_id = work.saga->id;
    const uint8_t *at = event->redrive.steps.at;
    const uint8_t *end = at + event->redrive.steps.count;
    bool room = true;
    struct event_step step;
    for (uint32_t i = 0; i < event->redrive.steps_count; i++) {
        at = event_decode_step(at, end, &step);
        room = room && bring_step(&work, &step);
    }
    start_set_deadline(&work);
    if (room)
        walk(&work, (uint16_t)event->redrive.state);
    else
        undo_fail_with(&work, error_runtime, "no room to remember the steps that were done");
    return STATUS_OK;
}
