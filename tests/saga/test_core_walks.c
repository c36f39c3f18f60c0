/*
 * Many sagas at the same time under all that can happen to them: answers, silence, signals, tokens,
 * cancelling, mending, restarts. Every event goes to two cores, to the second one by way of its
 * record in the journal; that one is now and then read back from an image. core_model says what
 * each saga may do. What comes from outside changes the state exactly where core_check_* said OK.
 */
#include "tests/saga/core_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"

enum {
    SAGAS_COUNT = 1200,
    MODELS_COUNT = 2 * SAGAS_COUNT,
    SLOTS_COUNT = 256,
    PAYLOAD_BYTES = 64 << 20,
    LIVE_MAX = 48,
    PENDING_MAX = 512,
    JOURNAL_BYTES = 64 << 20,
    EVENTS_MAX = 400 * 1000,
};

struct run {
    struct rig rig, twin;
    uint64_t seed;
    struct model models[MODELS_COUNT];                /* by saga id */
    uint32_t running_count, stuck_count, ended_count; /* as the model has it */
    uint32_t saga_count;
    struct effect pending[PENDING_MAX]; /* invocations; some are void by now */
    uint32_t pending_count;
    uint8_t *journal;
    size_t journal_bytes;
    struct core_moment *moments;
    uint32_t events_count;
    uint32_t outcomes[OUTCOME_ABORTED + 1];
    uint32_t accepted[EVENT_REDRIVE + 1], refused[EVENT_REDRIVE + 1];
    uint32_t waits_skipped_count;
    uint32_t begun_count; /* steps that were cancelled while they awaited their token */
    struct model_moves *moves;
    uint32_t notes_crc, twins_crc; /* over all that history was told */
};

static uint32_t draw(struct run *run, uint32_t below)
{
    run->seed ^= run->seed << 13;
    run->seed ^= run->seed >> 7;
    run->seed ^= run->seed << 17;
    return (uint32_t)((run->seed >> 16) % below);
}

static struct flyover_bytes text_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* A core_on_note; `context` is the CRC. */
static void take_note(void *context, const struct core_note *note)
{
    uint32_t *crc = context;
    const uint64_t parts[] = {
        note->kind,       note->saga_id, note->branch, note->plan,
        note->redrive_of, note->outcome, note->error,  (uint64_t)note->started_ms,
        note->steps};
    *crc = crc32c(*crc, parts, sizeof parts);
    if (note->name.count > 0)
        *crc = crc32c(*crc, note->name.at, note->name.count);
}

/* ---- events go in, effects come out -----------------------------------------------------------
 */

static void take_effects(struct run *run)
{
    struct effect_queue *effects = &run->rig.effects, *twins = &run->twin.effects;
    assert_int_equal(effect_queue_count(effects), effect_queue_count(twins));
    while (effect_queue_count(effects) > 0) {
        struct effect effect = effects->items[effects->head++ & (effects->capacity - 1)];
        struct effect twin = twins->items[twins->head++ & (twins->capacity - 1)];
        assert_true(effect.kind == twin.kind && effect.outcome == twin.outcome);
        assert_true(effect.saga == twin.saga && effect.branch == twin.branch);
        assert_true(effect.generation == twin.generation && effect.id == twin.id);
        struct model *model = &run->models[effect.id];
        if (effect.kind == EFFECT_INVOKE) {
            model_on_invoke(model, &run->rig, effect);
            assert_in_range(run->pending_count, 0, PENDING_MAX - 1);
            run->pending[run->pending_count++] = effect;
        } else if (effect.kind == EFFECT_REPLY) {
            bool was_stuck = model->stuck;
            model_on_reply(model, effect);
            run->outcomes[effect.outcome]++;
            run->running_count -= !was_stuck;
            run->stuck_count += (uint32_t)model->stuck - was_stuck;
            run->ended_count += model->ended;
        }
    }
}

