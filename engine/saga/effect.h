/*
 * effect: what the core asks for because of an event. A first-in, first-out queue in the memory of
 * one thread: the core appends, the partition takes an effect out when the block of its event is
 * durable. An effect is a small value; what it is about is read from the core when it leaves.
 */
#ifndef ENGINE_SAGA_EFFECT_H
#define ENGINE_SAGA_EFFECT_H

#include <assert.h>
#include <stdint.h>

#include "engine/saga/transition.h"

enum outcome {
    OUTCOME_RUNNING,
    OUTCOME_SUCCEEDED,
    OUTCOME_FAILED,      /* nothing to undo */
    OUTCOME_COMPENSATED, /* what was done is undone */
    OUTCOME_STUCK,       /* a compensation, or a step past the pivot, is exhausted: an operator
                            must look */
    OUTCOME_ABORTED,     /* cancelled without compensation */
};

const char *outcome_text(enum outcome outcome);

struct effect {
    uint8_t kind;        /* enum effect_kind */
    uint8_t outcome;     /* REPLY */
    uint32_t saga;       /* slot */
    uint32_t branch;     /* slot; INVOKE, TIMER */
    uint32_t generation; /* of the branch: an effect of an older one is void */
    uint64_t id;         /* of the saga */
    uint64_t token;      /* REPLY: the client's own word for the saga, not the core's business */
};

/* It goes round in as little memory as what waits at the same time has needed so far. */
struct effect_queue {
    struct effect *items; /* room for capacity_max, a power of two; used are the first `capacity` */
    uint32_t capacity;    /* a power of two */
    uint32_t capacity_max; /* 0: it stays as it is */
    uint64_t head;         /* the next to leave */
    uint64_t tail;
};

static inline uint32_t effect_queue_count(const struct effect_queue *queue)
{
    return (uint32_t)(queue->tail - queue->head);
}

static inline const struct effect *effect_at(const struct effect_queue *queue, uint64_t position)
{
    return &queue->items[position & (queue->capacity - 1)];
}

static inline uint32_t effect_queue_capacity_max(const struct effect_queue *queue)
{
    return queue->capacity_max == 0 ? queue->capacity : queue->capacity_max;
}

/* Twice the places: those whose number has the new bit move up. */
static inline void effect_queue_grow(struct effect_queue *queue)
{
    uint32_t capacity = queue->capacity;
    assert(capacity < queue->capacity_max);
    for (uint64_t at = queue->head; at != queue->tail; at++)
        if (at & capacity)
            queue->items[(at & (capacity - 1)) + capacity] = queue->items[at & (capacity - 1)];
    queue->capacity = 2 * capacity;
}

/* There is room: admission has seen to it. */
static inline struct effect *effect_queue_push(struct effect_queue *queue)
{
    if (queue->tail - queue->head == queue->capacity)
        effect_queue_grow(queue);
    return &queue->items[queue->tail++ & (queue->capacity - 1)];
}

#endif
