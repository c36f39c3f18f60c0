/*
 * ring_internal: what the tests of the ring need and nobody else.
 */
#ifndef QUEUES_RING_INTERNAL_H
#define QUEUES_RING_INTERNAL_H

#include "queues/ring.h"

/* ring_open, as if `first_index` entries had gone through the ring already: ring_consumed starts
 * there, and the 32-bit indices wrap 2^32 - first_index entries later. Returns owned. */
NODISCARD enum status ring_open_at(struct ring **ret_ring, uint32_t capacity, uint32_t entry_bytes,
                                   uint32_t first_index);

#endif
