/*
 * life: the whole life of one saga, from the journal. The index beside it (engine/history) says in
 * which blocks the saga's events lie and which branches it had; those blocks alone are read, and a
 * core of its own, with this one saga in it, is driven with the saga's events. So it takes time by
 * what the saga did and not by how long the journal is.
 *
 * Branches are numbered as that core numbers them: the events' numbers are translated by the order
 * in which the saga got its branches. Of timeouts of whole sagas in the journal, which name a slot
 * that is not known here, the first one after the saga's deadline is taken for its own.
 *
 * Where the index does not know the saga the whole journal is replayed, if it is all there and the
 * asker allows it.
 *
 * Threads: the caller's. Reads only, also beside a running engine.
 * Memory:  of a core of LIFE_SAGAS_MAX, as far as it is touched, and of the index's reader.
 */
#ifndef ENGINE_ADMIN_LIFE_H
#define ENGINE_ADMIN_LIFE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/admin/asker.h"
#include "engine/partition/partition_state.h"

/* Room for the steps and branches of the largest saga. */
#define LIFE_SAGAS_MAX 4096u

struct life;

/* Reads the saga's events in order and calls on_event before and after each. The state is that of
 * the core of its own, whose only plan is the saga's, as number 0; *ret_plan is the number that it
 * has elsewhere, known before the first event.
 * STATUS_NOT_FOUND  the index does not know where the saga began
 * STATUS_LOST       blocks that it began in are not kept any more; the sentence says which
 * and what asker_ask, history_find and journal_open say. */
NODISCARD enum status life_walk(const struct asker *asker, uint64_t saga_id,
                                partition_on_event on_event, void *context, uint32_t *ret_plan,
                                struct problem *problem);

/* Tells it as lines to `out`, or with NULL as an object to *ret_json, the caller's. Of a saga whose
 * blocks are gone, what the index says. STATUS_NOT_FOUND, and as above. */
NODISCARD enum status life_tell(const struct asker *asker, uint64_t saga_id, FILE *out,
                                json_t **ret_json, struct problem *problem);
/* The same by a replay of the whole journal. */
NODISCARD enum status life_tell_by_replay(const char *directory, uint64_t saga_id, FILE *out,
                                          json_t **ret_json, struct problem *problem);

#endif
