/*
 * core_copy: the core as it stands after one block, to be held against what a replay of the durable
 * blocks makes of it, later, when that block is durable. It is taken and compared as it lies in
 * memory, which is cheap enough for every block: slots in use and free ones, lists, references of
 * payloads, totals. What the payloads hold is left to core_digest, and to the ledger, which sees
 * each input that a handler is given.
 *
 * Memory: one allocation, kept over copies; freed by core_copy_fini.
 */
#ifndef TESTS_SIM_CORE_COPY_H
#define TESTS_SIM_CORE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/saga/core.h"

struct core_copy {
    uint64_t block_no; /* after which it stands; 0: of none */
    uint8_t *bytes;
    size_t capacity;
};

void core_copy_take(struct core_copy *copy, const struct core *core, uint64_t block_no);
/* `core` is a replay's: nobody waits for its sagas. */
bool core_copy_is_like(const struct core_copy *copy, const struct core *core);
void core_copy_fini(struct core_copy *copy);

#endif
