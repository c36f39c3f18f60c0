/*
 * admin: what an operator or a client asks of an engine, as one JSON object in and one out. The
 * same for a running engine (control.h) and for a data directory that no engine runs on.
 *
 *   {"do": "start", "definition": "order", ["version": 2,] ["input": ...,] ["name": "A-17",]
 *    ["at_ms": 1767225600000,] ["deadline_ms": 1767229200000,] ["trace": "00-...",]
 *    ["priority": "low" | "normal" | "high"]}        -> {"saga": 1, "existed": false}
 *   {"do": "cancel", SAGA, ["abort": true,] ["reason": "..."]}             -> {"saga": 1}
 *   {"do": "signal", SAGA, "signal": "approved", ["payload": ...]}         -> {"saga": 1}
 *   {"do": "answer", "token": "...", "output": ... | "error": "...", ["cause": "..."]}
 *   {"do": "heartbeat", "token": "..."}
 *   {"do": "retry" | "skip" | "resolve", SAGA, "reason": "...", ["output": ...]}
 *   {"do": "redrive", "event": "..."}                -> {"saga": 2}   an EVENT_REDRIVE in
 * hexadecimal
 *   {"do": "list", ["state", "definition", "version", "error", "name", "started_from_ms",
 *    "started_before_ms", "before", "limit"]}        -> {"sagas": [...], ["before": ID]}
 *   {"do": "show", SAGA} {"do": "counts"} {"do": "definitions"} {"do": "definition", "plan": 0}
 *   {"do": "figures"}                                -> what figures.h has
 *
 * SAGA is "saga": ID or "name": NAME. A refusal is {"error": STATUS, "message": sentence}; a field
 * that is not known is refused, so that one that is misspelt does nothing else instead. `list`
 * tells live sagas, the newest first; "before" goes on where a page ended.
 *
 * Threads: the engine's. Memory: a list keeps ADMIN_LIMIT_MAX sagas at most.
 */
#ifndef ENGINE_ADMIN_ADMIN_H
#define ENGINE_ADMIN_ADMIN_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/partition/partition.h"

#define ADMIN_LIMIT_DEFAULT 50u
#define ADMIN_LIMIT_MAX     1000u
/* Slots looked at in one turn: about 3 ms when each of them is two cache misses. */
#define ADMIN_SLOTS_A_TURN 16384u

/* Where a saga stands, for people. */
enum admin_state {
    ADMIN_RUNNING,
    ADMIN_SLEEPING,
    ADMIN_AWAITING, /* a signal, or an answer by token */
    ADMIN_COMPENSATING,
    ADMIN_STUCK,
    ADMIN_ENDING, /* its outcome stands; fire-and-forget steps are still at work */
    ADMIN_STATES_COUNT
};
const char *admin_state_text(enum admin_state state);

struct admin_scan;

struct admin_job {
    json_t *request;         /* owned */
    json_t *reply;           /* owned; NULL: not yet */
    uint64_t block_no;       /* the reply is true when it is durable; 0: at once */
    struct admin_scan *scan; /* owned; of a look that takes several turns */
};

/* Takes the request. */
void admin_begin(struct admin_job *job, json_t *request);
/* A turn's worth of it; true when the reply may be sent. *ret_worked: there is more to do at once,
 * else it waits for the journal. */
bool admin_turn(struct admin_job *job, struct partition *partition, bool *ret_worked);
/* The reply of a job that is finished, owned by the caller from now on. Frees the rest; also of one
 * that is given up, and then returns NULL. */
json_t *admin_end(struct admin_job *job);

/* {"error": ..., "message": ...}; returns owned. */
json_t *admin_refusal(const struct problem *problem);

/* A refusal is a reply that says so: then its status, with its sentence. Takes the reply; else it
 * is *ret_reply. *ret_refused: it is about the question, and not that the engine stops. */
NODISCARD enum status admin_check_reply(json_t *reply, json_t **ret_reply, bool *ret_refused,
                                        struct problem *problem);

/* ---- between admin*.c and figures.c ---------------------------------------------------------- */

enum admin_state admin_state_of(const struct core *core, const struct core_saga_view *saga);

enum status admin_read_saga(const json_t *request, const struct partition *partition,
                            uint64_t *ret_saga_id, struct problem *problem);
/* A member that is text; *ret_text stays as it is where there is none. */
NODISCARD enum status admin_read_text(const json_t *request, const char *key,
                                      struct flyover_bytes *ret_text, struct problem *problem);
NODISCARD enum status admin_read_integer(const json_t *request, const char *key, int64_t min,
                                         int64_t max, int64_t *ret_value, struct problem *problem);
/* The plan that "definition" and "version" name. */
NODISCARD enum status admin_read_plan(const json_t *request, const struct partition *partition,
                                      uint32_t *ret_plan, struct problem *problem);

/* Each makes job->reply, or says why not; a scan that is to go on leaves it NULL. */
NODISCARD enum status admin_list(struct admin_job *job, struct partition *partition,
                                 struct problem *problem);
NODISCARD enum status admin_counts(struct admin_job *job, struct partition *partition,
                                   struct problem *problem);
NODISCARD enum status admin_figures(struct admin_job *job, struct partition *partition,
                                    struct problem *problem);
NODISCARD enum status admin_show(struct admin_job *job, struct partition *partition,
                                 struct problem *problem);
NODISCARD enum status admin_definitions(struct admin_job *job, struct partition *partition,
                                        struct problem *problem);
NODISCARD enum status admin_definition(struct admin_job *job, struct partition *partition,
                                       struct problem *problem);

#endif
