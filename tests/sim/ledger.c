#include "tests/sim/ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/core_state.h"
#include "tests/sim/ledger_ask.h"
#include "tests/sim/ledger_check.h"
#include "tests/sim/ledger_walk.h"
#include "tests/sim/verdict.h"

/* Room for the sagas of one life, used again for the next: there may be thousands. */
static struct ledger_saga *kept_sagas;
static uint32_t kept_capacity;

void ledger_init(struct ledger *ledger, uint64_t seed, const struct core_limits *limits)
{
    *ledger = (struct ledger){
        .seed = seed, .limits = *limits, .sagas = kept_sagas, .sagas_capacity = kept_capacity};
    ledger->room_max = limits->sagas_max * COMPLETED_PER_SAGA;
}

void ledger_fini(struct ledger *ledger)
{
    kept_sagas = ledger->sagas;
    kept_capacity = ledger->sagas_capacity;
    free(ledger->answered);
    free(ledger->tokens);
    free(ledger->questions);
}

void ledger_begin_rebuild(struct ledger *ledger)
{
    ledger->rebuilding = true;
    ledger->plans_count = 0;
    ledger->sagas_count = 0;
    ledger->totals = (struct core_totals){0};
    ledger->room_used = 0;
    memset(ledger->names, 0, sizeof ledger->names);
    memset(ledger->counters, 0, sizeof ledger->counters);
    ledger->last_no = 0;
    ledger->now_ms = 0;
    ledger->last_epoch = 0;
    ledger->answered_count = 0;
}

/* ---- looking things up ---------------------------------------------------------------------- */

struct ledger_saga *ledger_find(struct ledger *ledger, uint64_t saga_id)
{
    return saga_id >= 1 && saga_id <= ledger->sagas_count ? &ledger->sagas[saga_id] : NULL;
}

bool ledger_is_live(const struct ledger_saga *saga)
{
    return saga->outcome == OUTCOME_RUNNING || saga->outcome == OUTCOME_STUCK;
}

struct ledger_branch *ledger_find_branch(struct ledger_saga *saga, uint32_t step_no)
{
    for (uint32_t i = 0; i < saga->carriers_count; i++)
        if (saga->carriers[i].wait != LEDGER_GONE && saga->carriers[i].step_no == step_no)
            return &saga->carriers[i];
    for (uint32_t i = 0; i < SCRIPT_STATES_MAX; i++)
        if (saga->detached[i].wait != LEDGER_GONE && saga->detached[i].step_no == step_no)
            return &saga->detached[i];
    return NULL;
}

/* ---- what the handlers answer ---------------------------------------------------------------- */

static struct ledger_answer answer_of(const struct ledger *ledger, uint64_t saga_id,
                                      const struct ledger_branch *branch)
{
    const struct ledger_faults *faults = branch->undo ? &ledger->undo : &ledger->forward;
    uint64_t key = chance_mix(chance_mix(ledger->seed, saga_id), branch->step_no);
    uint64_t attempt = branch->begun_no * 4096u + branch->attempt_no * 2 + branch->undo;
    struct chance chance = {chance_mix(key, attempt)};
    uint32_t draw = chance_draw(&chance, 100);
    struct ledger_answer answer = {.kind = LEDGER_DONE, .attempt_no = branch->attempt_no};
    answer.error = (int)chance_draw(&chance, SCRIPT_ERRORS);
    answer.output = (struct ledger_value){LEDGER_NUMBER, (int32_t)chance_draw(&chance, 10)};
    const struct script_state *state = &ledger->sagas[saga_id].script->states[branch->state];
    answer.by_token = state->kind == SCRIPT_TOKEN && !branch->undo;
    bool may_be_nil = state->into != SCRIPT_REPLACE;
    if (may_be_nil && chance_percent(&chance, 20))
        answer.output = (struct ledger_value){.kind = LEDGER_NIL};
    if (draw < faults->refuse_percent) {
        answer.kind = LEDGER_REFUSE;
    } else if (draw < faults->refuse_percent + faults->retry_percent) {
        answer.kind = LEDGER_RETRY;
    } else if (draw < faults->refuse_percent + faults->retry_percent + faults->garbage_percent) {
        answer.kind = LEDGER_GARBAGE;
        answer.error = SCRIPT_BAD_OUTPUT;
    }
    return answer;
}

