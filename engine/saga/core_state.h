/*
 * core_state: what the core is made of. Internal to engine/saga: core_slots.c owns the memory,
 * core.c makes the moves, core_view.c only reads.
 */
#ifndef ENGINE_SAGA_CORE_STATE_H
#define ENGINE_SAGA_CORE_STATE_H

#include "engine/base/slab.h"
#include "engine/saga/core.h"

#define CORE_NONE          UINT32_MAX
#define BRANCHES_PER_SAGA  2u /* on average, the root included */
#define COMPLETED_PER_SAGA 8u /* on average */

/* One cache line each: an event touches one branch and one saga. */
struct branch {
    _Alignas(64) uint32_t saga;
    uint32_t generation;
    uint16_t state;
    uint8_t phase;
    uint8_t retried[PLAN_RETRIERS_MAX]; /* retries spent, by retrier; saturates at 255 */
    uint32_t step_no;
    uint32_t attempt_no;
    slab_ref payload;       /* the input of the state */
    uint32_t completed;     /* forward: entry kept ready for this step; undoing: entry in work */
    uint32_t next;          /* free list */
    uint32_t retries_spent; /* of the retrier in use, beyond what `retried` can count */
    int64_t due_ms;         /* BACKOFF phases */
};

struct saga {
    _Alignas(64) uint64_t id;
    int64_t started_ms;
    uint64_t token;
    uint16_t plan;
    uint8_t outcome;
    bool in_use : 1;
    bool failed : 1;
    uint16_t branches_live;
    uint16_t detached_live;
    uint32_t completed_head; /* the step completed last */
    uint32_t undone_count;
    uint32_t step_no;    /* of the step begun last */
    uint32_t steps_done; /* results applied */
    slab_ref error;      /* SLAB_NONE though it failed: there was no room */
    uint32_t next;       /* free list */
};

_Static_assert(sizeof(struct branch) == 64 && sizeof(struct saga) == 64, "one line each");

/* A completed step that can be compensated. */
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
    uint64_t saga_id_last;
    struct core_totals totals;
    uint32_t errors_count;
    struct core_error errors[CORE_ERRORS_MAX];
    uint32_t sources_count; /* ever opened */
    struct core_source sources[CORE_SOURCES_MAX];
    uint32_t plans_count;
    struct plan *plans[CORE_PLANS_MAX];
    uint8_t scratch[FLYOVER_PAYLOAD_BYTES_MAX];
};

static inline bool core_pool_is_empty(const struct pool *pool)
{
    return pool->used == pool->capacity;
}

/* Slots. A saga's slot is released with its last branch. core_acquire_completed returns CORE_NONE
 * when all are in use; for the others admission has seen to it that there is room. */
uint32_t core_acquire_saga(struct core *core);
uint32_t core_acquire_branch(struct core *core, uint32_t saga_index);
void core_release_branch(struct core *core, uint32_t index);
uint32_t core_acquire_completed(struct core *core);
/* Accepts CORE_NONE. */
void core_release_completed(struct core *core, uint32_t index);

/* Payloads: a copy with one holder (SLAB_NONE when full), and the bytes of one (count 0 of none).
 */
slab_ref core_keep_bytes(struct core *core, struct flyover_bytes bytes);
struct flyover_bytes core_payload(const struct core *core, slab_ref ref);
/* {"Error", "Cause"} of the saga, count 0 if it has not failed. */
struct flyover_bytes core_error_of(const struct core *core, const struct saga *saga);

#endif
