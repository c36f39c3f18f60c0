/*
 * Thousands of sagas under random answers, of definitions that only go forward and back (time,
 * signals, tokens, pivots, cancelling and mending: test_core_walks.c). Every event goes to two
 * cores, to the second one by way of its record in the journal; a model that knows nothing of slots
 * says what each saga may do.
 */
#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"

enum {
    SAGAS_COUNT = 800,
    SLOTS_COUNT = 256, /* more than may run, with those that are stuck */
    PAYLOAD_BYTES = 64 << 20,
    RUNNING_MAX = 24,
    STACK_MAX = 64,
    PENDING_MAX = 256,
    JOURNAL_BYTES = 64 << 20,
};

#define ANY_ERROR "'Retry':[" RETRY("'X','Y'", 2, "") "," RETRY("'Z'", 1, "") "],"

/* Handlers whose name begins with c are compensated, with f fired and forgotten. */
static const char *const definitions[] = {
    STATES(UNDONE("A", "ca", ANY_ERROR "'ResultPath':'$.a','Next':'B'"),
           TASK("B", "b", "'ResultPath':null,'Next':'C'"),
           UNDONE("C", "cc", ANY_ERROR "'ResultPath':null,'Next':'D'"),
           UNDONE("D", "cd", "'End':true")),
    STATES(TASK("A", "fa", "'FireAndForget':true," ANY_ERROR "'Next':'B'"),
           UNDONE("B", "cb",
                  ANY_ERROR "'Catch':[{'ErrorEquals':['Y','Z'],'ResultPath':'$.e','Next':'D'}],"
                            "'ResultPath':'$.r','Next':'C'"),
           STATE("Choice", "C",
                 "'Choices':[{'Variable':'$.r','NumericLessThan':5,'Next':'B'},"
                 "{'Variable':'$.r','NumericLessThan':6,'Next':'F'}],'Default':'D'"),
           TASK("D", "d", "'Catch':[{'ErrorEquals':['States.ALL'],'Next':'E'}],'End':true"),
           STATE("Succeed", "E", "'Comment':''"), FAIL("F", "Own")),
    STATES(STATE("Pass", "A", "'Result':{'k':1},'ResultPath':'$.p','Next':'B'"),
           TASK("B", "fb", "'FireAndForget':true,'Next':'C'"),
           TASK("C", "fc", "'FireAndForget':true," ANY_ERROR "'Next':'D'"),
           UNDONE("D", "cd",
                  "'Retry':[{'ErrorEquals':['States.ALL'],'JitterStrategy':'FULL'}],"
                  "'Next':'E'"),
           UNDONE("E", "ce",
                  "'Catch':[{'ErrorEquals':['X'],'ResultPath':'$.x','Next':'F'}],"
                  "'ResultPath':'$.x.y','End':true"),
           STATE("Choice", "F",
                 "'Choices':[{'Variable':'$.x.Cause','StringGreaterThan':'bec','Next':'D'}]")),
};
enum { PLANS_COUNT = sizeof definitions / sizeof definitions[0] };

/* What a saga has done that can be undone, last on top. */
struct model {
    struct done {
        uint32_t step_no;
        char handler[8];
        uint32_t input_crc, output_crc;
    } stack[STACK_MAX];
    uint32_t count;
    bool undoing;
    bool replied;
    bool stuck;
};

struct journal {
    uint8_t *bytes;
    size_t bytes_count;
    int64_t *times_ms;
    uint32_t count;
};

struct run {
    struct rig rig, twin;
    uint32_t plans[PLANS_COUNT];
    uint64_t seed;
    bool may_stick;
    struct model models[SAGAS_COUNT + 1]; /* by saga id */
    uint32_t running_count;
    uint32_t stuck_count;
    struct effect pending[PENDING_MAX];
    uint32_t pending_count;
    struct effect answered[PENDING_MAX];
    uint32_t answered_count;
    struct journal journal;
    bool seen[PHASES_COUNT][EVENT_TIMER + 1][PHASES_COUNT];
};

static uint32_t draw(struct run *run, uint32_t below)
{
    run->seed ^= run->seed << 13;
    run->seed ^= run->seed >> 7;
    run->seed ^= run->seed << 17;
    return (uint32_t)((run->seed >> 16) % below);
}

/* ---- the model --------------------------------------------------------------------------------
 */