static void check_totals(const struct run *run)
{
    struct core_totals totals = core_totals(run->rig.core);
    uint64_t decided = totals.succeeded + totals.failed + totals.compensated + totals.aborted;
    assert_true(totals.started == decided + totals.stuck + run->running_count);
    assert_true(decided == run->ended_count && totals.stuck == run->stuck_count);
    assert_true(totals.started == totals.ended + core_sagas_live(run->rig.core));
}

static enum phase phase_of(const struct run *run, uint32_t branch)
{
    struct core_branch_view view;
    return core_view_branch(run->rig.core, branch, &view) ? view.phase : PHASE_ENDED;
}

/* The record of the event, read back: what a replay sees. */
static struct event journal_add(struct run *run, const struct event *event)
{
    struct event read;
    assert_true(run->journal_bytes + event_encoded_bytes_max(event) <= JOURNAL_BYTES);
    assert_in_range(run->events_count, 0, EVENTS_MAX - 1);
    uint8_t *at = run->journal + run->journal_bytes;
    const uint8_t *end = event_encode(event, at);
    assert_ptr_equal(event_decode(at, end, &read), end);
    run->journal_bytes = (size_t)(end - run->journal);
    run->moments[run->events_count++] = (struct core_moment){run->rig.now_ms, run->rig.block_no};
    return read;
}

/* `branch`: whose answer or timer it is, or UINT32_MAX. `saga_id`: whose event. Returns whether the
 * state has changed. */
static bool apply(struct run *run, const struct event *event, uint32_t branch, uint64_t saga_id)
{
    enum phase before = phase_of(run, branch);
    struct core_digest digest = core_digest(run->rig.core);
    run->rig.block_no += draw(run, 12) == 0 ? 70 : draw(run, 2);
    run->twin.now_ms = run->rig.now_ms;
    run->twin.block_no = run->rig.block_no;
    struct event read = journal_add(run, event);
    assert_int_equal(rig_apply(&run->rig, event), STATUS_OK);
    assert_int_equal(rig_apply(&run->twin, &read), STATUS_OK);
    struct core_digest after = core_digest(run->rig.core);
    assert_true(rig_same(after, core_digest(run->twin.core)));
    assert_int_equal(run->notes_crc, run->twins_crc);
    bool changed = !rig_same(digest, after);
    assert_true(changed || effect_queue_count(&run->rig.effects) == 0);
    if (branch != UINT32_MAX && changed)
        model_on_move(run->moves, before, event->kind, phase_of(run, branch));
    if (saga_id == 0)
        return changed;
    model_look(&run->models[saga_id], &run->rig, saga_id, branch);
    take_effects(run);
    check_totals(run);
    return changed;
}

/* ---- starts ----------------------------------------------------------------------------------
 */

static struct model *new_model(struct run *run, uint32_t plan)
{
    struct model *model = &run->models[++run->saga_count];
    assert_in_range(run->saga_count, 1, MODELS_COUNT - 1);
    model->undo_branches = core_plan(run->rig.core, plan)->undo_branches;
    run->running_count++;
    return model;
}

static void finish_start(struct run *run, const struct event *event)
{
    run->rig.saga_id = 0;
    assert_true(apply(run, event, UINT32_MAX, run->saga_count));
    assert_true(run->rig.saga_id == run->saga_count && run->twin.saga_id == run->saga_count);
}

static void start_saga(struct run *run)
{
    char text[200] = "", name[16] = "";
    snprintf(text, sizeof text, "{'n':%u,'pad':'%0*d'}", draw(run, 9), 1 + (int)draw(run, 100), 0);
    struct event event = {.kind = EVENT_START, .start = {.source = EVENT_NO_SOURCE}};
    event.start.plan = draw(run, MODEL_PLANS_COUNT);
    event.start.input = rig_value(text);
    if (draw(run, 6) == 0)
        event.start.at_ms = run->rig.now_ms + draw(run, 20000);
    if (draw(run, 4) == 0) {
        uint64_t known = 0;
        snprintf(name, sizeof name, "order-%u", draw(run, 12));
        event.start.name = text_of(name);
        enum status status = core_check_name(run->rig.core, event.start.name, event.start.input,
                                             run->rig.now_ms, &known, NULL);
        uint64_t found = core_find_name(run->rig.core, event.start.name, run->rig.now_ms);
        if (status == STATUS_OK)
            assert_true(found == 0);
        else
            event.start.name.count = 0;
    }
    assert_true(core_can_start(run->rig.core, event.start.plan, &run->rig.effects));
    (void)new_model(run, event.start.plan);
    finish_start(run, &event);
}

