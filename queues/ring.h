/*
 * ring: a bounded queue of fixed-size entries by value, one producer thread, one consumer thread.
 *
 * A shim over Concurrency Kit's ck_ring (0.7.1): the ring is CK's, the bulk calls are ours. Each
 * side fills or reads entries in place and publishes once, and each side caches the other's index,
 * so that a batch of n costs one cache-line transfer and not n. Built with FLYOVER_RING_C11, the
 * same functions stand on C11 atomics instead, because ThreadSanitizer does not see CK's assembler.
 *
 * Threads: ring_reserve, ring_slot, ring_publish, ring_consumed by the producer alone;
 *          ring_peek, ring_front, ring_consume by the consumer alone. Both sides are wait-free.
 * Memory:  slots x entry_bytes, where the slots are the next power of two above capacity (CK keeps
 *          one free: a capacity of 1023 takes 1024 slots, one of 1024 takes 2048), touched once by
 *          ring_open, given back by ring_close; REGION_SCRATCH: no child of a fork has them.
 *          `capacity` entries fit, no fewer and no more.
 *          Entries are aligned as far as entry_bytes is a multiple of the alignment.
 * Order:   what the producer wrote before ring_publish is visible to the consumer after the
 *          ring_peek that counts it; what the consumer read before ring_consume is done before the
 *          producer writes the slot again.
 */
#ifndef QUEUES_RING_H
#define QUEUES_RING_H

#include <stdint.h>

#include "engine/base/status.h"

#define RING_CAPACITY_MAX    (1u << 24)
#define RING_ENTRY_BYTES_MAX 256u

struct ring;

/* Returns owned. STATUS_INVALID for a capacity or an entry size of zero or over the maximum,
 * STATUS_NO_MEMORY. */
NODISCARD enum status ring_open(struct ring **ret_ring, uint32_t capacity, uint32_t entry_bytes);
/* Accepts NULL. Neither side may be using the ring. */
void ring_close(struct ring *ring);

uint32_t ring_capacity(const struct ring *ring);

/* Producer: how many of `wanted` entries there is room for now (0 to wanted). What was reserved
 * before and not published is given up. */
uint32_t ring_reserve(struct ring *ring, uint32_t wanted);
/* Producer: the index-th reserved entry, to be filled in place; index < what ring_reserve said. */
void *ring_slot(struct ring *ring, uint32_t index);
/* Producer: makes the first `count` reserved entries visible, in order. */
void ring_publish(struct ring *ring, uint32_t count);
/* Producer: how many entries the consumer has ever consumed, modulo 2^32. Lets a producer that
 * lends bytes with its entries know which of them are its own again. */
uint32_t ring_consumed(const struct ring *ring);

/* Consumer: how many entries can be read now, at most `wanted`. They stay until ring_consume. */
uint32_t ring_peek(struct ring *ring, uint32_t wanted);
/* Consumer: the index-th readable entry; lent until ring_consume. */
const void *ring_front(struct ring *ring, uint32_t index);
/* Consumer: gives back the first `count` entries that ring_peek counted. */
void ring_consume(struct ring *ring, uint32_t count);

#endif