static uint32_t crc_of(struct flyover_bytes bytes)
{
    return bytes.count == 0 ? 0 : crc32c(0, bytes.at, bytes.count);
}

static void model_on_invoke(struct run *run, struct effect effect)
{
    struct core_invocation call = rig_call(&run->rig, effect);
    struct model *model = &run->models[effect.id];
    const char *handler = rig_handler(&run->rig, effect);
    if (call.phase == FLYOVER_FORWARD) {
        assert_true(!model->undoing || handler[0] == 'f');
        return;
    }
    model->undoing = true;
    assert_int_not_equal(model->count, 0);
    const struct done *last = &model->stack[model->count - 1];
    assert_string_equal(handler + strlen("undo_"), last->handler);
    assert_int_equal(call.step_no, last->step_no);
    assert_int_equal(crc_of(call.input), last->input_crc);
    assert_int_equal(crc_of(call.output), last->output_crc);
}

static void model_on_result(struct run *run, struct effect effect, struct flyover_bytes output)
{
    struct core_invocation call = rig_call(&run->rig, effect);
    struct model *model = &run->models[effect.id];
    const char *handler = rig_handler(&run->rig, effect);
    if (call.phase == FLYOVER_COMPENSATION) {
        model->count--;
    } else if (handler[0] == 'c') {
        assert_in_range(model->count, 0, STACK_MAX - 1);
        struct done *done = &model->stack[model->count++];
        *done = (struct done){call.step_no, "", crc_of(call.input), crc_of(output)};
        snprintf(done->handler, sizeof done->handler, "%s", handler);
    }
}

static void model_on_reply(struct run *run, struct effect effect)
{
    struct model *model = &run->models[effect.id];
    assert_false(model->replied);
    model->replied = true;
    model->stuck = effect.outcome == OUTCOME_STUCK;
    run->running_count--;
    run->stuck_count += model->stuck;
    assert_int_equal(model->undoing,
                     effect.outcome == OUTCOME_COMPENSATED || effect.outcome == OUTCOME_STUCK);
    assert_true(effect.outcome == OUTCOME_SUCCEEDED || model->stuck == (model->count > 0));
}

static void check_totals(const struct run *run)
{
    struct core_totals totals = core_totals(run->rig.core);
    uint64_t decided = totals.succeeded + totals.failed + totals.compensated + totals.stuck;
    assert_true(totals.started == decided + run->running_count);
    assert_true(totals.stuck == run->stuck_count);
    assert_true(totals.started == totals.ended + core_sagas_live(run->rig.core));
    assert_true(totals.steps_ended <= totals.steps);
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
        if (effect.kind == EFFECT_REPLY) {
            model_on_reply(run, effect);
            continue;
        }
        if (effect.kind == EFFECT_INVOKE)
            model_on_invoke(run, effect);
        assert_in_range(run->pending_count, 0, PENDING_MAX - 1);
        run->pending[run->pending_count++] = effect;
    }
}

/* The record of the event, read back: what a replay sees. */
static struct event journal_add(struct journal *journal, const struct event *event, int64_t now_ms)
{
    struct event read;
    assert_true(journal->bytes_count + event_encoded_bytes_max(event) <= JOURNAL_BYTES);
    uint8_t *at = journal->bytes + journal->bytes_count;
    const uint8_t *end = event_encode(event, at);
    assert_ptr_equal(event_decode(at, end, &read), end);
    journal->bytes_count = (size_t)(end - journal->bytes);
    journal->times_ms[journal->count++] = now_ms;
    return read;
}

static enum phase phase_of(const struct run *run, uint32_t branch)
{
    struct core_branch_view view;
    return core_view_branch(run->rig.core, branch, &view) ? view.phase : PHASE_ENDED;
}

static void apply(struct run *run, const struct event *event, uint32_t branch)
{
    enum phase before = phase_of(run, branch);
    run->twin.now_ms = run->rig.now_ms;
    struct event read = journal_add(&run->journal, event, run->rig.now_ms);
    assert_int_equal(rig_apply(&run->rig, event), STATUS_OK);
    assert_int_equal(rig_apply(&run->twin, &read), STATUS_OK);
    assert_true(rig_same(core_digest(run->rig.core), core_digest(run->twin.core)));
    run->seen[before][event->kind][phase_of(run, branch)] = true;
    take_effects(run);
    check_totals(run);
}

