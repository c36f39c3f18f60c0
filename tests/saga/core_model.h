/*
 * core_model: what one saga may do, told by somebody who knows nothing of slots, phases and tables,
 * but only what it was asked and what it was told. The first letter of a handler says what its step
 * is: c is compensated (by undo_c...), p is the pivot, f is fired and forgotten, w is on the way of
 * a Catch in a Compensate; what waits for a token has t as its second letter.
 *
 * Threads: one. Memory: the caller's. What must not be fails the test.
 */
#ifndef TESTS_SAGA_CORE_MODEL_H
#define TESTS_SAGA_CORE_MODEL_H

#include "tests/saga/core_rig.h"

#define MODEL_STEPS_MAX 96u

/* The definitions that are drawn: all that there is in one, together. */
#define MODEL_PLANS_COUNT 6u
extern const char *const model_definitions[MODEL_PLANS_COUNT];

enum model_status {
    MODEL_DONE,   /* nobody is at its compensation */
    MODEL_HAND,   /* its compensation was asked for */
    MODEL_WAY,    /* that failed, and goes on another way */
    MODEL_FAILED, /* that failed, and an operator is waited for */
    MODEL_GONE,   /* compensated, or nobody need do it any more */
};

struct model_step {
    enum model_status status;
    uint32_t step_no;
    uint32_t branch; /* that has it in hand */
    uint32_t input_crc, output_crc;
    char handler[8];
};

struct model {
    struct model_step steps[MODEL_STEPS_MAX];
    uint32_t steps_count;
    char handlers[MODEL_STEPS_MAX][8]; /* by number of the forward step */
    uint32_t undo_branches;
    uint32_t undone_count;
    bool told; /* cancelled, or out of time */
    bool aborted;
    bool pivoted;
    bool undoing;
    bool stuck;
    bool replied;
    bool ended;
};

void model_on_invoke(struct model *model, const struct rig *rig, struct effect invoke);
/* A step of the saga is done: by its handler, or by token. Before the event goes in. */
void model_on_result(struct model *model, const char *handler, struct core_invocation call,
                     struct flyover_bytes output, bool by_token);
void model_on_cancel(struct model *model, bool abort);
void model_on_mend(struct model *model, enum mend_action action);
/* After an event, before its effects: `branch` is whose error or timer it was, or UINT32_MAX. */
void model_look(struct model *model, const struct rig *rig, uint64_t saga_id, uint32_t branch);
void model_on_reply(struct model *model, struct effect reply);

/* ---- rows of the table that branches were seen to go by --------------------------------------
 */

struct model_moves {
    bool seen[PHASES_COUNT][TRIGGERS_COUNT];
};

/* A branch rested in `before`, had an answer or a timer, and now rests in `after`: there is a row
 * that leads there. */
void model_on_move(struct model_moves *moves, enum phase before, enum event_kind kind,
                   enum phase after);
/* Each row that such an event can ask for was gone by, as far as can be seen from outside. */
void model_check_moves(const struct model_moves *moves);

#endif
