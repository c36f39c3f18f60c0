/*
 * timers: which branch to wake next. A binary heap over (due, branch), in the engine's memory; no
 * part of the journalled state, since every due time stands in the core.
 *
 * Threads: one owner. Memory: capacity x 16 bytes at open; a branch has at most one timer.
 */
#ifndef ENGINE_PARTITION_TIMERS_H
#define ENGINE_PARTITION_TIMERS_H

#include <stdint.h>

#include "engine/base/status.h"

struct timer {
    int64_t due_ms;
    uint32_t branch;
    uint32_t generation;
};

struct timers {
    struct timer *heap;
    uint32_t count;
    uint32_t capacity;
};

NODISCARD enum status timers_init(struct timers *timers, uint32_t capacity);
void timers_fini(struct timers *timers);
/* There is room. */
void timers_add(struct timers *timers, struct timer timer);
/* NULL when there is none; lent until the next call. */
const struct timer *timers_first(const struct timers *timers);
void timers_remove_first(struct timers *timers);

#endif