/* From E of the first definition, with what is done up to there. */
static void redrive_saga(struct run *run)
{
    static uint8_t steps[1000];
    struct flyover_bytes input = rig_value("{'n':1}"), output = rig_value("7"), nil = {0};
    const struct event_step brought[] = {{0, 1, input, output}, {2, 2, input, nil}};
    uint8_t *end = steps;
    uint32_t count = draw(run, 3);
    struct model *model = new_model(run, 0);
    for (uint32_t i = 0; i < count; i++) {
        end = event_encode_step(&brought[i], end);
        const struct core_invocation call = {.step_no = i + 1, .input = input};
        model_on_result(model, i == 0 ? "ca" : "ct", call, brought[i].output, true);
    }
    struct event event = {.kind = EVENT_REDRIVE,
                          .redrive = {.of_saga_id = 1 + draw(run, run->saga_count),
                                      .state = 4,
                                      .step_no = 3,
                                      .payload = input,
                                      .steps_count = count,
                                      .steps = {steps, (uint32_t)(end - steps)}}};
    uint64_t known;
    enum status status =
        core_check_redrive(run->rig.core, event.redrive.of_saga_id, run->rig.now_ms, &known, NULL);
    event.redrive.once = status == STATUS_OK && draw(run, 2);
    finish_start(run, &event);
    run->accepted[EVENT_REDRIVE]++;
}

/* ---- answers ---------------------------------------------------------------------------------
 */

static struct event result_of(struct run *run, uint32_t branch, bool by_token)
{
    char text[300] = "'";
    struct event event = {.kind = EVENT_RESULT, .result = {branch, .by_token = by_token}};
    if (draw(run, 5) == 0)
        return event;
    uint32_t count = draw(run, 200);
    memset(text + 1, 'o', count);
    memcpy(text + 1 + count, "'", 2);
    if (draw(run, 4) > 0)
        snprintf(text, sizeof text, "%u", draw(run, 10));
    event.result.output = rig_value(text);
    return event;
}

static struct event error_of(struct run *run, uint32_t branch, bool by_token)
{
    static const char *const names[] = {"X", "Y", "Z", "Busy", "Q"};
    return (struct event){.kind = EVENT_ERROR,
                          .error = {.branch = branch,
                                    .by_token = by_token,
                                    .retryable = draw(run, 4) > 0,
                                    .name = text_of(names[draw(run, 5)]),
                                    .cause = text_of("because")}};
}

/* In percent, how often a handler succeeds: all do once the run comes to its end. */
static uint32_t luck_of(const struct run *run)
{
    return run->saga_count < SAGAS_COUNT ? 70 : 97;
}

static void answer_invoke(struct run *run)
{
    if (run->pending_count == 0)
        return;
    uint32_t at = draw(run, run->pending_count);
    struct effect effect = run->pending[at];
    run->pending[at] = run->pending[--run->pending_count];
    if (!core_expects(run->rig.core, effect.branch, effect.generation))
        return;
    struct core_invocation call = rig_call(&run->rig, effect);
    if (draw(run, 100) >= luck_of(run)) {
        struct event event = error_of(run, effect.branch, false);
        assert_true(apply(run, &event, effect.branch, effect.id));
        return;
    }
    struct event event = result_of(run, effect.branch, false);
    model_on_result(&run->models[effect.id], rig_handler(&run->rig, effect), call,
                    event.result.output, false);
    assert_true(apply(run, &event, effect.branch, effect.id));
}

