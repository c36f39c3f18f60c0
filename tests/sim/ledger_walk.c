#include "tests/sim/ledger_walk.h"

#include <string.h>

#include "tests/sim/verdict.h"

static void expect(struct ledger *ledger, struct ledger_effect effect)
{
    verdict_check(ledger->expected_count < LEDGER_WAITS_MAX, "an event asks for too much");
    ledger->expected[ledger->expected_count++] = effect;
}

static void put(struct ledger_payload *payload, int into, struct ledger_value value)
{
    if (into == SCRIPT_DROP)
        return;
    if (into == SCRIPT_REPLACE)
        *payload = (struct ledger_payload){.root = value};
    else
        payload->fields[into] = value;
}

static void invoke(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch)
{
    branch->wait = LEDGER_WAITING;
    branch->attempt_no++;
    branch->ran_boot = 0;
    expect(ledger,
           (struct ledger_effect){EFFECT_INVOKE, saga_id, branch->step_no, branch->undo, 0});
}

static void begin(struct ledger_branch *branch, int state, uint32_t step_no,
                  const struct ledger_payload *input)
{
    *branch = (struct ledger_branch){.state = state, .step_no = step_no, .input = *input};
}

static void end_if_done(struct ledger *ledger, struct ledger_saga *saga)
{
    bool root_ended = saga->outcome != OUTCOME_RUNNING && saga->outcome != OUTCOME_STUCK;
    if (!root_ended || saga->detached_live > 0)
        return;
    saga->ended = true;
    ledger->totals.ended++;
    ledger->totals.steps_ended += saga->steps_done;
}

static void decide(struct ledger *ledger, uint64_t saga_id, enum outcome outcome)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    saga->outcome = outcome;
    saga->root.wait = LEDGER_IDLE;
    ledger->totals.succeeded += outcome == OUTCOME_SUCCEEDED;
    ledger->totals.failed += outcome == OUTCOME_FAILED;
    ledger->totals.compensated += outcome == OUTCOME_COMPENSATED;
    ledger->totals.stuck += outcome == OUTCOME_STUCK;
    expect(ledger, (struct ledger_effect){EFFECT_REPLY, saga_id, 0, false, outcome});
    end_if_done(ledger, saga);
}

static void undo_last(struct ledger *ledger, uint64_t saga_id)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    if (saga->done_count == 0) {
        decide(ledger, saga_id, saga->undone_count > 0 ? OUTCOME_COMPENSATED : OUTCOME_FAILED);
        return;
    }
    const struct ledger_done *last = &saga->done[saga->done_count - 1];
    begin(&saga->root, last->state, last->step_no, &last->input);
    saga->root.undo = true;
    invoke(ledger, saga_id, &saga->root);
}

static void fail(struct ledger *ledger, uint64_t saga_id)
{
    ledger->sagas[saga_id].failed = true;
    undo_last(ledger, saga_id);
}

static int choose(const struct script_state *state, const struct ledger_payload *payload)
{
    const struct ledger_value *value =
        state->field < 0 ? &payload->root : &payload->fields[state->field];
    bool less = value->kind == LEDGER_NUMBER && value->n < state->number;
    return less ? state->choice_next : state->default_next;
}

static void detach(struct ledger *ledger, uint64_t saga_id, int at)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    struct ledger_branch *branch = &saga->detached[saga->detached_count++];
    begin(branch, at, ++saga->step_no, &saga->payload);
    branch->detached = true;
    saga->detached_live++;
    invoke(ledger, saga_id, branch);
}

