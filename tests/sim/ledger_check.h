/*
 * ledger_check: what the core did because of an event is held against what the ledger has found to
 * be due. Internal to the ledger.
 */
#ifndef TESTS_SIM_LEDGER_CHECK_H
#define TESTS_SIM_LEDGER_CHECK_H

#include "tests/sim/ledger.h"

/* After an event: the effects are those expected, and what waits has the time it should. */
void ledger_check_effects(struct ledger *ledger, const struct partition_state *state);

#endif
