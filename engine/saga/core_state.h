/*
 * core_state: what the core is made of. Internal to engine/saga: core_slots.c owns the memory,
 * core.c makes the moves, core_view.c only reads.
 */
#ifndef ENGINE_SAGA_CORE_STATE_H
#define ENGINE_SAGA_CORE_STATE_H

#include "engine/base/slab.h"
#include "engine/saga/core.h"
#include "engine/saga/names.h"

#define CORE_NONE          UINT32_MAX
#define BRANCHES_PER_SAGA  2u /* on average, the root included */
#define COMPLETED_PER_SAGA 8u /* on average */
#define INDEX_LINE         16u

/* One cache line each: an event touches one branch and one saga. */
struct branch {
    _Alignas(64) uint32_t saga;
    uint32_t generation;
    uint16_t state;
    uint8_t phase;
    bool delayed : 1;                   /* SLEEPING before its first state */
    bool handling : 1;                  /* on the way of a compensation's Catch */
    uint8_t retried[PLAN_RETRIERS_MAX]; /* retries spent, by retrier; saturates at 255 */
    uint32_t step_no;
    uint32_t attempt_no;
    slab_ref payload;       /* the input of the state */
    uint32_t completed;     /* forward: entry kept ready for this step; undoing: entry in work */
    uint32_t next;          /* of the saga; or in the free list */
    uint32_t retries_spent; /* of the retrier in use, beyond what `retried` can count */
    int64_t due_ms;         /* what it waits for; 0: nothing */
    int64_t deadline_ms;    /* of the attempt, where heartbeats move due_ms; 0: none */
};

enum cancel { CANCEL_NONE, CANCEL_COMPENSATE, CANCEL_ABORT };

struct saga {
    _Alignas(64) uint64_t id;
    int64_t started_ms;
    int64_t deadline_ms; /* 0: none */
    uint64_t token;
    uint32_t branches_head;  /* the branch it got last */
    uint32_t completed_head; /* the step completed last; or the free list */
    slab_ref error;          /* SLAB_NONE though it failed: there was no room */
    uint32_t signals_head;   /* its trace, if it has one; kept for later, the oldest first */
    uint32_t noted_block;    /* low bits of the number of the block last noted */
    uint16_t plan : 10;
    uint16_t outcome : 3;
    uint16_t in_use : 1;
    uint16_t failed : 1;  /* it is being compensated, or stuck past the pivot */
    uint16_t pivoted : 1; /* past the pivot */
    uint16_t step_no;     /* of the step begun last */
    uint16_t steps_done;  /* results applied */
    uint16_t branches_live;
    uint16_t detached_live;
    uint8_t cancel : 2;      /* enum cancel */
    uint8_t has_undone : 1;  /* a step was compensated */
    uint8_t has_counted : 1; /* its error stands in the totals */
    uint8_t by_deadline : 1; /* deadline_ms was named by its start, not by its plan */
    uint8_t error_index;     /* of that */
};

_Static_assert(sizeof(struct branch) == 64 && sizeof(struct saga) == 64, "one line each");
_Static_assert(CORE_PLANS_MAX <= 1u << 10 && OUTCOME_ABORTED < 1 << 3, "fields of struct saga");
_Static_assert(2 * CORE_STEPS_MAX <= UINT16_MAX, "steps of a saga and their compensations");

/* A completed step that can be compensated; or a signal kept for later, with its name's index as
 * `state` and its payload as `input`; or, first in the list of signals, the trace of the saga, with
 * CORE_OF_TRACE as `state`. */
#define CORE_OF_TRACE (UINT16_MAX - 1u)
struct completed {
    uint32_t next;
    uint32_t step_no;
    uint16_t state;
    slab_ref input;
    slab_ref output; /* SLAB_NONE: nil */
};

/* Free slots of one array: freed ones first, last freed first, then those never used. */
struct pool {
    uint32_t head;
    uint32_t touched;
    uint32_t capacity;
    uint32_t used;
};

struct core {
    struct core_limits limits;
    struct saga *sagas;
    struct branch *branches;
    struct completed *completed;
    struct pool sagas_pool, branches_pool, completed_pool;
    uint32_t branches_reserved; /* by running sagas: what they may come to need */
    struct slab *payloads;
    struct names *names; /* NULL: limits.names_max is 0 */
    uint64_t saga_id_last;
    struct core_totals totals;
    uint32_t errors_count;
    struct core_error errors[CORE_ERRORS_MAX];
    uint32_t sources_count; /* ever opened */
    struct core_source sources[CORE_SOURCES_MAX];
    uint32_t plans_count;
    struct plan *plans[CORE_PLANS_MAX];
    uint32_t plan_live[CORE_PLANS_MAX];

    /* Not of the state. */
    uint32_t *index; /* see core_index_add */
    uint32_t index_lines;
    uint32_t index_missed; /* sagas that found no place in it */
    core_on_note on_note;
    void *on_note_context;
    core_on_end on_end;
    void *on_end_context;
    struct tally *durations_ms; /* borrowed; NULL: not kept */
    uint8_t scratch[FLYOVER_PAYLOAD_BYTES_MAX];
};

static inline bool core_pool_is_empty(const struct pool *pool)
{
    return pool->used == pool->capacity;
}

/* Slots. A saga's slot is released with its last branch. core_acquire_completed returns CORE_NONE
 * when all are in use; for the others admission has seen to it that there is room. */
uint32_t core_acquire_saga(struct core *core);
/* Tells history of it. */
uint32_t core_acquire_branch(struct core *core, uint32_t saga_index);
void core_release_branch(struct core *core, uint32_t index);
uint32_t core_acquire_completed(struct core *core);
/* Accepts CORE_NONE. */
void core_release_completed(struct core *core, uint32_t index);

/* Releases a whole list of them. */
void core_release_all_completed(struct core *core, uint32_t *head);
/* Branches a saga of the plan may come to have at once. */
uint32_t core_branches_of(const struct plan *plan);

/*
 * Which slot a saga has, by its id: lines of INDEX_LINE slots, eight consecutive ids to a line, so
 * that starts and ends touch it in order, and room for twice the sagas there can be. A line that
 * sagas which live for long have filled sends what comes later to a walk over all slots, which
 * core_find_saga does only while there are such. Made anew from the slots, and no part of the
 * state.
 */
void core_index_add(struct core *core, uint32_t slot);
void core_index_remove(struct core *core, uint32_t slot);
void core_index_rebuild(struct core *core);

/* A names_is_held; `context` is the core. */
bool core_is_live(void *context, uint64_t saga_id);
/* Under what the redrive of a saga is kept among the names: none that a client may give begins with
 * a control character. */
#define CORE_REDRIVE_NAME_BYTES 9u
struct flyover_bytes core_redrive_name(uint64_t saga_id, uint8_t bytes[CORE_REDRIVE_NAME_BYTES]);

/* Payloads: a copy with one holder (SLAB_NONE when full), and the bytes of one (count 0 of none).
 */
slab_ref core_keep_bytes(struct core *core, struct flyover_bytes bytes);
struct flyover_bytes core_payload(const struct core *core, slab_ref ref);
/* The trace of the saga, SLAB_NONE if it has none. */
static inline slab_ref core_trace_of(const struct core *core, const struct saga *saga)
{
    uint32_t first = saga->signals_head;
    if (first == CORE_NONE || core->completed[first].state != CORE_OF_TRACE)
        return SLAB_NONE;
    return core->completed[first].input;
}

/* {"Error", "Cause"} of the saga, count 0 if it has not failed. */
struct flyover_bytes core_error_of(const struct core *core, const struct saga *saga);

#endif