/* A branch at random that stands in this phase, or UINT32_MAX. */
static uint32_t find_branch(struct run *run, enum phase phase)
{
    uint32_t count = core_branches_count(run->rig.core);
    uint32_t first = count == 0 ? 0 : draw(run, count);
    for (uint32_t i = 0; i < count; i++)
        if (phase_of(run, (first + i) % count) == phase)
            return (first + i) % count;
    return UINT32_MAX;
}

static const struct plan_state *state_at(const struct run *run, uint32_t branch)
{
    const struct branch *at = &run->rig.core->branches[branch];
    return &core_plan(run->rig.core, run->rig.core->sagas[at->saga].plan)->states[at->state];
}

/* By token, and by one of an attempt before or after, which is nobody's. */
static void answer_token(struct run *run, uint32_t branch)
{
    struct core_branch_view view;
    assert_true(core_view_branch(run->rig.core, branch, &view));
    const struct plan *plan = core_plan(run->rig.core, view.plan);
    struct core_invocation call = {
        .saga_id = view.saga_id,
        .step_no = view.step_no,
        .attempt_no = view.attempt_no + draw(run, 8) - (draw(run, 8) == 0),
        .input = core_payload(run->rig.core, run->rig.core->branches[branch].payload)};
    if (draw(run, 3) > 0)
        call.attempt_no = view.attempt_no;
    uint32_t found = UINT32_MAX;
    enum status status = rig_check_token(&run->rig, call, &found);
    assert_int_equal(status == STATUS_OK, call.attempt_no == view.attempt_no);
    if (status != STATUS_OK)
        return;
    assert_int_equal(found, branch);
    uint32_t luck = draw(run, 100);
    const char *handler = plan->resources[state_at(run, branch)->resource].handler;
    struct event event = result_of(run, branch, true);
    if (luck < 20)
        event = (struct event){.kind = EVENT_HEARTBEAT, .heartbeat = {branch}};
    else if (luck < 35)
        event = error_of(run, branch, true);
    else
        model_on_result(&run->models[view.saga_id], handler, call, event.result.output, true);
    bool changed = apply(run, &event, luck < 20 ? UINT32_MAX : branch, view.saga_id);
    assert_true(changed || event.kind == EVENT_HEARTBEAT);
}

/* ---- time ------------------------------------------------------------------------------------
 */

static void fire_timer(struct run *run, uint32_t branch)
{
    int64_t due_ms = core_due_ms(run->rig.core, branch);
    struct event event = {.kind = EVENT_TIMER, .timer = {.branch = branch}};
    struct core_branch_view view;
    if (due_ms < 0 || !core_view_branch(run->rig.core, branch, &view))
        return;
    if (run->rig.now_ms < due_ms && draw(run, 4) == 0) {
        run->rig.now_ms += (due_ms - run->rig.now_ms) / 2;
        assert_false(apply(run, &event, branch, view.saga_id));
    }
    run->rig.now_ms = due_ms > run->rig.now_ms ? due_ms : run->rig.now_ms;
    assert_true(apply(run, &event, branch, view.saga_id));
}

static void fire_any(struct run *run)
{
    static const enum phase waiting[] = {
        PHASE_BACKOFF,  PHASE_SLEEPING, PHASE_UNDO_BACKOFF, PHASE_DETACHED_BACKOFF, PHASE_SLEEPING,
        PHASE_AWAITING, PHASE_WAITING,  PHASE_UNDO_WAITING, PHASE_DETACHED};
    /* Now and then a deadline. */
    uint32_t branch = find_branch(run, waiting[draw(run, draw(run, 3) == 0 ? 9 : 5)]);
    if (branch != UINT32_MAX)
        fire_timer(run, branch);
}

/* Before the event: what its handler has begun, and a token was to end, is undone as if it were
 * done; not so by journals of before. */
