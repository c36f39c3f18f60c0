#include "tests/sim/ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/ledger_walk.h"
#include "tests/sim/verdict.h"

void ledger_init(struct ledger *ledger, uint64_t seed)
{
    *ledger = (struct ledger){.seed = seed};
}

void ledger_fini(struct ledger *ledger)
{
    free(ledger->sagas);
    free(ledger->answered);
}

void ledger_begin_rebuild(struct ledger *ledger)
{
    ledger->rebuilding = true;
    ledger->plans_count = 0;
    ledger->sagas_count = 0;
    ledger->totals = (struct core_totals){0};
    memset(ledger->counters, 0, sizeof ledger->counters);
    ledger->last_no = 0;
    ledger->last_now_ms = 0;
    ledger->last_epoch = 0;
    ledger->answered_count = 0;
}

/* ---- looking things up ---------------------------------------------------------------------- */

static struct ledger_saga *find_saga(struct ledger *ledger, uint64_t saga_id)
{
    return saga_id >= 1 && saga_id <= ledger->sagas_count ? &ledger->sagas[saga_id] : NULL;
}

/* The branch that works on the step, or NULL. */
static struct ledger_branch *find_branch(struct ledger_saga *saga, uint32_t step_no, bool undo)
{
    if (saga->root.wait != LEDGER_IDLE && saga->root.step_no == step_no && saga->root.undo == undo)
        return &saga->root;
    for (uint32_t i = 0; i < saga->detached_count && !undo; i++)
        if (saga->detached[i].wait != LEDGER_IDLE && saga->detached[i].step_no == step_no)
            return &saga->detached[i];
    return NULL;
}

static int64_t number_at(struct flyover_cursor map, const char *key, int64_t otherwise)
{
    struct flyover_cursor found;
    int64_t number = otherwise;
    if (flyover_find(&map, key, &found))
        (void)flyover_read_int(&found, &number);
    return number;
}

static struct ledger_value value_of(struct flyover_cursor cursor)
{
    if (flyover_peek(&cursor) == FLYOVER_NIL)
        return (struct ledger_value){.kind = LEDGER_NIL};
    struct flyover_cursor found;
    struct flyover_bytes name;
    if (flyover_find(&cursor, "Error", &found) && flyover_read_str(&found, &name))
        for (int i = 0; i <= SCRIPT_ERRORS; i++)
            if (strlen(script_errors[i]) == name.count &&
                memcmp(script_errors[i], name.at, name.count) == 0)
                return (struct ledger_value){LEDGER_ERROR, i};
    if (flyover_find(&cursor, "n", &found))
        return (struct ledger_value){LEDGER_NUMBER, number_at(cursor, "n", INT64_MIN)};
    return (struct ledger_value){.kind = LEDGER_ABSENT};
}

static struct flyover_cursor cursor_of(struct flyover_bytes bytes)
{
    return (struct flyover_cursor){bytes.at, bytes.at + bytes.count};
}

static bool same_value(struct ledger_value a, struct ledger_value b)
{
    return a.kind == b.kind && (a.n == b.n || a.kind == LEDGER_ABSENT || a.kind == LEDGER_NIL);
}

static bool same_payload(const struct ledger_payload *payload, struct flyover_cursor read)
{
    if (!same_value(payload->root, value_of(read)))
        return false;
    for (int i = 0; i < SCRIPT_FIELDS; i++) {
        char key[] = {'r', (char)('0' + i), '\0'};
        struct ledger_value field = {.kind = LEDGER_ABSENT};
        struct flyover_cursor found;
        if (flyover_find(&read, key, &found))
            field = value_of(found);
        if (!same_value(payload->fields[i], field))
            return false;
    }
    return true;
}

/* ---- what the handlers answer ---------------------------------------------------------------- */

