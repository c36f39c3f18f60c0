/*
 * core: the saga engine as a pure function. core_apply(state, now, event) changes the state and
 * appends effects; it reads no clock, does no I/O, takes no memory, and has no pointer in what it
 * would call its state. The same events give the same state, bit for bit: core_digest proves it.
 *
 * The happy path, told once (every move is a row of transition.h):
 *
 *   START   takes a saga slot and its root branch, and walks: Pass and Choice states are passed
 *           through at once, a Task ends the walk with an INVOKE effect. The branch waits.
 *   RESULT  completes the step: its output goes where ResultPath says, a compensable step is
 *           remembered with its input and output, and the branch walks on. A fire-and-forget Task
 *           forks a detached branch and the walk goes on at once.
 *   ...     until End or Succeed: a REPLY effect; the slot is free when the last branch has ended.
 *
 * And when it fails: an ERROR is tried again (TIMER effect), or caught, or it fails the saga: then
 * the completed steps are compensated, last first, one at a time or several, each with its own
 * retries; a compensation that is exhausted parks the saga as STUCK, and so does a step past the
 * pivot, behind which nothing is compensated. A step that is out of time has the error
 * States.Timeout.
 *
 * Time: `now` comes with the block. A branch has at most one moment that it waits for: the end of a
 * pause or of a Wait, or the deadline of its attempt (core_due_ms); a saga has its own deadline
 * (core_deadline_ms). Whoever drives the core sends TIMER events when they are due, not before.
 *
 * From outside: SIGNAL, HEARTBEAT, CANCEL, MEND and REDRIVE events, and RESULT and ERROR by token.
 * core_check_* (engine/saga/core_check.c) says beforehand whether one would do anything, and why
 * not; one that does not fit the state changes nothing. A saga that is cancelled, or out of time,
 * while a handler works on a step of it waits for that answer: what was done has to be known before
 * it can be undone.
 *
 * Shape: a saga is a small tree of branches, so that Parallel and Map are more branches and not
 * another machine. Slots are numbered; a branch's generation grows with every invocation, so that
 * a late or doubled result (slot, generation) matches nothing.
 *
 * Threads: one owner. Payload bytes lent by core_invocation stay put until the event that answers
 * it has been applied, so a service's thread may read them in place.
 * Memory:  all at open, by the limits. Limits are part of the journal (EVENT_LIMITS): with others,
 * a replay could decide otherwise.
 */
#ifndef ENGINE_SAGA_CORE_H
#define ENGINE_SAGA_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/image.h"
#include "engine/base/slab.h"
#include "engine/base/status.h"
#include "engine/base/tally.h"
#include "engine/saga/effect.h"
#include "engine/saga/event.h"
#include "engine/saga/plan.h"

#define CORE_SAGAS_MAX   (1u << 24)
#define CORE_PLANS_MAX   1024u
#define CORE_SOURCES_MAX 4096u
#define CORE_ERRORS_MAX  128u   /* distinct error names counted; the rest count as "other" */
#define CORE_WALK_MAX    1000u  /* Pass and Choice states passed through in one event */
#define CORE_STEPS_MAX   25000u /* steps of one saga, as many as AWS gives events */
#define CORE_SIGNALS_MAX 16u    /* signals kept for a saga that does not wait for them yet */
/* An event of a saga after more than so many blocks without one noted is noted again. */
#define CORE_NOTED_BLOCKS 64u
#define CORE_NO_SAGA      UINT32_MAX

struct core;

struct core_limits {
    uint32_t sagas_max;
    uint64_t payload_bytes_max; /* at least 16 MiB */
    uint64_t seed;              /* of jitter and tokens */
    uint32_t names_max;         /* names kept at once; 0: no saga can have one */
    uint64_t name_retention_ms; /* a name is kept so long, and while its saga runs */
};

/* When an event happens. */
struct core_moment {
    int64_t now_ms;
    uint64_t block_no;
};

/* Figures over the whole life of the data directory. */
struct core_totals {
    uint64_t started;
    uint64_t succeeded;
    uint64_t compensated;
    uint64_t failed;
    uint64_t stuck;           /* parked now */
    uint64_t ended;           /* slots given back: root and detached branches all ended */
    uint64_t steps;           /* results applied that finished a step or a compensation */
    uint64_t steps_ended;     /* the same, of sagas that ended */
    uint64_t detached_failed; /* fire-and-forget steps given up */
    uint64_t retries;
    uint64_t aborted;
    uint64_t timeouts; /* attempts, and sagas, that were out of time */
    uint64_t signals;
    uint64_t mended; /* by hand, from being stuck */
};

