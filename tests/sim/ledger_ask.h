/*
 * ledger_ask: what clients and operators asked of the engine, and what it said. The engine is ahead
 * of its durable blocks, so a question is kept with its place in the journal and looked at when the
 * ledger has come there: what was taken has to stand there as the event, and what was refused has
 * to be refused for the reason that the ledger has too.
 */
#ifndef TESTS_SIM_LEDGER_ASK_H
#define TESTS_SIM_LEDGER_ASK_H

#include "tests/sim/ledger.h"

enum ledger_asked {
    LEDGER_ASK_START, /* by name */
    LEDGER_ASK_SIGNAL,
    LEDGER_ASK_ANSWER,
    LEDGER_ASK_ERROR, /* an answer that is one */
    LEDGER_ASK_HEARTBEAT,
    LEDGER_ASK_CANCEL,
    LEDGER_ASK_MEND,
    LEDGER_ASK_REDRIVE,
};

struct ledger_question {
    enum ledger_asked asked;
    enum status status; /* what the engine said */
    bool may_be_busy;   /* for a reason that is not the saga's */
    uint64_t block_no;  /* the place of the event, or of the next one if it was refused */
    uint32_t record_no;
    int64_t now_ms; /* of the open block */

    uint64_t saga_id;     /* START: which EXISTS names */
    uint64_t redriven_id; /* REDRIVE: the same */
    uint32_t name;        /* START */
    uint64_t input_hash;
    uint32_t signal; /* SCRIPT_SIGNALS: a name that nobody waits for */
    bool is_token;   /* of this data directory */
    uint32_t step_no, attempt_no;
    bool abort;
    enum mend_action action;
    struct ledger_value value; /* payload of a signal, output; ABSENT: none */
    int error;
};

void ledger_ask(struct ledger *ledger, const struct ledger_question *question);
/* Before the event that `core` gets next: looks at all that was asked before it, and at who asked
 * for it. event NULL: the block is at its end. */
void ledger_ask_on_event(struct ledger *ledger, const struct core *core, const struct event *event);
/* The engine is gone, and with it all questions whose blocks will never come. */
void ledger_ask_forget(struct ledger *ledger);

/* START events keep their name. */
void ledger_keep_name(struct ledger *ledger, const struct event *event, uint64_t saga_id);
uint64_t ledger_hash_input(struct flyover_bytes input);

#endif
