/*
 * core_moves: an event in work, and the moves that its handlers share. Internal to engine/saga:
 *
 *   core.c        events come in: who is meant, and what it is to a branch
 *   core_start.c  a saga begins, anew or again
 *   core_walk.c   forward: from state to state until something has to be waited for
 *   core_undo.c   failure, compensation, cancelling, mending
 *
 * A move ends the work on its branch, which may be gone afterwards, and its saga too.
 */
#ifndef ENGINE_SAGA_CORE_MOVES_H
#define ENGINE_SAGA_CORE_MOVES_H

#include "engine/saga/core_state.h"

struct work {
    struct core *core;
    struct effect_queue *effects;
    int64_t now_ms;
    uint64_t block_no;
    uint32_t branch_index;
    struct branch *branch;
    struct saga *saga;
    const struct plan *plan;
};

/* The work on a branch; false where there is none. */
bool work_find(struct core *core, uint32_t branch, const struct core_moment *moment,
               struct effect_queue *effects, struct work *ret_work);
/* Moves the branch by the table and asks for the row's effect. The caller knows the row is there.
 */
void work_fire(struct work *work, enum trigger trigger);
static inline bool work_has_row(const struct work *work, enum trigger trigger)
{
    return transitions[work->branch->phase][trigger].next != PHASE_FREE;
}
/* The same work on another branch of the saga. */
struct work work_on(const struct work *work, uint32_t branch);
/* The branch begins a step, or tries nothing yet: no attempt, no retry spent. */
void work_begin_step(struct work *work, uint16_t state);
/* Sets when the attempt that begins now is out of time. */
void work_set_deadline(struct work *work, uint64_t timeout_ms);
void work_replace_payload(struct work *work, slab_ref payload);
/* Puts a result where the path says. False where there is no room for what would come out. */
bool work_put_result(struct work *work, enum result_path_kind kind, const struct path *path,
                     struct flyover_bytes result);
/* The outcome of the saga is known: counts it. The reply leaves by the row that ends the branch. */
void work_decide(struct work *work, enum outcome outcome);

/* ---- core_start.c: START and REDRIVE, and the saga's own deadline, from its beginning on. Next:
 *      walk, at once or when the time has come. */
NODISCARD enum status start_on_start(struct core *core, const struct core_moment *moment,
                                     const struct event *event, uint64_t token,
                                     struct effect_queue *effects, uint64_t *ret_saga_id);
NODISCARD enum status start_on_redrive(struct core *core, const struct core_moment *moment,
                                       const struct event *event, uint64_t token,
                                       struct effect_queue *effects, uint64_t *ret_saga_id);
void start_set_deadline(struct work *work);

/* ---- core_walk.c */

/* Goes from state to state until a step has to be waited for or the saga is at its end. */
void walk(struct work *work, uint16_t at);
/* A forward step is done: its result goes into the payload, the saga walks on. */
void walk_step_done(struct work *work, enum trigger trigger, struct flyover_bytes output);
/* A step that awaits its token is given up: what its handler has begun is to be compensated. */
void walk_keep_begun(struct work *work);
/* A Wait is over, or the waiting before the saga began. Next: walk. */
void walk_wake(struct work *work);
/* Asks for an attempt of the Task that the branch is at, READY or at the end of a pause. Next:
 * on_result, on_error, on_signal. */
void walk_ask(struct work *work);
/* Again at the state an operator has mended, a Task with the same key. */
void walk_again(struct work *work);
/* The saga has come to its end. */
void walk_succeed(struct work *work);

/* ---- core_undo.c */

/* The saga has failed for good: remembers why, and compensates; or parks it. */
void undo_fail(struct work *work, struct flyover_bytes name, struct flyover_bytes cause);
void undo_fail_with(struct work *work, struct flyover_bytes name, const char *cause);
/* True if the branch has to stop where it is, since the saga was cancelled. */
bool undo_is_told(const struct work *work);
/* Stops it there. */
void undo_as_told(struct work *work);
/* A compensation is done, by its handler or on the way of its Catch. */
void undo_done(struct work *work, enum trigger trigger);
/* A compensation has failed and is not retried. */
void undo_failed(struct work *work, struct flyover_bytes name, struct flyover_bytes cause);
/* Cancels the saga that the work is on any branch of; undo_begun as of EVENT_CANCEL. */
void undo_cancel(struct work *work, enum cancel cancel, bool undo_begun, struct flyover_bytes name,
                 struct flyover_bytes cause);
/* Of a saga that is stuck. */
void undo_mend(struct work *work, enum mend_action action, struct flyover_bytes output);
/* Of one that is not: what sleeps goes on now. */
void undo_skip_waits(struct work *work);

extern const struct flyover_bytes error_runtime, error_no_choice, error_data_limit, error_timeout,
    error_cancelled;

#endif