static struct flyover_bytes draw_output(struct run *run)
{
    char text[2100] = "'";
    if (draw(run, 5) == 0)
        return (struct flyover_bytes){0};
    if (draw(run, 2) == 0) {
        snprintf(text, sizeof text, "%u", draw(run, 10));
    } else {
        uint32_t count = 1 + draw(run, 2000);
        memset(text + 1, 'o', count);
        memcpy(text + 1 + count, "'", 2);
    }
    return rig_value(text);
}

static void start_saga(struct run *run)
{
    char text[3100] = "";
    int padding = (int)draw(run, 3000);
    snprintf(text, sizeof text, "{'n':%u,'pad':'%0*d'}", draw(run, 100), padding + 1, 0);
    struct event event = {.kind = EVENT_START, .start = {.source = EVENT_NO_SOURCE}};
    event.start.plan = run->plans[draw(run, PLANS_COUNT)];
    event.start.input = rig_value(text);
    const struct core_source *sources;
    uint32_t sources_count = core_sources(run->rig.core, &sources);
    if (sources_count > 0 && draw(run, 2) == 0)
        event.start.source = draw(run, sources_count);
    assert_true(core_can_start(run->rig.core, event.start.plan, &run->rig.effects));
    run->running_count++;
    apply(run, &event, UINT32_MAX);
}

