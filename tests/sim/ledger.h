/*
 * ledger: the oracle of the simulator. It walks the scripts by rules of its own, is told of nothing
 * but the records of durable blocks, and says what each of them must lead to. A handler that runs,
 * or a reply that leaves, must have its cause in here, and so in a durable block; and what comes
 * from outside must be answered as it says.
 *
 *   durable block ─► partition_state_replay ─► ledger_on_event: which effects must follow
 *   handler runs  ─► ledger_run: is it due, once, with the right input? what does it answer?
 *   reply leaves  ─► ledger_reply: has the saga ended like this, and is the client told once?
 *   call answered ─► ledger_ask (ledger_ask.h): kept until the ledger is as far as the engine was
 *                    then; was OK, or the refusal, right?
 *
 * Which step a branch works on is looked up in the state that the replay keeps; everything else
 * that the core says is checked against the ledger's own idea of it.
 */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include "engine/partition/partition_state.h"
#include "tests/sim/ledger_value.h"

#define LEDGER_PLANS_MAX    32
#define LEDGER_EFFECTS_MAX  64
#define LEDGER_CARRIERS_MAX SCRIPT_STATES_MAX
#define LEDGER_NAMES        12 /* "n0" .. */

enum ledger_wait {
    LEDGER_GONE,
    LEDGER_DELAYED,  /* started for later */
    LEDGER_RUNNING,  /* a handler is asked */
    LEDGER_PAUSED,   /* until the next attempt */
    LEDGER_RESTING,  /* in a Wait */
    LEDGER_AWAITING, /* a signal, or an answer by token */
    LEDGER_STUCK,
};

/* A completed step that is to be undone if the saga fails. */
struct ledger_done {
    int state;
    uint32_t step_no;
    struct ledger_payload input;
    struct ledger_value output;
};

struct ledger_branch {
    enum ledger_wait wait;
    bool detached;
    bool undo;     /* works on the compensation of `done` */
    bool handling; /* on the way of that one's Catch */
    bool holds;    /* room for `done` is kept for the step that it works on */
    int state;
    uint32_t step_no;
    uint32_t attempt_no;
    uint32_t begun_no; /* how often the step was begun: again by an operator */
    uint32_t spent[SCRIPT_RULES_MAX];
    int64_t due_ms;      /* 0: it waits for no time */
    bool jitter;         /* or earlier */
    int64_t deadline_ms; /* of the attempt; 0: none */
    uint32_t ran_boot;   /* the start of the engine in which this attempt has run; 0: not yet */
    struct ledger_payload payload;
    struct ledger_done done;
};

enum ledger_cancel { LEDGER_GO_ON, LEDGER_COMPENSATE, LEDGER_ABORT };

struct ledger_signal {
    uint32_t signal;
    struct ledger_value value;
};

/* Where a saga was when it failed, with nothing compensated since. */
struct ledger_failure {
    bool is_whole;
    int state;
    uint32_t step_no;
    struct ledger_payload payload;
    uint32_t done_count;
    struct ledger_done done[SCRIPT_STATES_MAX];
};

/* The saga that a name has started last; id 0: none. */
struct ledger_name {
    uint64_t saga_id;
    uint64_t input_hash;
    int64_t kept_ms;
};

struct ledger_saga {
    const struct script *script;
    uint32_t plan;
    uint64_t token;
    enum outcome outcome;
    enum ledger_cancel cancel;
    bool failed, pivoted, undone, was_stuck, ended, replied;
    bool has_trace; /* and room to keep it */
    uint32_t step_no, steps_done;
    int64_t deadline_ms; /* 0: none */
    int64_t ended_ms;
    uint32_t carriers_count; /* the first is there from the start, the others came in this order */
    struct ledger_branch carriers[LEDGER_CARRIERS_MAX];
    struct ledger_branch detached[SCRIPT_STATES_MAX];
    uint32_t detached_live;
    uint32_t done_count;
    struct ledger_done done[SCRIPT_STATES_MAX];
    uint32_t signals_count; /* kept for later, the oldest first */
    struct ledger_signal signals[CORE_SIGNALS_MAX];
    struct ledger_failure failure;
    struct ledger_name redriven; /* as that saga; 0: not */
};