static void on_cancel(struct run *run, uint64_t id, bool abort, bool undo_begun)
{
    struct model *model = &run->models[id];
    uint32_t slot = core_find_saga(run->rig.core, id), branch = CORE_NO_SAGA;
    model_on_cancel(model, abort);
    while (undo_begun && core_next_branch(run->rig.core, slot, &branch)) {
        struct core_branch_view view;
        assert_true(core_view_branch(run->rig.core, branch, &view));
        const struct plan_state *state = state_at(run, branch);
        if (view.phase != PHASE_AWAITING || state->task_kind != TASK_TOKEN)
            continue;
        const struct plan *plan = core_plan(run->rig.core, view.plan);
        const struct core_invocation call = {.step_no = view.step_no,
                                             .input = core_branch_payload(run->rig.core, branch)};
        const char *handler = plan->resources[state->resource].handler;
        if (handler[0] != 'c')
            continue;
        model_on_result(model, handler, call, (struct flyover_bytes){0}, true);
        run->begun_count++;
    }
}

static void fire_deadline(struct run *run)
{
    uint32_t slot = draw(run, core_sagas_count(run->rig.core) + 1);
    struct event event = {.kind = EVENT_TIMER, .timer = {.branch = slot, .of_saga = true}};
    event.timer.undo_begun = draw(run, 2);
    if (slot == core_sagas_count(run->rig.core) || core_deadline_ms(run->rig.core, slot) < 0) {
        assert_false(apply(run, &event, UINT32_MAX, 0));
        return;
    }
    uint64_t id = run->rig.core->sagas[slot].id;
    int64_t due_ms = core_deadline_ms(run->rig.core, slot);
    if (run->rig.now_ms < due_ms && due_ms - run->rig.now_ms > 50000 && draw(run, 4) > 0)
        return;
    run->rig.now_ms = due_ms > run->rig.now_ms ? due_ms : run->rig.now_ms;
    on_cancel(run, id, false, event.timer.undo_begun);
    assert_true(apply(run, &event, UINT32_MAX, id));
}

/* ---- from outside ----------------------------------------------------------------------------
 */

/* One that lives, mostly; one that has ended, or does not exist. */
static uint64_t draw_saga(struct run *run)
{
    uint32_t slots = core_sagas_count(run->rig.core);
    uint32_t slot = slots == 0 ? 0 : draw(run, slots);
    if (slots > 0 && run->rig.core->sagas[slot].in_use && draw(run, 16) > 0)
        return run->rig.core->sagas[slot].id;
    return draw(run, run->saga_count + 3);
}

static void apply_checked(struct run *run, const struct event *event, enum status status,
                          uint64_t id)
{
    bool known = id >= 1 && id <= run->saga_count;
    assert_int_equal(apply(run, event, UINT32_MAX, known ? id : 0), status == STATUS_OK);
    if (status == STATUS_OK)
        run->accepted[event->kind]++;
    else
        run->refused[event->kind]++;
}

static void signal_to(struct run *run, uint64_t id, const char *name)
{
    struct event event = {.kind = EVENT_SIGNAL, .signal = {.saga_id = id, .name = text_of(name)}};
    event.signal.payload = rig_value(draw(run, 2) ? "5" : "{'by':'card'}");
    enum status status = core_check_signal(run->rig.core, id, event.signal.name, NULL);
    apply_checked(run, &event, status, id);
}

static void cancel_any(struct run *run)
{
    struct core_branch_view view;
    uint32_t branch = draw(run, 4) == 0 ? find_branch(run, PHASE_AWAITING) : UINT32_MAX;
    bool found = branch != UINT32_MAX && core_view_branch(run->rig.core, branch, &view);
    uint64_t id = found ? view.saga_id : draw_saga(run);
    struct event event = {
        .kind = EVENT_CANCEL,
        .cancel = {.saga_id = id, .abort = draw(run, 3) == 0, .reason = text_of("asked to")}};
    event.cancel.undo_begun = !event.cancel.abort && draw(run, 2);
    enum status status = core_check_cancel(run->rig.core, id, event.cancel.abort, NULL);
    if (status == STATUS_OK)
        on_cancel(run, id, event.cancel.abort, event.cancel.undo_begun);
    apply_checked(run, &event, status, id);
}

