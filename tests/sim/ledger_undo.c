#include <assert.h>

#include "tests/sim/ledger_walk.h"
#include "tests/sim/verdict.h"

static void undo_next(struct ledger_turn *turn);

/* ---- one compensation ------------------------------------------------------------------------ */

static void undo_step(struct ledger_turn *turn)
{
    struct ledger_branch *branch = turn->branch;
    branch->undo = true;
    branch->handling = false;
    ledger_begin(branch, branch->done.state, branch->done.step_no);
    ledger_invoke(turn, ledger_state_of(turn)->undo_timeout_s);
}

static bool is_last(const struct ledger_turn *turn)
{
    for (uint32_t i = 0; i < turn->saga->carriers_count; i++) {
        const struct ledger_branch *other = &turn->saga->carriers[i];
        if (other != turn->branch && other->wait != LEDGER_GONE)
            return false;
    }
    return true;
}

static void end(struct ledger_turn *turn)
{
    struct ledger_saga *saga = turn->saga;
    if (is_last(turn)) {
        ledger_decide(turn, saga->cancel == LEDGER_ABORT ? OUTCOME_ABORTED
                            : saga->undone               ? OUTCOME_COMPENSATED
                                                         : OUTCOME_FAILED);
        ledger_expect(turn, EFFECT_REPLY);
    }
    ledger_leave(turn);
}

/* The last of what is still to be undone; nothing when the saga is aborted. */
static void undo_next(struct ledger_turn *turn)
{
    struct ledger_saga *saga = turn->saga;
    if (saga->cancel == LEDGER_ABORT)
        ledger_drop_done(turn);
    turn->branch->due_ms = 0;
    if (saga->done_count == 0) {
        end(turn);
        return;
    }
    turn->branch->done = saga->done[--saga->done_count];
    undo_step(turn);
}

/* What the branch had to undo is off its hands, done or not. */
static void let_go(struct ledger_turn *turn)
{
    turn->branch->undo = false;
    turn->branch->handling = false;
    turn->ledger->room_used--;
}

void ledger_undo_done(struct ledger_turn *turn)
{
    let_go(turn);
    turn->saga->undone = true;
    undo_next(turn);
}

static void park(struct ledger_turn *turn)
{
    if (turn->saga->outcome != OUTCOME_STUCK)
        ledger_decide(turn, OUTCOME_STUCK);
    turn->saga->was_stuck = true;
    turn->branch->wait = LEDGER_STUCK;
    turn->branch->due_ms = 0;
    ledger_expect(turn, EFFECT_REPLY);
}

void ledger_undo_failed(struct ledger_turn *turn, int error)
{
    struct ledger_branch *branch = turn->branch;
    if (turn->saga->cancel == LEDGER_ABORT) {
        let_go(turn);
        undo_next(turn);
        return;
    }
    const struct script_catchers *catchers = &ledger_state_of(turn)->undo_catchers;
    for (uint32_t i = 0; i < catchers->count; i++) {
        if (!script_matches(catchers->items[i].errors, error))
            continue;
        branch->undo = false;
        branch->handling = true;
        branch->due_ms = 0;
        branch->payload = (struct ledger_payload){.has_pair = true};
        ledger_put(&branch->payload, catchers->items[i].into,
                   (struct ledger_value){LEDGER_ERROR, error});
        ledger_walk(turn, catchers->items[i].next);
        return;
    }
    park(turn);
}

/* ---- a saga fails ---------------------------------------------------------------------------- */

static void note_failure(struct ledger_turn *turn)
{
    struct ledger_saga *saga = turn->saga;
    struct ledger_failure *failure = &saga->failure;
    *failure = (struct ledger_failure){
        .is_whole = saga->done_count == 0 || saga->cancel == LEDGER_ABORT,
        .state = turn->branch->state,
        .step_no = saga->step_no,
        .payload = turn->branch->payload,
        .done_count = saga->done_count,
    };
    for (uint32_t i = 0; i < saga->done_count; i++)
        failure->done[i] = saga->done[i];
}

/* With compensations in parallel, a branch for each, as many as the definition has. */
static void turn_back(struct ledger_turn *turn)
{
    struct ledger_saga *saga = turn->saga;
    note_failure(turn);
    saga->failed = true;
    uint32_t wanted = saga->script->parallel ? saga->script->compensated_count : 1;
    if (wanted > saga->done_count)
        wanted = saga->done_count;
    undo_next(turn);
    for (uint32_t i = 1; i < wanted && saga->cancel != LEDGER_ABORT; i++) {
        assert(saga->carriers_count < LEDGER_CARRIERS_MAX);
        struct ledger_branch *branch = &saga->carriers[saga->carriers_count++];
        *branch = (struct ledger_branch){.wait = LEDGER_STUCK};
        struct ledger_turn other = ledger_turn_on(turn, branch);
        undo_next(&other);
    }
}

bool ledger_undo_is_told(const struct ledger_turn *turn)
{
    enum ledger_cancel cancel = turn->saga->cancel;
    return turn->branch->handling ? cancel == LEDGER_ABORT : cancel != LEDGER_GO_ON;
}

