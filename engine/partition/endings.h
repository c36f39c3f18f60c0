/*
 * endings: what is told of a saga's end beside its outcome, kept from the moment of the end, when
 * the saga still has it, until its reply is handed out. First in, first out, as the REPLY effects
 * that they belong to.
 *
 *     the end of a saga   endings_add       with the place its REPLY has in the queue of effects
 *     its REPLY leaves    endings_is_next   true: this reply has an ending
 *     it is handed out    endings_take      lent until endings_release
 *
 * Outputs and errors lie one behind the other in ENDINGS_BYTES. Where an output has no room it is
 * left out, and the ending says so; a quarter is for errors alone.
 *
 * Threads: one owner. Memory: address space at init, 56 bytes x capacity and ENDINGS_BYTES; pages
 * are touched only when used. Nothing waits and nothing fails but init.
 */
#ifndef ENGINE_PARTITION_ENDINGS_H
#define ENGINE_PARTITION_ENDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"

#define ENDINGS_BYTES (16u << 20)

struct ending {
    uint64_t effect; /* position of the REPLY in the queue of effects */
    uint64_t block_no;
    int64_t ended_ms;
    uint32_t index; /* in the block, of those that ended or got stuck */
    uint32_t plan;
    bool output_omitted;
    /* endings.c's own: the bytes, of the output and behind them of the error. */
    uint32_t output_bytes, error_bytes;
    uint64_t at;
};

struct endings {
    struct ending *items; /* capacity, a power of two */
    uint32_t capacity;
    uint8_t *bytes;
    uint64_t head, matched, tail; /* of items: taken, their REPLY has left, all */
    uint64_t bytes_head, bytes_tail;
    bool is_lent; /* the one at `head` */
};

/* STATUS_NO_MEMORY. There are never more than `count_max` at the same time (asserted). */
NODISCARD enum status endings_init(struct endings *endings, uint64_t count_max);
/* Accepts one that is all zeroes. */
void endings_fini(struct endings *endings);

/* The bytes are copied; count 0: none. */
void endings_add(struct endings *endings, const struct ending *ending, struct flyover_bytes output,
                 struct flyover_bytes error);

/* Whether the REPLY at this position, the next to leave, has an ending. */
static inline bool endings_is_next(struct endings *endings, uint64_t effect)
{
    if (endings->matched == endings->tail ||
        endings->items[endings->matched & (endings->capacity - 1)].effect != effect)
        return false;
    endings->matched++;
    return true;
}

/* The next of those whose REPLY has left. It and the bytes are lent until endings_release. */
const struct ending *endings_take(struct endings *endings, struct flyover_bytes *ret_output,
                                  struct flyover_bytes *ret_error);
void endings_release_lent(struct endings *endings);
/* What is lent, if something is, is not used any more. */
static inline void endings_release(struct endings *endings)
{
    if (endings->is_lent)
        endings_release_lent(endings);
}

#endif
