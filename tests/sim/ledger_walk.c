#include "tests/sim/ledger_walk.h"

#include <assert.h>
#include <string.h>

#include "tests/sim/verdict.h"

/* ---- what both ways need --------------------------------------------------------------------- */

void ledger_expect(const struct ledger_turn *turn, enum effect_kind kind)
{
    struct ledger *ledger = turn->ledger;
    verdict_check(ledger->expected_count < LEDGER_EFFECTS_MAX, "an event asks for too much");
    ledger->expected[ledger->expected_count++] = (struct ledger_effect){
        kind, turn->saga_id, turn->branch->step_no, turn->branch->undo, turn->saga->outcome};
}

const struct script_state *ledger_state_of(const struct ledger_turn *turn)
{
    return &turn->saga->script->states[turn->branch->state];
}

struct ledger_turn ledger_turn_on(const struct ledger_turn *turn, struct ledger_branch *branch)
{
    struct ledger_turn other = *turn;
    other.branch = branch;
    return other;
}

void ledger_begin(struct ledger_branch *branch, int state, uint32_t step_no)
{
    branch->state = state;
    branch->step_no = step_no;
    branch->attempt_no = 0;
    branch->begun_no++;
    memset(branch->spent, 0, sizeof branch->spent);
}

static void set_deadline(struct ledger_turn *turn, uint32_t timeout_s)
{
    struct ledger_branch *branch = turn->branch;
    branch->deadline_ms = timeout_s == 0 ? 0 : turn->ledger->now_ms + timeout_s * 1000;
    branch->due_ms = branch->deadline_ms;
    branch->jitter = false;
}

void ledger_invoke(struct ledger_turn *turn, uint32_t timeout_s)
{
    set_deadline(turn, timeout_s);
    turn->branch->wait = LEDGER_RUNNING;
    turn->branch->attempt_no++;
    turn->branch->ran_boot = 0;
    ledger_expect(turn, EFFECT_INVOKE);
}

void ledger_drop_done(struct ledger_turn *turn)
{
    turn->ledger->room_used -= turn->saga->done_count;
    turn->saga->done_count = 0;
}

void ledger_drop_held(struct ledger_turn *turn)
{
    turn->ledger->room_used -= turn->branch->holds;
    turn->branch->holds = false;
}

void ledger_decide(struct ledger_turn *turn, enum outcome outcome)
{
    struct core_totals *totals = &turn->ledger->totals;
    turn->saga->outcome = outcome;
    totals->succeeded += outcome == OUTCOME_SUCCEEDED;
    totals->failed += outcome == OUTCOME_FAILED;
    totals->compensated += outcome == OUTCOME_COMPENSATED;
    totals->stuck += outcome == OUTCOME_STUCK;
    totals->aborted += outcome == OUTCOME_ABORTED;
}

static bool has_carrier(const struct ledger_saga *saga)
{
    for (uint32_t i = 0; i < saga->carriers_count; i++)
        if (saga->carriers[i].wait != LEDGER_GONE)
            return true;
    return false;
}

void ledger_leave(struct ledger_turn *turn)
{
    struct ledger *ledger = turn->ledger;
    struct ledger_saga *saga = turn->saga;
    turn->branch->wait = LEDGER_GONE;
    saga->detached_live -= turn->branch->detached;
    if (has_carrier(saga) || saga->detached_live > 0)
        return;
    assert(saga->done_count == 0);
    ledger->room_used -= saga->signals_count + saga->has_trace;
    saga->signals_count = 0;
    saga->ended = true;
    saga->ended_ms = ledger->now_ms;
    ledger->totals.ended++;
    ledger->totals.steps_ended += saga->steps_done;
}

static void count_step(struct ledger_turn *turn)
{
    turn->ledger->totals.steps++;
    turn->saga->steps_done++;
}

/* ---- from state to state --------------------------------------------------------------------- */

void ledger_walk_succeed(struct ledger_turn *turn)
{
    if (turn->branch->handling) {
        ledger_undo_done(turn);
        return;
    }
    ledger_decide(turn, OUTCOME_SUCCEEDED);
    ledger_expect(turn, EFFECT_REPLY);
    ledger_drop_done(turn);
    ledger_leave(turn);
}

