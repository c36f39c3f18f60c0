/*
 * ledger_walk: how a saga goes on, by the ledger's own rules. Internal to the ledger: ledger.c
 * hears of events and runs; ledger_walk.c knows what a script says about them on the way forward,
 * ledger_undo.c on the way back.
 */
#ifndef TESTS_SIM_LEDGER_WALK_H
#define TESTS_SIM_LEDGER_WALK_H

#include "tests/sim/ledger.h"

/* A branch of a saga, in work. */
struct ledger_turn {
    struct ledger *ledger;
    uint64_t saga_id;
    struct ledger_saga *saga;
    struct ledger_branch *branch;
};

/* ---- what both need */

void ledger_expect(const struct ledger_turn *turn, enum effect_kind kind);
const struct script_state *ledger_state_of(const struct ledger_turn *turn);
struct ledger_turn ledger_turn_on(const struct ledger_turn *turn, struct ledger_branch *branch);
/* Forgets attempts and retries: a step, or its compensation, begins. */
void ledger_begin(struct ledger_branch *branch, int state, uint32_t step_no);
/* A handler is asked: another attempt. */
void ledger_invoke(struct ledger_turn *turn, uint32_t timeout_s);
void ledger_decide(struct ledger_turn *turn, enum outcome outcome);
/* The branch is no more; the saga neither, if it was the last. */
void ledger_leave(struct ledger_turn *turn);
void ledger_drop_done(struct ledger_turn *turn);
void ledger_drop_held(struct ledger_turn *turn);

/* ---- forward */

void ledger_walk(struct ledger_turn *turn, int at);
void ledger_walk_start(struct ledger_turn *turn);
void ledger_walk_succeed(struct ledger_turn *turn);
/* From now on the step is to be compensated, if that is asked for. */
void ledger_walk_remember(struct ledger_turn *turn, struct ledger_value output);
/* Asks for the Task that the branch is at, again after a pause. */
void ledger_walk_ask(struct ledger_turn *turn);
/* The answer of a handler; or, `from_outside`, the one that an awaiting step has waited for. */
void ledger_walk_result(struct ledger_turn *turn, struct ledger_value output, bool from_outside);
void ledger_walk_error(struct ledger_turn *turn, int error, bool retryable);
void ledger_walk_timer(struct ledger_turn *turn);
void ledger_walk_signal(struct ledger_turn *turn, uint32_t signal, struct ledger_value value);

/* ---- back */

void ledger_undo_fail(struct ledger_turn *turn);
/* The branch has to stop because the saga was cancelled; and stops. */
bool ledger_undo_is_told(const struct ledger_turn *turn);
void ledger_undo_stop(struct ledger_turn *turn);
void ledger_undo_done(struct ledger_turn *turn);
void ledger_undo_failed(struct ledger_turn *turn, int error);
void ledger_undo_cancel(struct ledger_turn *turn, enum ledger_cancel cancel);
void ledger_undo_mend(struct ledger_turn *turn, enum mend_action action,
                      const struct ledger_value *output);

#endif
