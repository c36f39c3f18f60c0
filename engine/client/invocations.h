/*
 * invocations: what a worker was handed and has not answered. The caller's number is a slot and
 * how often it was used, so that an answer to one from before a cut, or a second one, is known for
 * what it is, whatever numbers the engine gives.
 *
 * Threads: the client's. Memory: 16 bytes a slot, as many as were ever open at a time.
 */
#ifndef ENGINE_CLIENT_INVOCATIONS_H
#define ENGINE_CLIENT_INVOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

struct invocation_slot {
    uint64_t engine_id;
    uint32_t generation; /* odd: in use */
    uint32_t next_free;
};

struct invocations {
    struct invocation_slot *slots;
    uint32_t capacity, used_count, open_count;
    uint32_t free_first; /* slot + 1; 0: none */
};

/* False: no memory. */
bool invocations_add(struct invocations *invocations, uint64_t engine_id, uint64_t *ret_id);
/* False: not open. */
bool invocations_find(const struct invocations *invocations, uint64_t id, uint64_t *ret_engine_id);
void invocations_remove(struct invocations *invocations, uint64_t id);
/* All of them are over. */
void invocations_clear(struct invocations *invocations);
void invocations_fini(struct invocations *invocations);

#endif