static bool take_signal(struct ledger_saga *saga, uint32_t signal, struct ledger_value *ret_value)
{
    for (uint32_t i = 0; i < saga->signals_count; i++) {
        if (saga->signals[i].signal != signal)
            continue;
        *ret_value = saga->signals[i].value;
        saga->signals_count--;
        memmove(saga->signals + i, saga->signals + i + 1,
                (saga->signals_count - i) * sizeof saga->signals[0]);
        return true;
    }
    return false;
}

void ledger_walk_ask(struct ledger_turn *turn)
{
    const struct script_state *state = ledger_state_of(turn);
    if (state->kind != SCRIPT_SIGNAL) {
        ledger_invoke(turn, state->timeout_s);
        return;
    }
    set_deadline(turn, state->timeout_s);
    turn->branch->attempt_no++;
    turn->branch->wait = LEDGER_AWAITING;
    ledger_expect(turn, EFFECT_TIMER);
    struct ledger_value value;
    if (!take_signal(turn->saga, state->signal, &value))
        return;
    /* Its room is free when the saga has come to its next rest. */
    ledger_walk_result(turn, value, true);
    turn->ledger->room_used--;
}

/* False where there was no room to remember it, which has failed the saga. */
static bool begin_task(struct ledger_turn *turn, int at)
{
    struct ledger *ledger = turn->ledger;
    bool remembered = turn->saga->script->states[at].compensated && !turn->saga->pivoted;
    turn->branch->state = at;
    if (remembered && ledger->room_used == ledger->room_max) {
        ledger_undo_fail(turn);
        return false;
    }
    turn->branch->holds = remembered;
    ledger->room_used += remembered;
    ledger_begin(turn->branch, at, ++turn->saga->step_no);
    return true;
}

/* False where one still runs, which has failed the saga. */
static bool detach(struct ledger_turn *turn, int at)
{
    struct ledger_saga *saga = turn->saga;
    turn->branch->state = at;
    if (saga->detached_live == saga->script->forgets_count) {
        ledger_undo_fail(turn);
        return false;
    }
    struct ledger_branch *branch = saga->detached;
    while (branch->wait != LEDGER_GONE)
        branch++;
    *branch = (struct ledger_branch){
        .detached = true, .payload = turn->branch->payload, .done = turn->branch->done};
    ledger_begin(branch, at, ++saga->step_no);
    saga->detached_live++;
    struct ledger_turn beside = ledger_turn_on(turn, branch);
    ledger_invoke(&beside, saga->script->states[at].timeout_s);
    return true;
}

static const struct ledger_value *field_of(const struct ledger_turn *turn,
                                           const struct script_state *state)
{
    const struct ledger_payload *payload = &turn->branch->payload;
    return state->field < 0 ? &payload->root : &payload->fields[state->field];
}

static int choose(const struct ledger_turn *turn, const struct script_state *state)
{
    const struct ledger_value *value = field_of(turn, state);
    bool less = value->kind == LEDGER_NUMBER && value->n < state->number;
    return less ? state->choice_next : state->default_next;
}

static void rest(struct ledger_turn *turn, const struct script_state *state)
{
    int64_t seconds = state->number;
    if (state->by_path) {
        const struct ledger_value *value = field_of(turn, state);
        if (value->kind != LEDGER_NUMBER) {
            ledger_undo_fail(turn);
            return;
        }
        seconds = value->n;
    }
    turn->branch->due_ms = turn->ledger->now_ms + seconds * 1000;
    turn->branch->jitter = false;
    turn->branch->wait = LEDGER_RESTING;
    ledger_expect(turn, EFFECT_TIMER);
}

void ledger_walk(struct ledger_turn *turn, int at)
{
    while (at != SCRIPT_NO_STATE) {
        const struct script_state *state = &turn->saga->script->states[at];
        turn->branch->state = at;
        switch (state->kind) {
        case SCRIPT_TASK:
        case SCRIPT_TOKEN:
        case SCRIPT_SIGNAL:
            if (begin_task(turn, at))
                ledger_walk_ask(turn);
            return;
        case SCRIPT_FORGET:
            if (!detach(turn, at))
                return;
            break;
        case SCRIPT_WAIT: rest(turn, state); return;
        case SCRIPT_PASS:
            if (state->has_result)
                ledger_put(&turn->branch->payload, state->into,
                           (struct ledger_value){LEDGER_NUMBER, state->number});
            break;
        case SCRIPT_CHOICE:
            at = choose(turn, state);
            if (at == SCRIPT_NO_STATE) {
                ledger_undo_fail(turn);
                return;
            }
            continue;
        case SCRIPT_SUCCEED: ledger_walk_succeed(turn); return;
        case SCRIPT_FAIL: ledger_undo_fail(turn); return;
        }
        at = state->next;
    }
    ledger_walk_succeed(turn);
}

