/*
 * ledger: the oracle of the simulator. It walks the scripts by rules of its own, is told of nothing
 * but the records of durable blocks, and says what each of them must lead to. A handler that runs,
 * or a reply that leaves, must have its cause in here, and so in a durable block.
 *
 *   durable block ─► partition_state_replay ─► ledger_on_event: which effects must follow
 *   handler runs  ─► ledger_run: is it due, once, with the right input? what does it answer?
 *   reply leaves  ─► ledger_reply: has the saga ended like this, and is the client told once?
 *
 * The number of a branch is looked up in the state that the replay keeps; everything else that the
 * core says is checked against the ledger's own idea of it.
 */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include "engine/partition/partition_state.h"
#include "tests/sim/script.h"

#define LEDGER_PLANS_MAX 32
#define LEDGER_WAITS_MAX 16

/* A value in a payload, as far as anybody looks at it. */
struct ledger_value {
    enum { LEDGER_ABSENT, LEDGER_NIL, LEDGER_NUMBER, LEDGER_ERROR } kind;
    int64_t n; /* NUMBER: {"n": n}; ERROR: {"Error": script_errors[n]} */
};

struct ledger_payload {
    struct ledger_value root;
    struct ledger_value fields[SCRIPT_FIELDS];
};

enum ledger_wait { LEDGER_IDLE, LEDGER_WAITING, LEDGER_SLEEPING };

struct ledger_branch {
    enum ledger_wait wait;
    bool undo;
    bool detached;
    int state;
    uint32_t step_no;
    uint32_t attempt_no;
    uint32_t spent[SCRIPT_RULES_MAX];
    int64_t due_ms;
    uint32_t ran_boot; /* the start of the engine in which this attempt has run; 0: not yet */
    struct ledger_payload input;
};

/* A completed step that is to be undone if the saga fails. */
struct ledger_done {
    int state;
    uint32_t step_no;
    struct ledger_payload input;
    struct ledger_value output;
};

struct ledger_saga {
    const struct script *script;
    uint64_t token;
    enum outcome outcome;
    bool failed, ended, replied;
    uint32_t step_no, steps_done, undone_count;
    struct ledger_payload payload;
    struct ledger_branch root;
    uint32_t detached_count, detached_live;
    struct ledger_branch detached[SCRIPT_STATES_MAX];
    uint32_t done_count;
    struct ledger_done done[SCRIPT_STATES_MAX];
};

/* What the handler of a step is to answer: always the same for the same attempt. */
struct ledger_answer {
    enum { LEDGER_DONE, LEDGER_GARBAGE, LEDGER_REFUSE, LEDGER_RETRY } kind;
    struct ledger_value output;
    int error;
};

struct ledger_faults {
    uint32_t refuse_percent, retry_percent, garbage_percent;
};

struct ledger_effect {
    enum effect_kind kind;
    uint64_t saga_id;
    uint32_t step_no;
    bool undo;
    enum outcome outcome;
};

struct ledger {
    uint64_t seed;
    struct ledger_faults forward, undo;
    const struct script *const *scripts; /* all that the simulator has drawn; borrowed */
    const uint32_t *scripts_count;
    uint32_t boot;   /* starts of the engine */
    bool rebuilding; /* from the blocks alone: which handlers ran is not known */

    const struct script *plans[LEDGER_PLANS_MAX];
    uint32_t plans_count;
    struct ledger_saga *sagas; /* by saga id; the first is not used */
    uint32_t sagas_count;      /* the id of the newest */
    uint32_t sagas_capacity;
    struct core_totals totals;
    int64_t counters[SCRIPT_SERVICES][2 * SCRIPT_HANDLERS];
    uint64_t last_no; /* of the blocks */
    int64_t last_now_ms;
    uint32_t last_epoch;
    int64_t wall_ms; /* the latest that the clock had shown when the block was written */

    struct ledger_effect expected[LEDGER_WAITS_MAX]; /* of the event in work */
    uint32_t expected_count;
    uint32_t event_branch;
    uint32_t *answered; /* by branch: the last generation that was answered */
    uint32_t answered_count;
};

void ledger_init(struct ledger *ledger, uint64_t seed);
void ledger_fini(struct ledger *ledger);
/* Forgets what the blocks said; the next is block 1. */
void ledger_begin_rebuild(struct ledger *ledger);

/* The header of a block, before its records. `wall_ms` is the latest that the clock has shown. */
void ledger_on_block(struct ledger *ledger, const struct block_header *header, int64_t wall_ms);
/* A partition_on_event; `context` is the ledger. */
void ledger_on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event);
/* After the records of a block: the figures of the core are the ledger's. */
void ledger_check_totals(const struct ledger *ledger, const struct core *core);
/* The counters that the handlers kept are those of the completed steps. */
void ledger_check_tables(const struct ledger *ledger, const struct partition_state *state);

/* The handler of (service, handler) runs with this key and input. */
struct ledger_answer ledger_run(struct ledger *ledger, struct flyover_key key, uint32_t service,
                                uint32_t handler, struct flyover_cursor input);
void ledger_reply(struct ledger *ledger, uint64_t saga_id, uint64_t token, enum outcome outcome);

#endif