static void answer_invoke(struct run *run, struct effect effect)
{
    static const char *const names[] = {"X", "Y", "Z", "Busy", "Q"};
    struct core_invocation call = rig_call(&run->rig, effect);
    bool undoing = call.phase == FLYOVER_COMPENSATION;
    uint32_t luck = draw(run, 100);
    if (undoing && !run->may_stick)
        luck = call.attempt_no == 1 && luck < 30 ? 85 : 0;
    if (luck < 70) {
        struct event event = {.kind = EVENT_RESULT, .result = {.branch = effect.branch}};
        event.result.output = draw_output(run);
        model_on_result(run, effect, event.result.output);
        apply(run, &event, effect.branch);
        return;
    }
    const char *name = undoing && luck < 98 ? "Busy" : names[draw(run, 5)];
    struct event event = {.kind = EVENT_ERROR, .error = {.branch = effect.branch}};
    event.error.retryable = luck < 90 || (undoing && luck < 98);
    event.error.name = (struct flyover_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
    event.error.cause = (struct flyover_bytes){(const uint8_t *)"because", draw(run, 8)};
    apply(run, &event, effect.branch);
}

static void answer_any(struct run *run)
{
    uint32_t at = draw(run, run->pending_count);
    struct effect effect = run->pending[at];
    run->pending[at] = run->pending[--run->pending_count];
    run->answered[run->answered_count++ % PENDING_MAX] = effect;
    if (effect.kind == EFFECT_INVOKE) {
        answer_invoke(run, effect);
        return;
    }
    int64_t due_ms = rig_due_ms(&run->rig, effect);
    assert_true(due_ms >= 0);
    run->rig.now_ms = due_ms > run->rig.now_ms ? due_ms : run->rig.now_ms;
    struct event event = {.kind = EVENT_TIMER, .timer = {.branch = effect.branch}};
    apply(run, &event, effect.branch);
}

/* Somebody answers again what has been answered, whoever has the slot by now. */
static void answer_again(struct run *run)
{
    uint32_t count = run->answered_count < PENDING_MAX ? run->answered_count : PENDING_MAX;
    if (count == 0)
        return;
    struct effect old = run->answered[draw(run, count)];
    if (old.kind == EFFECT_INVOKE)
        assert_false(core_expects(run->rig.core, old.branch, old.generation));
    else
        assert_int_equal(rig_due_ms(&run->rig, old), -1);
}

/* An event that the branch has no row for, applied though nobody would: it changes nothing. */
static void stray_event(struct run *run)
{
    uint32_t branch = draw(run, core_branches_count(run->rig.core) + 2);
    enum phase phase = phase_of(run, branch);
    struct event event = {.kind = EVENT_TIMER, .timer = {.branch = branch}};
    if (transitions[phase][TRIGGER_TIMER].next != PHASE_FREE)
        event = (struct event){.kind = EVENT_RESULT, .result = {.branch = branch}};
    struct core_digest before = core_digest(run->rig.core);
    apply(run, &event, branch);
    assert_true(rig_same(before, core_digest(run->rig.core)));
    assert_int_equal(phase_of(run, branch), phase);
    run->seen[phase][event.kind][phase] = false;
}

/* ---- what must hold at the end ----------------------------------------------------------------
 */

static void add_plans(struct run *run, struct rig *rig)
{
    for (uint32_t i = 0; i < PLANS_COUNT; i++)
        run->plans[i] = rig_add(rig, definitions[i]);
}

static bool is_pending(const struct run *run, struct effect effect)
{
    for (uint32_t i = 0; i < run->pending_count; i++)
        if (run->pending[i].kind == effect.kind && run->pending[i].branch == effect.branch)
            return run->pending[i].generation == effect.generation &&
                   run->pending[i].id == effect.id;
    return false;
}

/* A fresh core reads the journal: it stands where the first one does, and asks for what is due. */
static void check_replay(struct run *run)
{
    static struct rig fresh;
    rig_open(&fresh, SLOTS_COUNT, PAYLOAD_BYTES);
    add_plans(run, &fresh);
    const uint8_t *at = run->journal.bytes, *end = at + run->journal.bytes_count;
    for (uint32_t i = 0; i < run->journal.count; i++) {
        struct event event;
        at = event_decode(at, end, &event);
        assert_non_null(at);
        fresh.now_ms = run->journal.times_ms[i];
        assert_int_equal(rig_apply(&fresh, &event), STATUS_OK);
        fresh.effects.head = fresh.effects.tail;
    }
    assert_ptr_equal(at, end);
    assert_true(rig_same(core_digest(run->rig.core), core_digest(fresh.core)));
    core_resume(fresh.core, &fresh.effects);
    uint32_t timers_count = 0;
    for (uint32_t branch = 0; branch < core_branches_count(fresh.core); branch++)
        if (core_due_ms(fresh.core, branch) >= 0)
            timers_count++;
    assert_int_equal(effect_queue_count(&fresh.effects) + timers_count, run->pending_count);
    while (effect_queue_count(&fresh.effects) > 0)
        assert_true(is_pending(
            run, fresh.effects.items[fresh.effects.head++ & (fresh.effects.capacity - 1)]));
    for (uint32_t i = 0; i < run->pending_count; i++)
        assert_int_equal(core_due_ms(fresh.core, run->pending[i].branch) >= 0,
                         run->pending[i].kind == EFFECT_TIMER);
    rig_close(&fresh);
}

/* Every slot that is in use belongs to a saga that is stuck. */
static void check_slots(const struct run *run)
{
    uint32_t remembered = 0;
    for (uint32_t id = 1; id <= SAGAS_COUNT; id++) {
        assert_true(run->models[id].replied);
        remembered += run->models[id].stuck ? run->models[id].count : 0;
    }
    assert_int_equal(core_sagas_live(run->rig.core), run->stuck_count);
    assert_int_equal(run->rig.core->branches_pool.used, run->stuck_count);
    assert_int_equal(run->rig.core->completed_pool.used, remembered);
    if (!run->may_stick)
        rig_assert_empty(&run->rig);
}

static bool passes(enum phase phase)
{
    return phase == PHASE_READY || phase == PHASE_UNDOING;
}

/* The definitions here wait for nobody and for no time, have no pivot, and no Catch in a
 * Compensate: these rows are not gone by. */
static bool is_drawn(enum phase phase, enum trigger trigger)
{
    return trigger != TRIGGER_SLEEP && trigger != TRIGGER_AWAIT && trigger != TRIGGER_PARK &&
           trigger != TRIGGER_HANDLED && trigger != TRIGGER_LEAVE && trigger != TRIGGER_SIGNAL &&
           trigger != TRIGGER_MEND && phase != PHASE_SLEEPING && phase != PHASE_AWAITING &&
           phase != PHASE_STUCK_FORWARD &&
           !(phase == PHASE_UNDO_WAITING && trigger == TRIGGER_CAUGHT) &&
           !(phase == PHASE_BACKOFF && trigger == TRIGGER_FAIL);
}

/* Where a branch may come to rest when it comes through `phase` (a fork is another branch). */
static void rests(enum phase phase, bool ret_rests[PHASES_COUNT])
{
    if (!passes(phase)) {
        ret_rests[phase] = true;
        return;
    }
    for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++)
        if (transitions[phase][trigger].next != PHASE_FREE && trigger != TRIGGER_DETACH &&
            is_drawn((enum phase)phase, (enum trigger)trigger))
            rests((enum phase)transitions[phase][trigger].next, ret_rests);
}