void ledger_undo_stop(struct ledger_turn *turn)
{
    if (turn->branch->handling) {
        let_go(turn);
        undo_next(turn);
        return;
    }
    ledger_drop_held(turn);
    turn_back(turn);
}

void ledger_undo_fail(struct ledger_turn *turn)
{
    struct ledger_branch *branch = turn->branch;
    if (ledger_undo_is_told(turn)) {
        ledger_undo_stop(turn);
        return;
    }
    if (branch->handling) {
        branch->handling = false;
        branch->undo = true;
        branch->state = branch->done.state;
        park(turn);
        return;
    }
    ledger_drop_held(turn);
    if (!turn->saga->pivoted) {
        turn_back(turn);
        return;
    }
    turn->saga->failed = true;
    park(turn);
}

/* ---- from outside ---------------------------------------------------------------------------- */

static void stop_branch(struct ledger_turn *turn)
{
    switch (turn->branch->wait) {
    case LEDGER_PAUSED:
        if (turn->branch->undo) {
            let_go(turn);
            undo_next(turn);
            return;
        }
        ledger_undo_stop(turn);
        return;
    case LEDGER_AWAITING:
        /* What the handler began may have been done, by whoever it gave the token to. */
        if (turn->saga->cancel != LEDGER_ABORT && ledger_state_of(turn)->kind == SCRIPT_TOKEN)
            ledger_walk_remember(turn, (struct ledger_value){.kind = LEDGER_NIL});
        ledger_undo_stop(turn);
        return;
    case LEDGER_DELAYED:
    case LEDGER_RESTING: ledger_undo_stop(turn); return;
    case LEDGER_RUNNING:
    case LEDGER_GONE: return;
    case LEDGER_STUCK: verdict_fail("a saga that is stuck is cancelled");
    }
}

/* A handler at work is waited for; all else stops, the newest branch first. */
void ledger_undo_cancel(struct ledger_turn *turn, enum ledger_cancel cancel)
{
    struct ledger_saga *saga = turn->saga;
    bool back = saga->failed;
    saga->cancel = cancel;
    for (uint32_t i = saga->carriers_count; i-- > 0;) {
        struct ledger_turn other = ledger_turn_on(turn, &saga->carriers[i]);
        if (!back || cancel == LEDGER_ABORT)
            stop_branch(&other);
    }
}

static void mend_compensation(struct ledger_turn *turn, enum mend_action action)
{
    if (action == MEND_RETRY) {
        undo_step(turn);
        return;
    }
    if (action == MEND_RESOLVE)
        ledger_drop_done(turn);
    ledger_undo_done(turn);
}

static void mend_forward(struct ledger_turn *turn, enum mend_action action,
                         const struct ledger_value *output)
{
    const struct script_state *state = ledger_state_of(turn);
    struct ledger_branch *branch = turn->branch;
    bool is_step =
        state->kind == SCRIPT_TASK || state->kind == SCRIPT_TOKEN || state->kind == SCRIPT_SIGNAL;
    turn->saga->failed = false;
    if (action == MEND_RESOLVE) {
        ledger_walk_succeed(turn);
    } else if (action == MEND_SKIP) {
        if (output != NULL)
            ledger_put(&branch->payload, state->into, *output);
        ledger_walk(turn, state->next);
    } else if (is_step) {
        /* The same step, and so the same key; but no attempt of it has a token twice. */
        uint32_t attempt_no = branch->attempt_no;
        ledger_begin(branch, branch->state, branch->step_no);
        branch->attempt_no = attempt_no;
        ledger_walk_ask(turn);
    } else {
        ledger_walk(turn, branch->state);
    }
}

/* What sleeps goes on before its time. */
static void wake(struct ledger_turn *turn)
{
    for (uint32_t i = turn->saga->carriers_count; i-- > 0;) {
        struct ledger_turn other = ledger_turn_on(turn, &turn->saga->carriers[i]);
        if (other.branch->wait == LEDGER_RESTING || other.branch->wait == LEDGER_DELAYED)
            ledger_walk_timer(&other);
    }
}

void ledger_undo_mend(struct ledger_turn *turn, enum mend_action action,
                      const struct ledger_value *output)
{
    struct ledger_saga *saga = turn->saga;
    struct core_totals *totals = &turn->ledger->totals;
    if (saga->outcome != OUTCOME_STUCK) {
        wake(turn);
        return;
    }
    saga->outcome = OUTCOME_RUNNING;
    totals->stuck--;
    totals->mended++;
    bool stuck[LEDGER_CARRIERS_MAX];
    for (uint32_t i = 0; i < saga->carriers_count; i++)
        stuck[i] = saga->carriers[i].wait == LEDGER_STUCK;
    for (uint32_t i = saga->carriers_count; i-- > 0;) {
        struct ledger_turn other = ledger_turn_on(turn, &saga->carriers[i]);
        if (stuck[i] && other.branch->undo)
            mend_compensation(&other, action);
        else if (stuck[i])
            mend_forward(&other, action, output);
    }
}