/* The time of a whole saga runs from when it begins; its start may have said that it is less. */
void ledger_walk_start(struct ledger_turn *turn)
{
    const struct script *script = turn->saga->script;
    int64_t due_ms = turn->ledger->now_ms + script->timeout_s * 1000;
    if (script->timeout_s > 0 && (turn->saga->deadline_ms == 0 || due_ms < turn->saga->deadline_ms))
        turn->saga->deadline_ms = due_ms;
    if (turn->saga->deadline_ms != 0)
        ledger_expect(turn, EFFECT_DEADLINE);
}

/* ---- answers --------------------------------------------------------------------------------- */

static int64_t beat_due_ms(const struct ledger_turn *turn)
{
    int64_t deadline_ms = turn->branch->deadline_ms;
    uint32_t heartbeat_s = ledger_state_of(turn)->heartbeat_s;
    int64_t beat_ms = turn->ledger->now_ms + heartbeat_s * 1000;
    bool by_deadline = heartbeat_s == 0 || (deadline_ms != 0 && deadline_ms < beat_ms);
    return by_deadline ? deadline_ms : beat_ms;
}

void ledger_walk_remember(struct ledger_turn *turn, struct ledger_value output)
{
    struct ledger_saga *saga = turn->saga;
    struct ledger_branch *branch = turn->branch;
    if (branch->holds)
        saga->done[saga->done_count++] =
            (struct ledger_done){branch->state, branch->step_no, branch->payload, output};
    branch->holds = false;
}

/* A step is done, and with a pivot all that was before it can no longer be taken back. */
static void step_done(struct ledger_turn *turn, struct ledger_value output)
{
    struct ledger_saga *saga = turn->saga;
    const struct script_state *state = ledger_state_of(turn);
    turn->branch->due_ms = 0;
    ledger_walk_remember(turn, output);
    if (state->pivot) {
        saga->pivoted = true;
        ledger_drop_done(turn);
        if (saga->cancel == LEDGER_COMPENSATE)
            saga->cancel = LEDGER_GO_ON;
    }
    if (ledger_undo_is_told(turn)) {
        ledger_undo_stop(turn);
        return;
    }
    ledger_put(&turn->branch->payload, state->into, output);
    ledger_walk(turn, state->next);
}

/* A handler has begun a step that a token ends. Where the saga was cancelled meanwhile, what was
 * begun is compensated. */
static void step_begun(struct ledger_turn *turn)
{
    if (ledger_undo_is_told(turn)) {
        count_step(turn);
        ledger_walk_remember(turn, (struct ledger_value){.kind = LEDGER_NIL});
        ledger_undo_stop(turn);
        return;
    }
    turn->branch->wait = LEDGER_AWAITING;
    turn->branch->due_ms = beat_due_ms(turn);
    ledger_expect(turn, EFFECT_TIMER);
}

static void count_run(struct ledger_turn *turn)
{
    const struct script_state *state = ledger_state_of(turn);
    if (turn->branch->undo)
        turn->ledger->counters[state->undo_service][SCRIPT_HANDLERS + state->undo_handler]++;
    else
        turn->ledger->counters[state->service][state->handler]++;
}

void ledger_walk_result(struct ledger_turn *turn, struct ledger_value output, bool from_outside)
{
    struct ledger_branch *branch = turn->branch;
    bool begun_only = !from_outside && !branch->undo && ledger_state_of(turn)->kind == SCRIPT_TOKEN;
    if (!from_outside)
        count_run(turn);
    if (begun_only) {
        step_begun(turn);
        return;
    }
    count_step(turn);
    if (branch->undo)
        ledger_undo_done(turn);
    else if (branch->detached)
        ledger_leave(turn);
    else
        step_done(turn, output);
}

