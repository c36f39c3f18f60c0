/*
 * ring_indices: the two indices that the sides of a ring share, on C11 atomics, for builds under
 * ThreadSanitizer, which does not see what Concurrency Kit's assembler orders. The functions are
 * those of ring_indices_ck.h: a load is an acquire, a store is a release.
 */
#ifndef QUEUES_RING_INDICES_C11_H
#define QUEUES_RING_INDICES_C11_H

#include <stdatomic.h>
#include <stdint.h>

struct ring_indices {
    _Alignas(128) _Atomic uint32_t consumed;
    _Alignas(128) _Atomic uint32_t published;
};

/* Only CK's struct keeps the number of slots. */
static inline void ring_indices_init(struct ring_indices *indices, uint32_t slots_count,
                                     uint32_t first_index)
{
    (void)slots_count;
    atomic_init(&indices->consumed, first_index);
    atomic_init(&indices->published, first_index);
}

static inline uint32_t ring_indices_load_published(const struct ring_indices *indices)
{
    return atomic_load_explicit(&indices->published, memory_order_acquire);
}

static inline void ring_indices_store_published(struct ring_indices *indices, uint32_t index)
{
    atomic_store_explicit(&indices->published, index, memory_order_release);
}

static inline uint32_t ring_indices_load_consumed(const struct ring_indices *indices)
{
    return atomic_load_explicit(&indices->consumed, memory_order_acquire);
}

static inline void ring_indices_store_consumed(struct ring_indices *indices, uint32_t index)
{
    atomic_store_explicit(&indices->consumed, index, memory_order_release);
}

#endif