static struct ledger_answer answer_of(const struct ledger *ledger, uint64_t saga_id,
                                      const struct ledger_branch *branch)
{
    const struct ledger_faults *faults = branch->undo ? &ledger->undo : &ledger->forward;
    uint64_t key = chance_mix(chance_mix(ledger->seed, saga_id), branch->step_no);
    struct chance chance = {chance_mix(key, branch->attempt_no * 2 + branch->undo)};
    uint32_t draw = chance_draw(&chance, 100);
    struct ledger_answer answer = {.kind = LEDGER_DONE};
    answer.error = (int)chance_draw(&chance, SCRIPT_ERRORS);
    answer.output = (struct ledger_value){LEDGER_NUMBER, chance_draw(&chance, 10)};
    const struct ledger_saga *saga = &ledger->sagas[saga_id];
    bool may_be_nil = saga->script->states[branch->state].into != SCRIPT_REPLACE;
    if (may_be_nil && chance_percent(&chance, 20))
        answer.output = (struct ledger_value){.kind = LEDGER_NIL};
    if (draw < faults->refuse_percent) {
        answer.kind = LEDGER_REFUSE;
    } else if (draw < faults->refuse_percent + faults->retry_percent) {
        answer.kind = LEDGER_RETRY;
    } else if (draw < faults->refuse_percent + faults->retry_percent + faults->garbage_percent) {
        answer.kind = LEDGER_GARBAGE;
        answer.error = SCRIPT_ERROR_OUTPUT;
    }
    return answer;
}

static void check_undo_input(const struct ledger_saga *saga, struct flyover_cursor input)
{
    const struct ledger_done *last = &saga->done[saga->done_count - 1];
    struct flyover_cursor part;
    verdict_check(flyover_find(&input, "input", &part) && same_payload(&last->input, part),
                  "a compensation gets another input than the step had");
    verdict_check(flyover_find(&input, "output", &part), "a compensation gets no output");
    verdict_check(same_value(last->output, value_of(part)),
                  "a compensation gets another output than the step gave");
}

struct ledger_answer ledger_run(struct ledger *ledger, struct flyover_key key, uint32_t service,
                                uint32_t handler, struct flyover_cursor input)
{
    bool undo = key.phase == FLYOVER_COMPENSATION;
    struct ledger_saga *saga = find_saga(ledger, key.saga_id);
    struct ledger_branch *branch = saga == NULL ? NULL : find_branch(saga, key.step_no, undo);
    verdict_check(branch != NULL && branch->wait == LEDGER_WAITING,
                  "saga %" PRIu64 ", step %u: %s ran, and no durable block asks for it",
                  key.saga_id, key.step_no, undo ? "its compensation" : "its handler");
    verdict_check(branch->ran_boot != ledger->boot,
                  "saga %" PRIu64 ", step %u: the handler ran twice for attempt %u", key.saga_id,
                  key.step_no, branch->attempt_no);
    branch->ran_boot = ledger->boot;
    const struct script_state *state = &saga->script->states[branch->state];
    verdict_check(service == (undo ? state->undo_service : state->service) &&
                      handler == (undo ? SCRIPT_HANDLERS + state->undo_handler : state->handler),
                  "saga %" PRIu64 ", step %u: another handler ran than the definition names",
                  key.saga_id, key.step_no);
    if (undo)
        check_undo_input(saga, input);
    else
        verdict_check(same_payload(&branch->input, input),
                      "saga %" PRIu64 ", step %u: the handler gets another input", key.saga_id,
                      key.step_no);
    return answer_of(ledger, key.saga_id, branch);
}