/* How many sagas ended or parked because of an error of this name. */
struct core_error {
    char name[FLYOVER_ERROR_NAME_BYTES_MAX + 1];
    uint64_t count;
};

/* A file (or stream) of orders, known by its content: how far it was taken in. */
struct core_source {
    uint64_t first_hash; /* of its first order */
    uint64_t chain_hash; /* of all orders started from it, in order */
    uint64_t count;
};

/* What a service needs to run the step that a branch waits for. */
struct core_invocation {
    uint64_t saga_id;
    uint32_t step_no;
    uint32_t attempt_no; /* 1: the first try */
    int64_t deadline_ms; /* 0: none */
    enum flyover_phase phase;
    uint32_t plan;
    uint16_t state; /* in the plan's list, as the resource is */
    uint16_t resource;
    struct flyover_bytes input;  /* lent, see above */
    struct flyover_bytes output; /* of the step to compensate; count 0: nil */
    slab_ref trace;              /* from core_payloads on; SLAB_NONE: none */
};

/* For people: where a branch stands. */
struct core_branch_view {
    uint64_t saga_id;
    uint32_t plan;
    enum phase phase;
    const char *state;
    uint32_t step_no;
    uint32_t attempt_no;
    int64_t due_ms; /* of what it waits for; 0: nothing */
    int64_t started_ms;
    enum outcome outcome; /* of the saga */
    bool compensating;    /* the saga is */
    bool cancelled;       /* the saga was, or is out of time */
};

/* The same of a saga as a whole. */
struct core_saga_view {
    uint64_t saga_id;
    uint32_t plan;
    uint32_t branch;  /* the one that carries it on, or the oldest that is left of it */
    uint32_t step_no; /* of the step begun last */
    uint32_t steps_done;
    int64_t started_ms;
    int64_t deadline_ms; /* 0: none */
    enum outcome outcome;
    bool compensating;
    bool cancelled; /* or out of time */
    bool pivoted;   /* past its pivot */
};

/* What history is told, as it happens; a replay tells the same. */
enum core_note_kind { CORE_NOTE_STARTED, CORE_NOTE_BRANCH, CORE_NOTE_TOUCHED, CORE_NOTE_ENDED };

struct core_note {
    enum core_note_kind kind;
    uint64_t saga_id;
    uint32_t branch;           /* STARTED: its first; BRANCH: a further one */
    uint32_t plan;             /* STARTED, ENDED */
    struct flyover_bytes name; /* STARTED; count 0: none */
    uint64_t redrive_of;       /* STARTED; 0: none */
    enum outcome outcome;      /* ENDED */
    uint8_t error;             /* ENDED: index in core_errors; CORE_NO_ERROR: none */
    int64_t started_ms;        /* ENDED */
    uint32_t steps;            /* ENDED */
};
#define CORE_NO_ERROR UINT8_MAX
typedef void (*core_on_note)(void *context, const struct core_note *note);

/* What can be told of a saga when it ends or gets stuck, before its slot is given back. Its REPLY
 * is the next effect. The bytes are lent for the call. */
struct core_end {
    uint64_t token;
    uint32_t plan;
    struct flyover_bytes output; /* of one that has succeeded; count 0: nil */
    struct flyover_bytes error;  /* {"Error", "Cause"}; count 0: none */
};
typedef void (*core_on_end)(void *context, const struct core_end *end);

/* Returns owned. STATUS_INVALID, STATUS_NO_MEMORY. */
NODISCARD enum status core_open(const struct core_limits *limits, struct core **ret_core);
/* Accepts NULL. */
void core_close(struct core *core);

/* Takes the plan; returns its index, which START events name. At most CORE_PLANS_MAX (asserted). */
uint32_t core_add_plan(struct core *core, struct plan *plan);
uint32_t core_plans_count(const struct core *core);
const struct plan *core_plan(const struct core *core, uint32_t index);

/* Whom to tell; NULL: nobody. No part of the state. */
void core_set_on_note(struct core *core, core_on_note on_note, void *context);
void core_set_on_end(struct core *core, core_on_end on_end, void *context);
/* How long sagas took to end, or to get stuck, by the times of their blocks; borrowed. NULL: it is
 * not kept. No part of the state. */
void core_set_durations(struct core *core, struct tally *durations_ms);
/* Adds bits to the token of the saga in this slot. */
void core_mark_token(struct core *core, uint32_t slot, uint64_t bits);
/* Another retention of names; the rest stays as at open. */
void core_set_name_retention(struct core *core, uint64_t retention_ms);