static void mend(struct run *run, uint64_t id)
{
    struct event event = {.kind = EVENT_MEND, .mend = {.saga_id = id, .reason = text_of("why")}};
    event.mend.action = (enum mend_action)(draw(run, 8) % 3);
    if (draw(run, 2))
        event.mend.output = rig_value("4");
    enum status status =
        core_check_mend(run->rig.core, id, event.mend.action, event.mend.output.count > 0, NULL);
    if (status == STATUS_OK && !run->models[id].stuck) {
        assert_int_equal(event.mend.action, MEND_SKIP);
        run->waits_skipped_count++;
    } else if (status == STATUS_OK) {
        model_on_mend(&run->models[id], event.mend.action);
        run->running_count++;
        run->stuck_count--;
    }
    apply_checked(run, &event, status, id);
}

static void mend_any(struct run *run)
{
    static const enum phase phases[] = {PHASE_STUCK, PHASE_STUCK_FORWARD, PHASE_SLEEPING};
    uint32_t branch = find_branch(run, phases[draw(run, 3)]);
    struct core_branch_view view;
    bool found = branch != UINT32_MAX && core_view_branch(run->rig.core, branch, &view);
    mend(run, found ? view.saga_id : draw_saga(run));
}

/* Who waits for an answer from outside gets one. */
static void answer_awaiting(struct run *run)
{
    uint32_t branch = find_branch(run, PHASE_AWAITING);
    struct core_branch_view view;
    if (branch == UINT32_MAX || !core_view_branch(run->rig.core, branch, &view))
        return;
    const struct plan_state *state = state_at(run, branch);
    if (state->task_kind == TASK_TOKEN)
        answer_token(run, branch);
    else
        signal_to(run, view.saga_id, draw(run, 4) ? (draw(run, 2) ? "go" : "x") : "no");
}

/* An event that the branch has no row for, applied though nobody would: it changes nothing. */
static void stray_event(struct run *run)
{
    uint32_t branch = draw(run, core_branches_count(run->rig.core) + 2);
    enum phase phase = phase_of(run, branch);
    bool by_token = phase != PHASE_AWAITING || state_at(run, branch)->task_kind != TASK_TOKEN;
    struct event event = result_of(run, branch, by_token);
    if (draw(run, 2))
        event = error_of(run, branch, by_token);
    assert_false(apply(run, &event, UINT32_MAX, 0));
}

/* ---- what must hold --------------------------------------------------------------------------
 */

static void add_plans(struct rig *rig)
{
    for (uint32_t i = 0; i < MODEL_PLANS_COUNT; i++)
        assert_int_equal(rig_add(rig, model_definitions[i]), i);
}

/* A fresh core reads the journal: it stands where the first one does, and asks for what is due. */
static void check_replay(struct run *run)
{
    static struct rig fresh;
    rig_open(&fresh, SLOTS_COUNT, PAYLOAD_BYTES);
    add_plans(&fresh);
    uint32_t notes_crc = 0;
    core_set_on_note(fresh.core, take_note, &notes_crc);
    const uint8_t *at = run->journal, *end = at + run->journal_bytes;
    for (uint32_t i = 0; i < run->events_count; i++) {
        struct event event;
        at = event_decode(at, end, &event);
        assert_non_null(at);
        fresh.now_ms = run->moments[i].now_ms;
        fresh.block_no = run->moments[i].block_no;
        assert_int_equal(rig_apply(&fresh, &event), STATUS_OK);
        fresh.effects.head = fresh.effects.tail;
    }
    assert_ptr_equal(at, end);
    assert_true(rig_same(core_digest(run->rig.core), core_digest(fresh.core)));
    assert_int_equal(notes_crc, run->notes_crc);
    core_resume(fresh.core, &fresh.effects);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < run->pending_count; i++)
        expected += core_expects(run->rig.core, run->pending[i].branch, run->pending[i].generation);
    assert_int_equal(effect_queue_count(&fresh.effects), expected);
    for (; effect_queue_count(&fresh.effects) > 0; fresh.effects.head++) {
        const struct effect *effect = effect_at(&fresh.effects, fresh.effects.head);
        assert_true(core_expects(run->rig.core, effect->branch, effect->generation));
    }
    rig_close(&fresh);
}