static void walk(struct ledger *ledger, uint64_t saga_id, int at)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    while (at != SCRIPT_NO_STATE) {
        const struct script_state *state = &saga->script->states[at];
        switch (state->kind) {
        case SCRIPT_TASK:
            begin(&saga->root, at, ++saga->step_no, &saga->payload);
            invoke(ledger, saga_id, &saga->root);
            return;
        case SCRIPT_FORGET: detach(ledger, saga_id, at); break;
        case SCRIPT_PASS:
            if (state->has_result)
                put(&saga->payload, state->into,
                    (struct ledger_value){LEDGER_NUMBER, state->number});
            break;
        case SCRIPT_CHOICE:
            at = choose(state, &saga->payload);
            if (at == SCRIPT_NO_STATE) {
                fail(ledger, saga_id);
                return;
            }
            continue;
        case SCRIPT_SUCCEED: break;
        case SCRIPT_FAIL: fail(ledger, saga_id); return;
        }
        at = state->next;
    }
    decide(ledger, saga_id, OUTCOME_SUCCEEDED);
}

void ledger_walk_start(struct ledger *ledger, uint64_t saga_id)
{
    ledger->totals.started++;
    walk(ledger, saga_id, 0);
}

static void end_detached(struct ledger *ledger, struct ledger_saga *saga,
                         struct ledger_branch *branch)
{
    branch->wait = LEDGER_IDLE;
    saga->detached_live--;
    end_if_done(ledger, saga);
}

void ledger_walk_result(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                        struct ledger_value output)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    const struct script_state *state = &saga->script->states[branch->state];
    ledger->totals.steps++;
    saga->steps_done++;
    if (branch->undo) {
        ledger->counters[state->undo_service][SCRIPT_HANDLERS + state->undo_handler]++;
        saga->done_count--;
        saga->undone_count++;
        undo_last(ledger, saga_id);
        return;
    }
    ledger->counters[state->service][state->handler]++;
    if (branch->detached) {
        end_detached(ledger, saga, branch);
        return;
    }
    if (state->compensated)
        saga->done[saga->done_count++] =
            (struct ledger_done){branch->state, branch->step_no, branch->input, output};
    put(&saga->payload, state->into, output);
    walk(ledger, saga_id, state->next);
}

const struct script_retrier *ledger_walk_retrier(const struct ledger_saga *saga,
                                                 const struct ledger_branch *branch, int error,
                                                 uint32_t *ret_index)
{
    const struct script_state *state = &saga->script->states[branch->state];
    const struct script_retriers *retriers =
        branch->undo ? &state->undo_retriers : &state->retriers;
    for (uint32_t i = 0; i < retriers->count; i++) {
        if (!script_matches(retriers->items[i].errors, error))
            continue;
        *ret_index = i;
        return branch->spent[i] < retriers->items[i].attempts_max ? &retriers->items[i] : NULL;
    }
    return NULL;
}

static void on_step_failed(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                           int error)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    const struct script_state *state = &saga->script->states[branch->state];
    for (uint32_t i = 0; i < state->catchers_count; i++) {
        const struct script_catcher *catcher = &state->catchers[i];
        if (!script_matches(catcher->errors, error))
            continue;
        put(&saga->payload, catcher->into, (struct ledger_value){LEDGER_ERROR, error});
        walk(ledger, saga_id, catcher->next);
        return;
    }
    fail(ledger, saga_id);
}

void ledger_walk_error(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                       int error, bool retryable)
{
    struct ledger_saga *saga = &ledger->sagas[saga_id];
    uint32_t index = 0;
    if (retryable && ledger_walk_retrier(saga, branch, error, &index) != NULL) {
        branch->wait = LEDGER_SLEEPING;
        branch->spent[index]++;
        ledger->totals.retries++;
        expect(ledger, (struct ledger_effect){EFFECT_TIMER, saga_id, 0, false, 0});
        return;
    }
    ledger->totals.steps++;
    saga->steps_done++;
    if (branch->detached) {
        ledger->totals.detached_failed++;
        end_detached(ledger, saga, branch);
    } else if (branch->undo) {
        decide(ledger, saga_id, OUTCOME_STUCK);
    } else {
        on_step_failed(ledger, saga_id, branch, error);
    }
}

void ledger_walk_timer(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch)
{
    invoke(ledger, saga_id, branch);
}