/* True where a retrier takes the error: the branch pauses. */
static bool retry(struct ledger_turn *turn, int error)
{
    struct ledger_branch *branch = turn->branch;
    const struct script_state *state = ledger_state_of(turn);
    const struct script_retriers *retriers =
        branch->undo ? &state->undo_retriers : &state->retriers;
    uint32_t i = 0;
    while (i < retriers->count && !script_matches(retriers->items[i].errors, error))
        i++;
    if (i == retriers->count || branch->spent[i] == retriers->items[i].attempts_max)
        return false;
    branch->spent[i]++;
    branch->wait = LEDGER_PAUSED;
    branch->due_ms = turn->ledger->now_ms + script_delay_ms(&retriers->items[i], branch->spent[i]);
    branch->jitter = retriers->items[i].jitter;
    turn->ledger->totals.retries++;
    ledger_expect(turn, EFFECT_TIMER);
    return true;
}

static void on_step_failed(struct ledger_turn *turn, int error)
{
    const struct script_catchers *catchers = &ledger_state_of(turn)->catchers;
    for (uint32_t i = 0; i < catchers->count && !ledger_undo_is_told(turn); i++) {
        if (!script_matches(catchers->items[i].errors, error))
            continue;
        ledger_drop_held(turn);
        turn->branch->due_ms = 0;
        ledger_put(&turn->branch->payload, catchers->items[i].into,
                   (struct ledger_value){LEDGER_ERROR, error});
        ledger_walk(turn, catchers->items[i].next);
        return;
    }
    ledger_undo_fail(turn);
}

void ledger_walk_error(struct ledger_turn *turn, int error, bool retryable)
{
    struct ledger_branch *branch = turn->branch;
    /* Who is to stop tries nothing again; but to take back what was done is tried again. */
    bool told = branch->undo ? turn->saga->cancel == LEDGER_ABORT
                             : !branch->detached && ledger_undo_is_told(turn);
    if (retryable && !told && retry(turn, error))
        return;
    count_step(turn);
    if (branch->detached) {
        turn->ledger->totals.detached_failed++;
        ledger_leave(turn);
    } else if (branch->undo) {
        ledger_undo_failed(turn, error);
    } else {
        on_step_failed(turn, error);
    }
}

/* ---- time, and signals ----------------------------------------------------------------------- */

static void time_out(struct ledger_turn *turn)
{
    turn->ledger->totals.timeouts++;
    bool silent = turn->branch->due_ms != turn->branch->deadline_ms;
    ledger_walk_error(turn, silent ? SCRIPT_SILENCE : SCRIPT_TIMEOUT, true);
}

void ledger_walk_timer(struct ledger_turn *turn)
{
    const struct script_state *state = ledger_state_of(turn);
    switch (turn->branch->wait) {
    case LEDGER_PAUSED:
        if (turn->branch->undo)
            ledger_invoke(turn, state->undo_timeout_s);
        else
            ledger_walk_ask(turn);
        return;
    case LEDGER_DELAYED:
        turn->branch->due_ms = 0;
        ledger_walk_start(turn);
        ledger_walk(turn, 0);
        return;
    case LEDGER_RESTING:
        turn->branch->due_ms = 0;
        ledger_walk(turn, state->next);
        return;
    case LEDGER_RUNNING:
    case LEDGER_AWAITING: time_out(turn); return;
    case LEDGER_GONE:
    case LEDGER_STUCK: verdict_fail("a timer for a branch that waits for no time");
    }
}

/* Goes to the branch that came last of those that await it; else it is kept. */
void ledger_walk_signal(struct ledger_turn *turn, uint32_t signal, struct ledger_value value)
{
    struct ledger_saga *saga = turn->saga;
    turn->ledger->totals.signals++;
    for (uint32_t i = saga->carriers_count; i-- > 0;) {
        struct ledger_turn other = ledger_turn_on(turn, &saga->carriers[i]);
        if (other.branch->wait != LEDGER_AWAITING ||
            ledger_state_of(&other)->kind != SCRIPT_SIGNAL ||
            ledger_state_of(&other)->signal != signal)
            continue;
        ledger_walk_result(&other, value, true);
        return;
    }
    turn->ledger->room_used++;
    saga->signals[saga->signals_count++] = (struct ledger_signal){signal, value};
}