/* The input and output of a step that is done, as a compensation and the way of its Catch get it.
 */
static void check_pair(const struct ledger_done *done, struct flyover_cursor input)
{
    struct flyover_cursor part;
    verdict_check(flyover_find(&input, "input", &part) && ledger_same_payload(&done->input, part),
                  "a compensation gets another input than the step had");
    verdict_check(flyover_find(&input, "output", &part), "a compensation gets no output");
    verdict_check(ledger_same_value(done->output, ledger_value_of(part)),
                  "a compensation gets another output than the step gave");
}

static void check_input(const struct ledger_branch *branch, struct flyover_key key,
                        struct flyover_cursor input)
{
    if (branch->undo) {
        check_pair(&branch->done, input);
        return;
    }
    verdict_check(ledger_same_payload(&branch->payload, input),
                  "saga %" PRIu64 ", step %u: the handler gets another input", key.saga_id,
                  key.step_no);
    if (branch->payload.has_pair)
        check_pair(&branch->done, input);
}

struct ledger_answer ledger_run(struct ledger *ledger, struct flyover_key key, uint32_t service,
                                uint32_t handler, struct flyover_cursor input)
{
    bool undo = key.phase == FLYOVER_COMPENSATION;
    struct ledger_saga *saga = ledger_find(ledger, key.saga_id);
    struct ledger_branch *branch = saga == NULL ? NULL : ledger_find_branch(saga, key.step_no);
    verdict_check(branch != NULL && branch->wait == LEDGER_RUNNING && branch->undo == undo,
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
    check_input(branch, key, input);
    return answer_of(ledger, key.saga_id, branch);
}

/* Live it may have gone on: what no durable block has told of changes nothing here. */
void ledger_give_back(struct ledger *ledger, uint64_t saga_id, uint32_t step_no,
                      uint32_t attempt_no)
{
    struct ledger_saga *saga = ledger_find(ledger, saga_id);
    struct ledger_branch *branch = saga == NULL ? NULL : ledger_find_branch(saga, step_no);
    if (branch != NULL && branch->wait == LEDGER_RUNNING && branch->attempt_no == attempt_no)
        branch->ran_boot = 0;
}

void ledger_keep_token(struct ledger *ledger, const struct ledger_token *token)
{
    if (ledger->tokens_count == ledger->tokens_capacity) {
        ledger->tokens_capacity = ledger->tokens_capacity * 2 + 64;
        ledger->tokens = realloc(ledger->tokens, ledger->tokens_capacity * sizeof *ledger->tokens);
        assert(ledger->tokens != NULL);
    }
    ledger->tokens[ledger->tokens_count++] = *token;
}

const char *ledger_token_of(const struct ledger *ledger, uint64_t saga_id, uint32_t step_no,
                            uint32_t attempt_no)
{
    for (uint32_t i = ledger->tokens_count; i-- > 0;) {
        const struct ledger_token *token = &ledger->tokens[i];
        if (token->saga_id == saga_id && token->step_no == step_no &&
            token->attempt_no == attempt_no)
            return token->text;
    }
    return NULL;
}

void ledger_reply(struct ledger *ledger, uint64_t saga_id, uint64_t token, enum outcome outcome)
{
    struct ledger_saga *saga = ledger_find(ledger, saga_id);
    bool is_so =
        saga != NULL && (outcome == OUTCOME_STUCK ? saga->was_stuck : saga->outcome == outcome);
    verdict_check(is_so, "saga %" PRIu64 " is reported as %s, and no durable block says so",
                  saga_id, outcome_text(outcome));
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

static struct ledger_turn begin_saga(struct ledger *ledger, uint32_t plan, uint64_t token)
{
    if (ledger->sagas_count + 2 > ledger->sagas_capacity) {
        ledger->sagas_capacity = ledger->sagas_capacity == 0 ? 64 : ledger->sagas_capacity * 2;
        ledger->sagas = realloc(ledger->sagas, ledger->sagas_capacity * sizeof *ledger->sagas);
        assert(ledger->sagas != NULL);
    }
    verdict_check(plan < ledger->plans_count, "a saga of no definition is started");
    uint64_t saga_id = ++ledger->sagas_count;
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    memset(saga, 0, sizeof *saga);
    saga->script = ledger->plans[plan];
    saga->plan = plan;
    saga->token = token;
    saga->carriers_count = 1;
    /* It is there, and at once at work. */
    saga->carriers[0].wait = LEDGER_RUNNING;
    ledger->totals.started++;
    return (struct ledger_turn){ledger, saga_id, saga, &saga->carriers[0]};
}

static void on_start(struct ledger *ledger, const struct event *event)
{
    struct flyover_cursor input = ledger_cursor_of(event->start.input);
    struct ledger_turn turn =
        begin_saga(ledger, event->start.plan, (uint64_t)ledger_number_at(input, "t", 0));
    turn.branch->payload = ledger_payload_of(input);
    ledger_keep_name(ledger, event, turn.saga_id);
    turn.saga->deadline_ms = event->start.deadline_ms;
    turn.saga->has_trace = event->start.trace.count > 0 && ledger->room_used < ledger->room_max;
    ledger->room_used += turn.saga->has_trace;
    if (event->start.at_ms > ledger->now_ms) {
        turn.branch->wait = LEDGER_DELAYED;
        turn.branch->due_ms = event->start.at_ms;
        if (turn.saga->deadline_ms != 0)
            ledger_expect(&turn, EFFECT_DEADLINE);
        ledger_expect(&turn, EFFECT_TIMER);
        return;
    }
    ledger_walk_start(&turn);
    ledger_walk(&turn, 0);
}

static void check_redrive(struct ledger *ledger, const struct event *event)
{
    const struct ledger_saga *of = ledger_find(ledger, event->redrive.of_saga_id);
    verdict_check(of != NULL && of->plan == event->redrive.plan && of->failure.is_whole &&
                      of->failure.state == (int)event->redrive.state &&
                      of->failure.done_count == event->redrive.steps_count,
                  "a saga is redriven that did not fail like this");
}

static void on_redrive(struct ledger *ledger, const struct event *event)
{
    check_redrive(ledger, event);
    struct flyover_cursor payload = ledger_cursor_of(event->redrive.payload);
    struct ledger_turn turn =
        begin_saga(ledger, event->redrive.plan, (uint64_t)ledger_number_at(payload, "t", 0));
    turn.branch->payload = ledger_payload_of(payload);
    verdict_check(event->redrive.once, "a redrive is not known again");
    ledger_find(ledger, event->redrive.of_saga_id)->redriven =
        (struct ledger_name){turn.saga_id, 0, ledger->now_ms};
    turn.saga->step_no = event->redrive.step_no;
    const uint8_t *at = event->redrive.steps.at;
    bool room = true;
    for (uint32_t i = 0; i < event->redrive.steps_count; i++) {
        struct event_step step;
        at = event_decode_step(at, event->redrive.steps.at + event->redrive.steps.count, &step);
        room = room && ledger->room_used < ledger->room_max;
        if (!room)
            break;
        ledger->room_used++;
        struct ledger_value nil = {.kind = LEDGER_NIL};
        turn.saga->done[turn.saga->done_count++] = (struct ledger_done){
            (int)step.state, step.step_no, ledger_payload_of(ledger_cursor_of(step.input)),
            step.output.count == 0 ? nil : ledger_value_of(ledger_cursor_of(step.output))};
    }
    ledger_walk_start(&turn);
    if (room)
        ledger_walk(&turn, (int)event->redrive.state);
    else
        ledger_undo_fail(&turn);
}

static void on_result(struct ledger_turn *turn, const struct event *event)
{
    struct ledger_answer answer = answer_of(turn->ledger, turn->saga_id, turn->branch);
    verdict_check(answer.kind == LEDGER_DONE,
                  "saga %" PRIu64 ", step %u: a result where the handler gave an error",
                  turn->saga_id, turn->branch->step_no);
    if (event->result.output.count > 0)
        verdict_check(ledger_same_value(ledger_value_of(ledger_cursor_of(event->result.output)),
                                        answer.output),
                      "saga %" PRIu64 ", step %u: not the output that the handler gave",
                      turn->saga_id, turn->branch->step_no);
    ledger_walk_result(turn, answer.output, false);
}

static void on_error(struct ledger_turn *turn, const struct event *event)
{
    struct ledger_answer answer = answer_of(turn->ledger, turn->saga_id, turn->branch);
    verdict_check(
        answer.kind != LEDGER_DONE && answer.error == ledger_error_of(event->error.name) &&
            event->error.retryable == (answer.kind == LEDGER_RETRY),
        "saga %" PRIu64 ", step %u: the journal has the error '%.*s', the handler did not give it",
        turn->saga_id, turn->branch->step_no, (int)event->error.name.count,
        (const char *)event->error.name.at);
    ledger_walk_error(turn, answer.error, event->error.retryable);
}

/* The saga and branch that the core has under this number. */
static struct ledger_turn turn_of(struct ledger *ledger, const struct core *core, uint32_t index)
{
    struct core_branch_view view;
    verdict_check(core_view_branch(core, index, &view), "an event for a branch that is free");
    struct ledger_saga *saga = ledger_find(ledger, view.saga_id);
    bool undo = view.phase == PHASE_UNDO_WAITING || view.phase == PHASE_UNDO_BACKOFF;
    struct ledger_branch *branch = saga == NULL ? NULL : ledger_find_branch(saga, view.step_no);
    verdict_check(branch != NULL && branch->undo == undo,
                  "saga %" PRIu64 ", step %u: an event, and it is not waited for", view.saga_id,
                  view.step_no);
    ledger->event_branch = index;
    return (struct ledger_turn){ledger, view.saga_id, saga, branch};
}

/* A handler with tables whose time is over has not begun, and never will. */
static void on_timer(struct ledger_turn *turn)
{
    struct ledger *ledger = turn->ledger;
    const struct ledger_branch *branch = turn->branch;
    verdict_check(branch->due_ms != 0 && ledger->now_ms >= branch->due_ms,
                  "saga %" PRIu64 ", step %u: its timer fired too early", turn->saga_id,
                  branch->step_no);
    const struct script_state *state = ledger_state_of(turn);
    uint32_t service = branch->undo ? state->undo_service : state->service;
    bool has_tables = branch->wait == LEDGER_RUNNING && service + 1 < SCRIPT_SERVICES;
    verdict_check(!has_tables || branch->ran_boot != ledger->boot,
                  "saga %" PRIu64 ", step %u: out of time, and its handler has run", turn->saga_id,
                  branch->step_no);
    ledger_walk_timer(turn);
}

static void on_deadline(struct ledger *ledger, const struct core *core, const struct event *event)
{
    uint32_t slot = event->timer.branch;
    uint64_t saga_id = core->sagas[slot].id;
    struct ledger_saga *saga = ledger_find(ledger, saga_id);
    verdict_check(saga != NULL && !saga->ended, "the time of a saga is over that is not there");
    verdict_check(saga->deadline_ms != 0 && ledger->now_ms >= saga->deadline_ms,
                  "saga %" PRIu64 ": its time is not over", saga_id);
    verdict_check(saga->outcome == OUTCOME_RUNNING && !saga->failed && !saga->pivoted &&
                      saga->cancel == LEDGER_GO_ON,
                  "saga %" PRIu64 " is out of time, and it does not matter", saga_id);
    struct ledger_turn turn = {ledger, saga_id, saga, &saga->carriers[0]};
    ledger->totals.timeouts++;
    verdict_check(event->timer.undo_begun, "what a token would have ended is left as it was");
    ledger_undo_cancel(&turn, LEDGER_COMPENSATE);
}

static void on_heartbeat(struct ledger_turn *turn)
{
    uint32_t heartbeat_s = ledger_state_of(turn)->heartbeat_s;
    struct ledger_branch *branch = turn->branch;
    verdict_check(branch->wait != LEDGER_RUNNING ||
                      (ledger_state_of(turn)->service + 1 == SCRIPT_SERVICES && heartbeat_s > 0),
                  "saga %" PRIu64 ", step %u: a beat of no remote worker", turn->saga_id,
                  branch->step_no);
    if (heartbeat_s == 0)
        return;
    branch->due_ms = turn->ledger->now_ms + heartbeat_s * 1000;
    if (branch->deadline_ms != 0 && branch->deadline_ms < branch->due_ms)
        branch->due_ms = branch->deadline_ms;
}

static void before_answer(struct ledger *ledger, const struct core *core, const struct event *event,
                          uint32_t index)
{
    struct ledger_turn turn = turn_of(ledger, core, index);
    verdict_check(turn.branch->wait == LEDGER_RUNNING &&
                      (ledger->rebuilding || turn.branch->ran_boot == ledger->boot),
                  "saga %" PRIu64 ", step %u: an answer, and its handler has not run", turn.saga_id,
                  turn.branch->step_no);
    if (event->kind == EVENT_RESULT)
        on_result(&turn, event);
    else
        on_error(&turn, event);
}

/* That the step awaits it was asked about already. */
static void by_token(struct ledger *ledger, const struct core *core, const struct event *event)
{
    if (event->kind == EVENT_RESULT) {
        struct ledger_turn turn = turn_of(ledger, core, event->result.branch);
        ledger_walk_result(&turn, ledger_value_of(ledger_cursor_of(event->result.output)), true);
    } else if (event->kind == EVENT_ERROR) {
        struct ledger_turn turn = turn_of(ledger, core, event->error.branch);
        ledger_walk_error(&turn, ledger_error_of(event->error.name), event->error.retryable);
    } else {
        struct ledger_turn turn = turn_of(ledger, core, event->heartbeat.branch);
        on_heartbeat(&turn);
    }
}

static void on_saga(struct ledger *ledger, const struct event *event, uint64_t saga_id)
{
    struct ledger_saga *saga = ledger_find(ledger, saga_id);
    verdict_check(saga != NULL && ledger_is_live(saga), "something is done to no saga");
    struct ledger_turn turn = {ledger, saga_id, saga, &saga->carriers[0]};
    if (event->kind == EVENT_SIGNAL) {
        ledger_walk_signal(&turn, (uint32_t)(event->signal.name.at[1] - '0'),
                           ledger_value_of(ledger_cursor_of(event->signal.payload)));
    } else if (event->kind == EVENT_CANCEL) {
        verdict_check(event->cancel.undo_begun != event->cancel.abort,
                      "what a token would have ended is left as it was");
        ledger_undo_cancel(&turn, event->cancel.abort ? LEDGER_ABORT : LEDGER_COMPENSATE);
    } else {
        struct ledger_value output = ledger_value_of(ledger_cursor_of(event->mend.output));
        ledger_undo_mend(&turn, event->mend.action, event->mend.output.count > 0 ? &output : NULL);
    }
}

static void before_event(struct ledger *ledger, const struct core *core, const struct event *event)
{
    ledger->expected_count = 0;
    ledger->event_branch = UINT32_MAX;
    ledger_ask_on_event(ledger, core, event);
    switch (event->kind) {
    case EVENT_DEFINITION: on_definition(ledger, event); break;
    case EVENT_START: on_start(ledger, event); break;
    case EVENT_REDRIVE: on_redrive(ledger, event); break;
    case EVENT_RESULT:
        if (event->result.by_token)
            by_token(ledger, core, event);
        else
            before_answer(ledger, core, event, event->result.branch);
        break;
    case EVENT_ERROR:
        if (event->error.by_token)
            by_token(ledger, core, event);
        else
            before_answer(ledger, core, event, event->error.branch);
        break;
    case EVENT_HEARTBEAT: by_token(ledger, core, event); break;
    case EVENT_TIMER:
        if (event->timer.of_saga) {
            on_deadline(ledger, core, event);
        } else {
            struct ledger_turn turn = turn_of(ledger, core, event->timer.branch);
            on_timer(&turn);
        }
        break;
    case EVENT_SIGNAL: on_saga(ledger, event, event->signal.saga_id); break;
    case EVENT_CANCEL: on_saga(ledger, event, event->cancel.saga_id); break;
    case EVENT_MEND: on_saga(ledger, event, event->mend.saga_id); break;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_SOURCE: break;
    }
}

void ledger_on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event)
{
    (void)header;
    if (moment == PARTITION_BEFORE_EVENT)
        before_event(context, state->core, event);
    else
        ledger_check_effects(context, state);
}