/* The next saga that starts gets this id, and no earlier one did. Only for a core that is opened to
 * tell the life of one saga by itself. */
void core_begin_at(struct core *core, uint64_t saga_id);

/* Admission: false while a start of this plan would not find all the room it may need. */
bool core_can_start(const struct core *core, uint32_t plan, const struct effect_queue *effects);
/* Of the slots, the branches or the payload that starts may have, half is taken. */
bool core_is_half_full(const struct core *core);
/* Room for what comes from outside beside starts and results. */
bool core_can_take(const struct effect_queue *effects);

/* Applies one event, but for LIMITS, SERVICE and DEFINITION. What nothing waits for changes
 * nothing. START, REDRIVE: *ret_saga_id (may be NULL) gets the new id; `token` comes back in the
 * REPLY effect and is no part of the state.
 * STATUS_INVALID: the event does not fit the state (a journal of another build, or damage that a
 * checksum cannot see). */
NODISCARD enum status core_apply(struct core *core, const struct core_moment *moment,
                                 const struct event *event, uint64_t token,
                                 struct effect_queue *effects, uint64_t *ret_saga_id);

/* ---- before an event from outside: would it do anything? STATUS_OK, or why not, with a sentence:
 *      NOT_FOUND (no such saga, or it has ended), INVALID (it does not fit), EXISTS (done already),
 *      BUSY (no room now) ------------------------------------------------------------------------
 */
NODISCARD enum status core_check_cancel(const struct core *core, uint64_t saga_id, bool abort,
                                        struct problem *problem);
/* A skip ends also the waiting of a saga that sleeps, in a Wait state or before it begins. */
NODISCARD enum status core_check_mend(const struct core *core, uint64_t saga_id,
                                      enum mend_action action, bool has_output,
                                      struct problem *problem);
NODISCARD enum status core_check_signal(const struct core *core, uint64_t saga_id,
                                        struct flyover_bytes name, struct problem *problem);
/* Whether a saga may be started under this name now. STATUS_OK: it may; STATUS_EXISTS: it was, with
 * the same input, and *ret_saga_id is that saga; INVALID: with another input, or it is no name;
 * BUSY: all the names there is room for are kept. */
NODISCARD enum status core_check_name(const struct core *core, struct flyover_bytes name,
                                      struct flyover_bytes input, int64_t now_ms,
                                      uint64_t *ret_saga_id, struct problem *problem);
/* Whether this saga may be redriven now. STATUS_OK: it may; STATUS_EXISTS: it was, as the saga
 * *ret_saga_id; BUSY: as of core_check_name, since it takes the place of a name. Without names it
 * is not known. */
NODISCARD enum status core_check_redrive(const struct core *core, uint64_t saga_id, int64_t now_ms,
                                         uint64_t *ret_saga_id, struct problem *problem);
/* The saga that was started under this name, 0 for none that is still kept. */
uint64_t core_find_name(const struct core *core, struct flyover_bytes name, int64_t now_ms);
/* The branch that waits for an answer by this token (flyover_call_token). */
NODISCARD enum status core_check_token(const struct core *core, const char *token,
                                       uint32_t *ret_branch, struct problem *problem);
/* The token, which core_check_token does not find, is of an attempt whose handler has not come back
 * yet: somebody was quicker to end the step than it was to say that it has begun. */
bool core_is_token_early(const struct core *core, const char *token);
/* The token of an attempt: "SAGA-STEP-ATTEMPT-CHECK", terminated. */
#define CORE_TOKEN_BYTES 64u
void core_make_token(uint64_t seed, uint64_t saga_id, uint32_t step_no, uint32_t attempt_no,
                     char ret_token[CORE_TOKEN_BYTES]);
/* The slot of a saga that has not ended, or CORE_NO_SAGA. */
uint32_t core_find_saga(const struct core *core, uint64_t saga_id);
/* The branch slots of the saga in `slot`, newest first: *at is CORE_NO_SAGA for the first, and is
 * moved on; false after the last. */
bool core_next_branch(const struct core *core, uint32_t slot, uint32_t *at);

