/*
 * partition_state: everything that the journal determines: the saga core, the definitions, the
 * services' tables. The engine changes it as it writes the journal, recovery and `flyover replay`
 * change it as they read it, and both come to the same digest.
 *
 * Threads: one owner; the tables are lent to the services' workers while the engine runs.
 */
#ifndef ENGINE_PARTITION_PARTITION_STATE_H
#define ENGINE_PARTITION_PARTITION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/saga/core.h"
#include "engine/service/tables.h"
#include "storage/block.h"

#define PARTITION_SERVICES_MAX 64u
#define PARTITION_NO_PLAN      UINT32_MAX

struct partition_service {
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    struct tables *tables;
};

/* The text that a plan was made from: a checkpoint has to keep it. */
struct partition_definition {
    uint64_t hash;           /* over name and text */
    uint32_t version;        /* of those of this name, from 1 */
    uint32_t before;         /* the version before; PARTITION_NO_PLAN: none */
    struct core_moment made; /* block_no 0: not known, by a checkpoint of before */
    char *text;
    size_t text_bytes;
};

struct partition_state {
    struct core *core; /* NULL until EVENT_LIMITS */
    uint32_t services_count;
    struct partition_service services[PARTITION_SERVICES_MAX];
    struct partition_definition *definitions; /* plans_count */
    uint32_t names_count;                     /* of definitions; versions of one count once */
    uint8_t **routes;                         /* plans_count: resource -> index in `services` */
    struct effect_queue effects;
};

/* Takes a core that was read from a checkpoint, without plans: the definitions are applied next. */
NODISCARD enum status partition_state_take_core(struct partition_state *state, struct core *core);

/* Who applies: the engine, whose workers have made the writes already, or a replay. */
enum apply_by { APPLY_LIVE, APPLY_REPLAY };

NODISCARD enum status partition_state_open(struct partition_state **ret_state);
/* Accepts NULL. */
void partition_state_close(struct partition_state *state);

/* Applies one event; its effects are appended to state->effects.
 * STATUS_CORRUPT, STATUS_NO_MEMORY, or what the definition's compiler says: the journal does not
 * fit the state, and the sentence says how. */
NODISCARD enum status partition_state_apply(struct partition_state *state,
                                            const struct core_moment *moment,
                                            const struct event *event, uint64_t token,
                                            enum apply_by by, uint64_t *ret_saga_id,
                                            struct problem *problem);

enum partition_moment { PARTITION_BEFORE_EVENT, PARTITION_AFTER_EVENT };

/* Called for each event of a replay, before it is applied and after: then what it asked for is in
 * state->effects. The event is lent for the call. */
typedef void (*partition_on_event)(void *context, enum partition_moment moment,
                                   const struct block_header *header,
                                   const struct partition_state *state, const struct event *event);

/* Applies all records of a block, as a replay; effects are thrown away. */
NODISCARD enum status partition_state_replay(struct partition_state *state,
                                             const struct block_header *header, const uint8_t *body,
                                             partition_on_event on_event, void *context,
                                             struct problem *problem);

/* The newest plan of that name, or PARTITION_NO_PLAN. */
uint32_t partition_state_find_plan(const struct partition_state *state, const char *name);
/* The plan of that name and version, or PARTITION_NO_PLAN. */
uint32_t partition_state_find_version(const struct partition_state *state, const char *name,
                                      uint32_t version);
/* The plan made from exactly this text under this name, or PARTITION_NO_PLAN. */
uint32_t partition_state_find_definition(const struct partition_state *state, const char *name,
                                         const char *text, size_t text_bytes);
/* Sagas of all versions of this plan's definition that have not ended. */
uint32_t partition_state_definition_live(const struct partition_state *state, uint32_t plan);
/* Index in `services`, or PARTITION_SERVICES_MAX. */
uint32_t partition_state_find_service(const struct partition_state *state, const char *name);

/* 32 hexadecimal digits over core and tables, terminated. Nothing may be running. */
#define PARTITION_DIGEST_BYTES 33u
void partition_state_digest(const struct partition_state *state,
                            char ret_digest[PARTITION_DIGEST_BYTES]);

#endif