void ledger_reply(struct ledger *ledger, uint64_t saga_id, uint64_t token, enum outcome outcome)
{
    struct ledger_saga *saga = find_saga(ledger, saga_id);
    verdict_check(saga != NULL && saga->outcome == outcome,
                  "saga %" PRIu64 " is reported as %s, and no durable block says so", saga_id,
                  outcome_text(outcome));
    verdict_check(saga->token == token, "saga %" PRIu64 ": the reply went to another client",
                  saga_id);
    verdict_check(!saga->replied, "saga %" PRIu64 " is reported twice", saga_id);
    saga->replied = true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_definition(struct ledger *ledger, const struct event *event)
{
    verdict_check(ledger->plans_count < LEDGER_PLANS_MAX, "too many definitions");
    const struct flyover_bytes *text = &event->definition.text;
    for (uint32_t i = 0; i < *ledger->scripts_count; i++) {
        const struct script *script = ledger->scripts[i];
        if (script->text_bytes != text->count || memcmp(script->text, text->at, text->count) != 0)
            continue;
        ledger->plans[ledger->plans_count++] = script;
        return;
    }
    verdict_fail("the journal has a definition that nobody gave");
}

static void on_start(struct ledger *ledger, const struct event *event)
{
    if (ledger->sagas_count + 2 > ledger->sagas_capacity) {
        ledger->sagas_capacity = ledger->sagas_capacity == 0 ? 64 : ledger->sagas_capacity * 2;
        ledger->sagas = realloc(ledger->sagas, ledger->sagas_capacity * sizeof *ledger->sagas);
        assert(ledger->sagas != NULL);
    }
    verdict_check(event->start.plan < ledger->plans_count, "a start names no definition");
    struct flyover_cursor input = cursor_of(event->start.input);
    struct ledger_saga *saga = &ledger->sagas[++ledger->sagas_count];
    *saga = (struct ledger_saga){.script = ledger->plans[event->start.plan]};
    saga->token = (uint64_t)number_at(input, "t", 0);
    saga->payload.root = value_of(input);
    ledger_walk_start(ledger, ledger->sagas_count);
}

static int error_index(struct flyover_bytes name)
{
    for (int i = 0; i <= SCRIPT_ERRORS; i++)
        if (strlen(script_errors[i]) == name.count &&
            memcmp(script_errors[i], name.at, name.count) == 0)
            return i;
    return -1;
}

static void on_result(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                      const struct event *event)
{
    struct ledger_answer answer = answer_of(ledger, saga_id, branch);
    verdict_check(answer.kind == LEDGER_DONE,
                  "saga %" PRIu64 ", step %u: a result where the handler gave an error", saga_id,
                  branch->step_no);
    if (event->result.output.count > 0)
        verdict_check(same_value(value_of(cursor_of(event->result.output)), answer.output),
                      "saga %" PRIu64 ", step %u: not the output that the handler gave", saga_id,
                      branch->step_no);
    ledger_walk_result(ledger, saga_id, branch, answer.output);
}

static void on_error(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                     const struct event *event)
{
    struct ledger_answer answer = answer_of(ledger, saga_id, branch);
    verdict_check(answer.kind != LEDGER_DONE && answer.error == error_index(event->error.name) &&
                      event->error.retryable == (answer.kind == LEDGER_RETRY),
                  "saga %" PRIu64 ", step %u: the journal has the error '%.*s', the handler did "
                  "not give it",
                  saga_id, branch->step_no, (int)event->error.name.count,
                  (const char *)event->error.name.at);
    ledger_walk_error(ledger, saga_id, branch, answer.error, event->error.retryable);
}

/* The saga and branch that the core has under this number. */
static struct ledger_branch *branch_of(struct ledger *ledger, const struct core *core,
                                       uint32_t index, uint64_t *ret_saga_id)
{
    struct core_branch_view view;
    verdict_check(core_view_branch(core, index, &view), "an event for a branch that is free");
    struct ledger_saga *saga = find_saga(ledger, view.saga_id);
    bool undo = view.phase == PHASE_UNDO_WAITING || view.phase == PHASE_UNDO_BACKOFF;
    struct ledger_branch *branch = saga == NULL ? NULL : find_branch(saga, view.step_no, undo);
    verdict_check(branch != NULL, "saga %" PRIu64 ", step %u: an event, and it is not waited for",
                  view.saga_id, view.step_no);
    *ret_saga_id = view.saga_id;
    return branch;
}

static void on_timer(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch)
{
    verdict_check(branch->wait == LEDGER_SLEEPING,
                  "saga %" PRIu64 ", step %u: a timer for a step that does not sleep", saga_id,
                  branch->step_no);
    verdict_check(ledger->wall_ms >= branch->due_ms,
                  "saga %" PRIu64 ", step %u: its timer fired too early", saga_id, branch->step_no);
    ledger_walk_timer(ledger, saga_id, branch);
}

static void before_answer(struct ledger *ledger, const struct core *core, const struct event *event,
                          uint32_t index)
{
    uint64_t saga_id;
    struct ledger_branch *branch = branch_of(ledger, core, index, &saga_id);
    ledger->event_branch = index;
    if (event->kind == EVENT_TIMER) {
        on_timer(ledger, saga_id, branch);
        return;
    }
    verdict_check(branch->wait == LEDGER_WAITING &&
                      (ledger->rebuilding || branch->ran_boot == ledger->boot),
                  "saga %" PRIu64 ", step %u: an answer, and its handler has not run", saga_id,
                  branch->step_no);
    if (event->kind == EVENT_RESULT)
        on_result(ledger, saga_id, branch, event);
    else
        on_error(ledger, saga_id, branch, event);
}

static void before_event(struct ledger *ledger, const struct core *core, const struct event *event)
{
    ledger->expected_count = 0;
    ledger->event_branch = UINT32_MAX;
    switch (event->kind) {
    case EVENT_DEFINITION: on_definition(ledger, event); break;
    case EVENT_START: on_start(ledger, event); break;
    case EVENT_RESULT: before_answer(ledger, core, event, event->result.branch); break;
    case EVENT_ERROR: before_answer(ledger, core, event, event->error.branch); break;
    case EVENT_TIMER: before_answer(ledger, core, event, event->timer.branch); break;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_SOURCE: break;
    case EVENT_SIGNAL:
    case EVENT_HEARTBEAT:
    case EVENT_CANCEL:
    case EVENT_MEND:
    case EVENT_REDRIVE: verdict_fail("an event that nobody asked for");
    }
}

/* ---- what the core asks for ------------------------------------------------------------------ */

static void check_sleep(struct ledger *ledger, const struct core *core, const struct effect *effect,
                        const struct block_header *header)
{
    uint64_t saga_id;
    struct ledger_branch *branch = branch_of(ledger, core, effect->branch, &saga_id);
    branch->due_ms = core_due_ms(core, effect->branch);
    const struct ledger_saga *saga = &ledger->sagas[saga_id];
    const struct script_state *state = &saga->script->states[branch->state];
    const struct script_retriers *retriers =
        branch->undo ? &state->undo_retriers : &state->retriers;
    /* Counted already: the one whose retry this is has the number it would have had next. */
    int error = answer_of(ledger, saga_id, branch).error;
    uint32_t index = 0;
    while (index + 1 < retriers->count && !script_matches(retriers->items[index].errors, error))
        index++;
    int64_t delay_ms = script_delay_ms(&retriers->items[index], branch->spent[index]);
    int64_t slept_ms = branch->due_ms - header->now_ms;
    bool jitter = retriers->items[index].jitter;
    verdict_check(slept_ms <= delay_ms && slept_ms >= (jitter ? 0 : delay_ms),
                  "saga %" PRIu64 ", step %u: sleeps %" PRId64 " ms, the definition says %" PRId64,
                  saga_id, branch->step_no, slept_ms, delay_ms);
}

static uint32_t *answered_of(struct ledger *ledger, uint32_t branch)
{
    if (branch >= ledger->answered_count) {
        uint32_t count = branch + 64;
        ledger->answered = realloc(ledger->answered, count * sizeof *ledger->answered);
        assert(ledger->answered != NULL);
        while (ledger->answered_count < count)
            ledger->answered[ledger->answered_count++] = UINT32_MAX;
    }
    return &ledger->answered[branch];
}

static void check_invoke(struct ledger *ledger, const struct core *core,
                         const struct effect *effect, const struct ledger_effect *expected)
{
    struct core_invocation call;
    verdict_check(core_expects(core, effect->branch, effect->generation),
                  "an invocation that the core does not expect the answer of");
    core_invocation(core, effect->branch, &call);
    verdict_check(call.step_no == expected->step_no &&
                      (call.phase == FLYOVER_COMPENSATION) == expected->undo,
                  "saga %" PRIu64 ": %s %u is asked for, due is %s %u", effect->id,
                  call.phase == FLYOVER_FORWARD ? "step" : "the compensation of step", call.step_no,
                  expected->undo ? "the compensation of step" : "step", expected->step_no);
    uint32_t *answered = answered_of(ledger, effect->branch);
    verdict_check(*answered != effect->generation,
                  "branch %u: the answer to an earlier invocation would pass for this one's",
                  effect->branch);
    *answered = effect->generation;
}

static void after_event(struct ledger *ledger, const struct block_header *header,
                        const struct partition_state *state)
{
    const struct effect_queue *effects = &state->effects;
    verdict_check(effect_queue_count(effects) == ledger->expected_count,
                  "block %" PRIu64 ": an event asks for %u things, due are %u", header->block_no,
                  effect_queue_count(effects), ledger->expected_count);
    for (uint32_t i = 0; i < ledger->expected_count; i++) {
        const struct effect *effect = effect_at(effects, effects->head + i);
        const struct ledger_effect *expected = &ledger->expected[i];
        verdict_check((enum effect_kind)effect->kind == expected->kind &&
                          effect->id == expected->saga_id,
                      "saga %" PRIu64 ": %s, due is %s", effect->id,
                      effect_text((enum effect_kind)effect->kind), effect_text(expected->kind));
        if (expected->kind == EFFECT_INVOKE)
            check_invoke(ledger, state->core, effect, expected);
        else if (expected->kind == EFFECT_TIMER)
            check_sleep(ledger, state->core, effect, header);
        else
            verdict_check((enum outcome)effect->outcome == expected->outcome,
                          "saga %" PRIu64 " is %s, due is %s", effect->id,
                          outcome_text((enum outcome)effect->outcome),
                          outcome_text(expected->outcome));
    }
}

void ledger_on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event)
{
    struct ledger *ledger = context;
    if (moment == PARTITION_BEFORE_EVENT)
        before_event(ledger, state->core, event);
    else
        after_event(ledger, header, state);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

void ledger_on_block(struct ledger *ledger, const struct block_header *header, int64_t wall_ms)
{
    verdict_check(header->block_no == ledger->last_no + 1, "block %" PRIu64 " follows %" PRIu64,
                  header->block_no, ledger->last_no);
    verdict_check(header->now_ms >= ledger->last_now_ms, "block %" PRIu64 ": its clock went back",
                  header->block_no);
    verdict_check(header->durable_no < header->block_no && header->epoch >= ledger->last_epoch,
                  "block %" PRIu64 ": its header cannot be true", header->block_no);
    ledger->last_no = header->block_no;
    ledger->last_epoch = header->epoch;
    ledger->last_now_ms = header->now_ms;
    ledger->wall_ms = wall_ms;
}

void ledger_check_totals(const struct ledger *ledger, const struct core *core)
{
    struct core_totals totals = core_totals(core);
    const struct core_totals *own = &ledger->totals;
    verdict_check(
        totals.started == own->started && totals.ended == own->ended &&
            totals.succeeded == own->succeeded && totals.failed == own->failed &&
            totals.compensated == own->compensated && totals.stuck == own->stuck &&
            totals.steps == own->steps && totals.steps_ended == own->steps_ended &&
            totals.retries == own->retries && totals.detached_failed == own->detached_failed,
        "block %" PRIu64 ": the totals of the core are not those of the ledger", ledger->last_no);
    verdict_check(totals.started == totals.ended + core_sagas_live(core),
                  "block %" PRIu64 ": started is not ended + live", ledger->last_no);
}

void ledger_check_tables(const struct ledger *ledger, const struct partition_state *state)
{
    for (uint32_t i = 0; i + 1 < SCRIPT_SERVICES; i++) {
        uint32_t index = partition_state_find_service(state, script_services[i]);
        if (index == PARTITION_SERVICES_MAX)
            continue;
        for (uint32_t j = 0; j < 2 * SCRIPT_HANDLERS; j++) {
            uint8_t key = (uint8_t)j;
            int64_t count =
                tables_count_of(state->services[index].tables, 0, (struct flyover_bytes){&key, 1});
            verdict_check(count == ledger->counters[i][j],
                          "service %s counts %" PRId64 " runs of %c%u, completed are %" PRId64,
                          script_services[i], count, j < SCRIPT_HANDLERS ? 'h' : 'u',
                          j % SCRIPT_HANDLERS, ledger->counters[i][j]);
        }
    }
}
