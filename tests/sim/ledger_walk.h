/*
 * ledger_walk: how a saga goes on, by the ledger's own rules. Internal to the ledger: ledger.c
 * hears of events and runs, ledger_walk.c knows what a script says about them.
 */
#ifndef TESTS_SIM_LEDGER_WALK_H
#define TESTS_SIM_LEDGER_WALK_H

#include "tests/sim/ledger.h"

void ledger_walk_start(struct ledger *ledger, uint64_t saga_id);
void ledger_walk_result(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                        struct ledger_value output);
void ledger_walk_error(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch,
                       int error, bool retryable);
void ledger_walk_timer(struct ledger *ledger, uint64_t saga_id, struct ledger_branch *branch);

/* The retrier that the error of the branch falls to, or NULL. */
const struct script_retrier *ledger_walk_retrier(const struct ledger_saga *saga,
                                                 const struct ledger_branch *branch, int error,
                                                 uint32_t *ret_index);

#endif