static void restart_twin(struct run *run)
{
    rig_close(&run->twin);
    rig_open_twin(&run->rig, &run->twin);
    core_set_on_note(run->twin.core, take_note, &run->twins_crc);
}

/* ---- the run ---------------------------------------------------------------------------------
 */

static struct run *open_run(uint64_t seed, struct model_moves *moves)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    run.seed = seed;
    run.moves = moves;
    rig_open(&run.rig, SLOTS_COUNT, PAYLOAD_BYTES);
    rig_open(&run.twin, SLOTS_COUNT, PAYLOAD_BYTES);
    add_plans(&run.rig);
    add_plans(&run.twin);
    core_set_on_note(run.rig.core, take_note, &run.notes_crc);
    core_set_on_note(run.twin.core, take_note, &run.twins_crc);
    run.journal = malloc(JOURNAL_BYTES);
    run.moments = malloc(EVENTS_MAX * sizeof *run.moments);
    assert_true(run.journal != NULL && run.moments != NULL);
    return &run;
}

static void close_run(struct run *run)
{
    free(run->journal);
    free(run->moments);
    rig_close(&run->rig);
    rig_close(&run->twin);
}

static void step(struct run *run)
{
    bool room = run->saga_count < SAGAS_COUNT && core_sagas_live(run->rig.core) < LIVE_MAX;
    uint32_t luck = draw(run, 1000);
    if (luck < 150 && room)
        start_saga(run);
    else if (luck < 160 && room && run->saga_count > 0)
        redrive_saga(run);
    else if (luck < 600)
        answer_invoke(run);
    else if (luck < 780)
        fire_any(run);
    else if (luck < 900)
        answer_awaiting(run);
    else if (luck < 920)
        cancel_any(run);
    else if (luck < 950)
        mend_any(run);
    else if (luck < 970)
        stray_event(run);
    else if (luck < 980)
        signal_to(run, draw_saga(run), draw(run, 2) ? "go" : "x");
    else if (luck < 984)
        fire_deadline(run);
    else if (luck == 999 && draw(run, 4) == 0)
        restart_twin(run);
}

static void drive(struct run *run)
{
    for (uint32_t turn = 0; run->saga_count < SAGAS_COUNT || core_sagas_live(run->rig.core) > 0;
         turn++) {
        step(run);
        if (turn == 5000)
            check_replay(run);
    }
}

static void whatever_happens_each_saga_does_what_it_may_and_nothing_is_left(void **state)
{
    (void)state;
    static struct model_moves moves;
    uint32_t begun_count = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct run *run = open_run(seed * 0x9e3779b97f4a7c15, &moves);
        drive(run);
        check_replay(run);
        rig_assert_empty(&run->rig);
        assert_int_equal(core_find_saga(run->rig.core, run->saga_count), CORE_NO_SAGA);
        for (enum outcome outcome = OUTCOME_SUCCEEDED; outcome <= OUTCOME_ABORTED; outcome++)
            assert_in_range(run->outcomes[outcome], 10, SAGAS_COUNT * 4);
        for (enum event_kind kind = EVENT_SIGNAL; kind <= EVENT_REDRIVE; kind++) {
            assert_true(run->accepted[kind] > 20 || kind == EVENT_HEARTBEAT);
            assert_true(run->refused[kind] > 20 || kind == EVENT_HEARTBEAT ||
                        kind == EVENT_REDRIVE);
        }
        begun_count += run->begun_count;
        assert_true(run->waits_skipped_count > 5);
        close_run(run);
    }
    model_check_moves(&moves);
    assert_true(begun_count > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_each_saga_does_what_it_may_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
