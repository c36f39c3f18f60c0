#include "tests/sim/services.h"

#include <string.h>

enum { TABLE_RUNS, TABLE_STEPS };

struct ledger *services_ledger;
uint64_t services_trace;

/* Counts and notes before it answers: where it says no, both must be taken back. */
static void write(struct flyover_call *call, uint32_t handler, bool undo)
{
    uint8_t number = (uint8_t)handler;
    struct flyover_key key = flyover_call_key(call);
    uint64_t step[2] = {key.saga_id, key.step_no};
    struct flyover_bytes name = {&number, 1};
    struct flyover_bytes note = {(const uint8_t *)step, sizeof step};
    flyover_add(call, TABLE_RUNS, name, 1);
    if (undo)
        flyover_delete(call, TABLE_STEPS, note);
    else
        flyover_put(call, TABLE_STEPS, note, name);
}

static enum flyover_answer answer(struct flyover_call *call, const struct ledger_answer *wanted)
{
    const char *error = script_errors[wanted->error];
    switch (wanted->kind) {
    case LEDGER_REFUSE: return flyover_refused(call, error, "told to");
    case LEDGER_RETRY: return flyover_retry(call, error, "told to");
    case LEDGER_GARBAGE: return flyover_done_with(call, "\xc1", 1);
    case LEDGER_DONE: break;
    }
    if (wanted->output.kind == LEDGER_NIL)
        return flyover_done(call);
    char output[] = {(char)0x81, (char)0xa1, 'n', (char)wanted->output.n};
    return flyover_done_with(call, output, sizeof output);
}

/* Whoever is to end the step hears of the token, whatever the handler answers. */
static void hand_on_token(const struct flyover_call *call, const struct ledger_answer *wanted)
{
    struct flyover_key key = flyover_call_key(call);
    struct ledger_token token = {key.saga_id, key.step_no, wanted->attempt_no, ""};
    flyover_call_token(call, token.text);
    ledger_keep_token(services_ledger, &token);
}

static enum flyover_answer run(struct flyover_call *call, uint32_t service, uint32_t handler)
{
    struct flyover_key key = flyover_call_key(call);
    bool undo = key.phase == FLYOVER_COMPENSATION;
    struct ledger_answer wanted =
        ledger_run(services_ledger, key, service, handler, flyover_call_input(call));
    services_trace = chance_mix(services_trace, chance_mix(key.saga_id, key.step_no * 2 + undo));
    if (wanted.by_token)
        hand_on_token(call, &wanted);
    if (services[service].tables_count > 0)
        write(call, handler, undo);
    return answer(call, &wanted);
}

#define HANDLER(service, handler)                                                                  \
    static enum flyover_answer run_##service##_##handler(struct flyover_call *call)                \
    {                                                                                              \
        return run(call, service, handler);                                                        \
    }
#define HANDLERS(service)                                                                          \
    HANDLER(service, 0)                                                                            \
    HANDLER(service, 1)                                                                            \
    HANDLER(service, 2)                                                                            \
    HANDLER(service, 3)                                                                            \
    HANDLER(service, 4)                                                                            \
    HANDLER(service, 5)
HANDLERS(0)
HANDLERS(1)
HANDLERS(2)

#define LIST(s)                                                                                    \
    {                                                                                              \
        {"h0", run_##s##_0}, {"h1", run_##s##_1}, {"h2", run_##s##_2}, {"u0", run_##s##_3},        \
            {"u1", run_##s##_4}, {"u2", run_##s##_5},                                              \
    }
static const struct flyover_handler handlers[SCRIPT_SERVICES][2 * SCRIPT_HANDLERS] = {
    LIST(0), LIST(1), LIST(2)};

/* The notes overflow on purpose: which one is dropped must be the same in every replay. */
static const struct flyover_table tables[] = {
    [TABLE_RUNS] = {"runs", FLYOVER_COUNTERS, 16, FLYOVER_REFUSE},
    [TABLE_STEPS] = {"steps", FLYOVER_VALUES, 12, FLYOVER_DROP_OLDEST},
};

const struct flyover_service services[SCRIPT_SERVICES] = {
    {.abi = FLYOVER_ABI,
     .name = "alpha",
     .handlers = handlers[0],
     .handlers_count = 6,
     .tables = tables,
     .tables_count = 2},
    {.abi = FLYOVER_ABI,
     .name = "beta",
     .handlers = handlers[1],
     .handlers_count = 6,
     .tables = tables,
     .tables_count = 2},
    {.abi = FLYOVER_ABI,
     .name = "gamma",
     .handlers = handlers[2],
     .handlers_count = 6,
     .workers = 2},
};