/* What the handler of a step is to answer: always the same for the same attempt. */
struct ledger_answer {
    enum { LEDGER_DONE, LEDGER_GARBAGE, LEDGER_REFUSE, LEDGER_RETRY } kind;
    struct ledger_value output;
    int error;
    bool by_token; /* the step is only begun */
    uint32_t attempt_no;
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

/* A token that a handler was given. */
struct ledger_token {
    uint64_t saga_id;
    uint32_t step_no, attempt_no;
    char text[FLYOVER_TOKEN_BYTES];
};

struct ledger_question;

struct ledger {
    uint64_t seed;
    struct ledger_faults forward, undo;
    struct core_limits limits;
    const struct script *const *scripts; /* all that the simulator has drawn; borrowed */
    const uint32_t *scripts_count;
    uint32_t boot;   /* starts of the engine */
    bool rebuilding; /* from the blocks alone: which handlers ran, who asked, is not known */

    const struct script *plans[LEDGER_PLANS_MAX];
    uint32_t plans_count;
    struct ledger_saga *sagas; /* by saga id; the first is not used */
    uint32_t sagas_count;      /* the id of the newest */
    uint32_t sagas_capacity;
    struct core_totals totals;
    uint32_t room_used, room_max; /* entries for completed steps, kept signals and traces */
    struct ledger_name names[LEDGER_NAMES];
    int64_t counters[SCRIPT_SERVICES][2 * SCRIPT_HANDLERS];
    uint64_t last_no;   /* of the blocks */
    uint32_t record_no; /* in the block, of the event in work */
    int64_t now_ms;
    uint32_t last_epoch;

    struct ledger_effect expected[LEDGER_EFFECTS_MAX]; /* of the event in work */
    uint32_t expected_count;
    uint32_t event_branch; /* the core's, that it is about; UINT32_MAX: none */
    uint32_t *answered;    /* by branch: the last generation that was answered */
    uint32_t answered_count;

    struct ledger_token *tokens; /* all, the newest last */
    uint32_t tokens_count, tokens_capacity;
    struct ledger_question *questions; /* from `first` on they wait for the blocks */
    uint32_t questions_first, questions_count, questions_capacity;
};

void ledger_init(struct ledger *ledger, uint64_t seed, const struct core_limits *limits);
void ledger_fini(struct ledger *ledger);
/* Forgets what the blocks said; the next is block 1. */
void ledger_begin_rebuild(struct ledger *ledger);

struct ledger_saga *ledger_find(struct ledger *ledger, uint64_t saga_id);
/* The branch that works on the step, or has worked on it last, or NULL. */
struct ledger_branch *ledger_find_branch(struct ledger_saga *saga, uint32_t step_no);
/* True while a saga may be cancelled, signalled, mended: it has not come to its end. */
bool ledger_is_live(const struct ledger_saga *saga);

/* The header of a block, before its records and after. `wall_ms_max` is the latest that the clock
 * has shown. */
void ledger_begin_block(struct ledger *ledger, const struct block_header *header,
                        int64_t wall_ms_max);
void ledger_end_block(struct ledger *ledger, const struct core *core);
/* A partition_on_event; `context` is the ledger. */
void ledger_on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event);
/* The counters that the handlers kept are those of the completed steps. */
void ledger_check_tables(const struct ledger *ledger, const struct partition_state *state);

/* The handler of (service, handler) runs with this key and input. */
struct ledger_answer ledger_run(struct ledger *ledger, struct flyover_key key, uint32_t service,
                                uint32_t handler, struct flyover_cursor input);
/* Its worker gave the attempt back: it may run once more. */
void ledger_give_back(struct ledger *ledger, uint64_t saga_id, uint32_t step_no,
                      uint32_t attempt_no);
/* It was given this token. */
void ledger_keep_token(struct ledger *ledger, const struct ledger_token *token);
/* Its text, or NULL. */
const char *ledger_token_of(const struct ledger *ledger, uint64_t saga_id, uint32_t step_no,
                            uint32_t attempt_no);
void ledger_reply(struct ledger *ledger, uint64_t saga_id, uint64_t token, enum outcome outcome);

#endif