/* The core makes every move of the table, and none that is not in it. */
static void check_moves(const struct run *run)
{
    static const struct {
        enum trigger trigger;
        enum event_kind event;
    } rows[] = {{TRIGGER_RESULT, EVENT_RESULT},
                {TRIGGER_RETRY, EVENT_ERROR},
                {TRIGGER_CAUGHT, EVENT_ERROR},
                {TRIGGER_FAIL, EVENT_ERROR},
                {TRIGGER_TIMER, EVENT_TIMER}};
    for (int phase = 0; phase < PHASES_COUNT; phase++) {
        bool allowed[EVENT_TIMER + 1][PHASES_COUNT] = {{false}};
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (transitions[phase][rows[i].trigger].next != PHASE_FREE &&
                !passes((enum phase)phase) && is_drawn((enum phase)phase, rows[i].trigger))
                rests((enum phase)transitions[phase][rows[i].trigger].next, allowed[rows[i].event]);
        for (int kind = EVENT_RESULT; kind <= EVENT_TIMER; kind++)
            for (int next = 0; next < PHASES_COUNT; next++)
                if (run->seen[phase][kind][next] != allowed[kind][next])
                    fail_msg("%s, %s, then %s: in the table %d, seen %d",
                             phase_text((enum phase)phase), event_kind_text((enum event_kind)kind),
                             phase_text((enum phase)next), allowed[kind][next],
                             run->seen[phase][kind][next]);
    }
}

static struct run *open_run(uint64_t seed, bool may_stick)
{
    static struct run run;
    run = (struct run){.seed = seed, .may_stick = may_stick};
    rig_open(&run.rig, SLOTS_COUNT, PAYLOAD_BYTES);
    rig_open(&run.twin, SLOTS_COUNT, PAYLOAD_BYTES);
    add_plans(&run, &run.rig);
    add_plans(&run, &run.twin);
    run.journal.bytes = malloc(JOURNAL_BYTES);
    run.journal.times_ms = malloc(SAGAS_COUNT * 200 * sizeof *run.journal.times_ms);
    assert_true(run.journal.bytes != NULL && run.journal.times_ms != NULL);
    return &run;
}

static void close_run(struct run *run)
{
    free(run->journal.bytes);
    free(run->journal.times_ms);
    rig_close(&run->rig);
    rig_close(&run->twin);
}

static void drive(struct run *run)
{
    uint32_t started_count = 0;
    for (uint32_t turn = 0; started_count < SAGAS_COUNT || run->pending_count > 0; turn++) {
        bool room = core_sagas_live(run->rig.core) - run->stuck_count < RUNNING_MAX &&
                    started_count < SAGAS_COUNT;
        if (room && (run->pending_count == 0 || draw(run, 4) == 0)) {
            start_saga(run);
            assert_int_equal(run->rig.saga_id, ++started_count);
        } else if (run->pending_count > 0) {
            answer_any(run);
        }
        if (draw(run, 8) == 0)
            answer_again(run);
        if (draw(run, 16) == 0)
            stray_event(run);
        if (draw(run, 200) == 0) {
            struct event event = {.kind = EVENT_SOURCE, .source = {turn}};
            apply(run, &event, UINT32_MAX);
        }
        if (turn == 1000)
            check_replay(run);
        assert_in_range(run->journal.count, 0, SAGAS_COUNT * 200 - 8);
    }
}

static void sagas_that_may_stick_keep_only_what_is_stuck(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct run *run = open_run(seed * 0x9e3779b97f4a7c15, true);
        drive(run);
        assert_true(run->stuck_count > 0);
        check_slots(run);
        check_replay(run);
        check_moves(run);
        close_run(run);
    }
}

static void sagas_that_all_come_to_an_end_leave_nothing_behind(void **state)
{
    (void)state;
    struct run *run = open_run(0x2545f4914f6cdd1d, false);
    drive(run);
    assert_int_equal(run->stuck_count, 0);
    struct core_totals totals = core_totals(run->rig.core);
    assert_true(totals.succeeded > 100 && totals.compensated > 100 && totals.failed > 10);
    assert_true(totals.retries > 100 && totals.detached_failed > 10);
    assert_true(totals.steps == totals.steps_ended);
    check_slots(run);
    check_replay(run);
    close_run(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sagas_that_may_stick_keep_only_what_is_stuck),
        cmocka_unit_test(sagas_that_all_come_to_an_end_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