/* True while the branch waits for the answer to its invocation of this generation. */
bool core_expects(const struct core *core, uint32_t branch, uint32_t generation);
/* True while a handler is to work, or works, on a step of the branch. */
bool core_is_invoked(const struct core *core, uint32_t branch);
/* Whether the plan has a use for the output of the step that the branch waits for. */
bool core_needs_output(const struct core *core, uint32_t branch);
/* The trace of the branch's saga, TRACE_BYTES; count 0: none. Lent as long as the saga is there. */
struct flyover_bytes core_trace(const struct core *core, uint32_t branch);
/* For slab_bytes_in, by a thread that was given the slab_ref of a payload. */
const uint8_t *core_payloads(const struct core *core);
/* Whether the answer of the handler only begins the step, and its token ends it. */
bool core_ends_by_token(const struct core *core, uint32_t branch);
/* HeartbeatSeconds of the step that a handler works on; 0: it has none. */
uint64_t core_heartbeat_ms(const struct core *core, uint32_t branch);
/* Whether the time of its heartbeats runs: from the first one on, of a handler; of a step that
 * waits for its token, from the beginning. */
bool core_beats(const struct core *core, uint32_t branch);
/* Of a branch that core_expects. */
void core_invocation(const struct core *core, uint32_t branch, struct core_invocation *ret_call);
/* Milliseconds since 1970 when a TIMER event of this branch is due; -1: it waits for none. */
int64_t core_due_ms(const struct core *core, uint32_t branch);
/* The same for the saga in this slot; -1: it has none. */
int64_t core_deadline_ms(const struct core *core, uint32_t slot);
/* Hints for a batch: the branch first, and a few events later, when it has come, what it points
 * to. */
void core_prefetch_branch(const struct core *core, uint32_t branch);
void core_prefetch_saga(const struct core *core, uint32_t branch);

/* After a replay, with an empty queue: appends an INVOKE effect for every branch that rests on one,
 * in the order the sagas were started, which is the order they would have gone in. Whoever keeps
 * the timers asks for core_due_ms of every branch and core_deadline_ms of every saga. */
void core_resume(const struct core *core, struct effect_queue *effects);

/* False for a branch that is not in use. */
bool core_view_branch(const struct core *core, uint32_t branch, struct core_branch_view *ret_view);
/* The input of the state that the branch is in; count 0: none. Lent until the next event. */
struct flyover_bytes core_branch_payload(const struct core *core, uint32_t branch);
/* False for a slot without a saga. */
bool core_view_saga(const struct core *core, uint32_t slot, struct core_saga_view *ret_view);
/* The steps of the saga that are done and could be compensated, the last one first: *at as for
 * core_next_branch. Bytes lent until the next event. */
bool core_next_completed(const struct core *core, uint32_t slot, uint32_t *at,
                         struct event_step *ret_step);
/* Number of branch slots ever used: the bound for walks over all of them. */
uint32_t core_branches_count(const struct core *core);
/* {"Error", "Cause"} of the saga that the branch belongs to, count 0 if it has not failed. */
struct flyover_bytes core_saga_error(const struct core *core, uint32_t branch);

struct core_totals core_totals(const struct core *core);
uint64_t core_totals_ended(const struct core *core);
/* How often a saga has ended or got stuck. */
uint64_t core_totals_decided(const struct core *core);
/* Number of names, most in core_errors[0 .. n-1]. */
uint32_t core_errors(const struct core *core, const struct core_error **ret_errors);
uint32_t core_sources(const struct core *core, const struct core_source **ret_sources);
/* The index that the next SOURCE event will open: the oldest one's, when all are taken. */
uint32_t core_next_source(const struct core *core);
/* Sagas that have a slot now: all, or of one plan. */
uint32_t core_sagas_live(const struct core *core);
uint32_t core_plan_live(const struct core *core, uint32_t plan);
/* Number of saga slots ever used: the bound for walks over all of them. */
uint32_t core_sagas_count(const struct core *core);
uint64_t core_saga_id_last(const struct core *core);
struct core_limits core_limits(const struct core *core);
uint32_t core_branches_max(const struct core *core);
/* What is taken of what there is. */
struct core_room {
    uint64_t payload_bytes, payload_bytes_max;
    uint32_t branches, branches_max;
    uint32_t names, names_max;
};
struct core_room core_room(const struct core *core);

/* The whole state but the plans, for a checkpoint; read back, it goes on as if nothing had been.
 * Returns owned, to be given its plans again by core_add_plan, in the same order.
 * STATUS_NO_MEMORY; what is wrong with the image stands in the image. */
void core_write_image(const struct core *core, struct image *image);
NODISCARD enum status core_read_image(struct image *image, struct core **ret_core);

/* 128 bits over all that the state means (not over where it happens to lie). */
struct core_digest {
    uint64_t high, low;
};
struct core_digest core_digest(const struct core *core);

#endif
