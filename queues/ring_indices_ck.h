/*
 * ring_indices: the two indices that the sides of a ring share. Here they are Concurrency Kit's
 * own struct ck_ring; ring_indices_c11.h gives the same functions on C11 atomics. ring.c includes
 * one of the two.
 *
 * A load of an index is an acquire and a store of one is a release, for both indices. CK's own
 * dequeue (0.7.1) puts a store fence before it moves c_head, which suffices on x86 only: entries
 * are read in place here, and on ARM those reads must be fenced from that store.
 *
 * Source: ck_ring.h and ck_pr.h of Concurrency Kit 0.7.1.
 */
#ifndef QUEUES_RING_INDICES_CK_H
#define QUEUES_RING_INDICES_CK_H

#include <ck_pr.h>
#include <ck_ring.h>
#include <stddef.h>
#include <stdint.h>

/* CK keeps its indices 64 bytes apart, but processors fetch lines in pairs of 128 bytes. Put half
 * a pair in, c_head and p_tail stand on two pairs, with nothing of anybody else's on either. */
struct ring_indices {
    _Alignas(128) char padding[64];
    struct ck_ring ck;
};

_Static_assert(offsetof(struct ring_indices, ck.c_head) / 128 !=
                   offsetof(struct ring_indices, ck.p_tail) / 128,
               "the two indices must not share a pair of cache lines");

static inline void ring_indices_init(struct ring_indices *indices, uint32_t slots_count,
                                     uint32_t first_index)
{
    ck_ring_init(&indices->ck, slots_count);
    indices->ck.c_head = first_index;
    indices->ck.p_tail = first_index;
    indices->ck.p_head = first_index;
}

static inline uint32_t ring_indices_load_published(const struct ring_indices *indices)
{
    uint32_t index = ck_pr_load_uint(&indices->ck.p_tail);
    ck_pr_fence_acquire();
    return index;
}

static inline void ring_indices_store_published(struct ring_indices *indices, uint32_t index)
{
    ck_pr_fence_release();
    ck_pr_store_uint(&indices->ck.p_tail, index);
}

static inline uint32_t ring_indices_load_consumed(const struct ring_indices *indices)
{
    uint32_t index = ck_pr_load_uint(&indices->ck.c_head);
    ck_pr_fence_acquire();
    return index;
}

static inline void ring_indices_store_consumed(struct ring_indices *indices, uint32_t index)
{
    ck_pr_fence_release();
    ck_pr_store_uint(&indices->ck.c_head, index);
}

#endif
