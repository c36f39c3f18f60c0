/*
 * services: the handlers of the simulator. alpha and beta count in their tables how often each
 * handler has done its work; gamma has none and two workers. Each asks the ledger what to answer.
 */
#ifndef TESTS_SIM_SERVICES_H
#define TESTS_SIM_SERVICES_H

#include "engine/flyover_service.h"
#include "tests/sim/ledger.h"

extern const struct flyover_service services[SCRIPT_SERVICES];

/* Handlers have no context: the ledger they ask, and the hash of everything that they did. */
extern struct ledger *services_ledger;
extern uint64_t services_trace;

#endif
