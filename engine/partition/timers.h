/*
 * timers: which branch to wake next. A hierarchical timing wheel with one node a key, in the
 * engine's memory; no part of the journalled state, since every due time stands in the core.
 *
 * Setting, moving and clearing take constant time. A timer that is far off moves to a finer level
 * at most TIMERS_LEVELS - 1 times before it is due, whatever the clock does: a jump over days or
 * years costs no more than a millisecond. Timers of one millisecond, and those that were set when
 * they were due already, are sorted as they get ready, n log n compares for n at once.
 *
 * Threads: one owner.
 * Memory:  address space for keys_max x 16 bytes at init, touched only where a key is used, and
 *          about 20 KB inside the struct; nothing is taken later. Lists go through the nodes, so
 *          the number of timers has no other limit.
 * Limits:  due_ms and now_ms below TIMERS_MS_MAX; a key below keys_max. Beyond is a bug.
 * Source:  Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7, with the
 *          level taken from the highest bit in which the due time differs from the wheel's.
 */
#ifndef ENGINE_PARTITION_TIMERS_H
#define ENGINE_PARTITION_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define TIMERS_KEYS_MAX   (1u << 31)
#define TIMERS_MS_MAX     (INT64_C(1) << 53)
#define TIMERS_LEVEL_BITS 6u
#define TIMERS_SLOTS      (1u << TIMERS_LEVEL_BITS)
#define TIMERS_LEVELS     9u /* 54 bits */
/* A slot has several lists, so that they can be walked abreast: in many timers each node is a
 * cache miss, and one list would wait for one at a time. */
#define TIMERS_LANES 8u
#define TIMERS_RUNS  32u
#define TIMERS_LISTS (TIMERS_RUNS + TIMERS_LEVELS * TIMERS_SLOTS * TIMERS_LANES)

/* A link is 0 for none, key + 1, or in `prev` of the first of a list, what says which list. */
struct timer_node {
    int64_t due_ms;
    uint32_t next;
    uint32_t prev; /* 0: the key has no timer */
};

/* To be looked at by timers.c and its test only. */
struct timers {
    struct timer_node *nodes; /* by key */
    uint32_t keys_max;
    uint32_t count;
    int64_t now_ms;                   /* of the last pop */
    int64_t wheel_ms;                 /* how far the wheel has turned: up to now_ms */
    uint64_t occupied[TIMERS_LEVELS]; /* a bit a slot */
    uint32_t ready;                   /* a bit a run */
    uint32_t lists[TIMERS_LISTS];     /* link to the first; the runs, then the slots' lanes */
};

/* Address space for keys_max nodes. The wheel stands at time 0: where many are set at start, a pop
 * before the first set turns it to the present, so that they go at once where they belong.
 * STATUS_INVALID when keys_max is 0 or above TIMERS_KEYS_MAX, STATUS_NO_MEMORY. */
NODISCARD enum status timers_init(struct timers *timers, uint32_t keys_max);
/* Accepts a struct of zeros. */
void timers_fini(struct timers *timers);

/* Makes the timer of `key` fire at due_ms, at the next pop where that is in the past. A key has at
 * most one timer: if it has one that is due earlier or at the same time, that one stays (it is
 * asked about when it fires: firing early is the caller's to check, and it sets it again), so that
 * setting again on a hot path is one compare on one 16-byte node. A later one is moved to due_ms.
 * May be called between pops of the same now_ms. */
void timers_set(struct timers *timers, uint32_t key, int64_t due_ms);
/* Removes the timer of the key, if it has one. */
void timers_clear(struct timers *timers, uint32_t key);

/* The earliest time at which something may be due; INT64_MAX when there is no timer. Exact for what
 * is due already or within the finest level (up to 64 ms ahead), else a bound that is never later
 * than the true time and later than now_ms of the last pop that found nothing. For deciding how
 * long to sleep: a pop at that time makes progress, and after at most TIMERS_LEVELS of them the
 * timer fires. */
int64_t timers_next_ms(const struct timers *timers);
/* Takes out the next timer with due_ms <= now_ms; false when there is none. Order: by due_ms, and
 * ties by key, so that equal times fire in one order everywhere. now_ms starts at 0 and never goes
 * back. */
bool timers_pop(struct timers *timers, int64_t now_ms, uint32_t *ret_key);
uint32_t timers_count(const struct timers *timers);

#endif
