#include "queues/ring.h"

#include <assert.h>
#include <string.h>

#include "engine/base/region.h"
#include "queues/ring_internal.h"
#ifdef FLYOVER_RING_C11
#include "queues/ring_indices_c11.h"
#else
#include "queues/ring_indices_ck.h"
#endif

#define LINE_PAIR_BYTES 128u

/*
 * All that one side touches on its way: a line of its own that the other side never reads, so that
 * the only lines that travel between two cores are the two indices and the entries.
 *
 * Indices count entries for ever and wrap at 2^32; the number of slots is a power of two, so the
 * slot of an index is index & mask also across the wrap, and differences of indices are exact.
 */
struct ring_side {
    _Alignas(LINE_PAIR_BYTES) uint8_t *entries; /* slots x entry_bytes */
    uint32_t entry_bytes;
    uint32_t mask;
    uint32_t capacity;
    uint32_t index;         /* of this side: the next entry to publish, or to consume */
    uint32_t remote_index;  /* the other side's index when last looked at */
    uint32_t granted_count; /* entries reserved and not published, or counted and not consumed */
};

struct ring {
    struct ring_side producer;
    struct ring_side consumer;
    struct ring_indices shared;
};

_Static_assert(sizeof(struct ring_side) == LINE_PAIR_BYTES, "a side fits its line");
_Static_assert(sizeof(struct ring) % LINE_PAIR_BYTES == 0, "the entries follow on their own line");

/* CK's ring of n slots holds n - 1 entries, since it compares masked indices: a ring that may hold
 * `capacity` therefore has the next power of two above it, never the same. */
static uint32_t slots_for(uint32_t capacity)
{
    assert(capacity > 0 && capacity <= RING_CAPACITY_MAX);
    return 2u << (31 - __builtin_clz(capacity));
}

/* The ring and its entries. */
static size_t memory_bytes(uint32_t capacity, uint32_t entry_bytes)
{
    return sizeof(struct ring) + (size_t)slots_for(capacity) * entry_bytes;
}

static struct ring_side side_of(uint8_t *entries, uint32_t capacity, uint32_t entry_bytes,
                                uint32_t first_index)
{
    return (struct ring_side){
        .entries = entries,
        .entry_bytes = entry_bytes,
        .mask = slots_for(capacity) - 1,
        .capacity = capacity,
        .index = first_index,
        .remote_index = first_index,
    };
}

enum status ring_open_at(struct ring **ret_ring, uint32_t capacity, uint32_t entry_bytes,
                         uint32_t first_index)
{
    if (capacity == 0 || capacity > RING_CAPACITY_MAX)
        return STATUS_INVALID;
    if (entry_bytes == 0 || entry_bytes > RING_ENTRY_BYTES_MAX)
        return STATUS_INVALID;

    struct ring *ring = region_map(memory_bytes(capacity, entry_bytes), REGION_SCRATCH);
    if (ring == NULL)
        return STATUS_NO_MEMORY;

    uint8_t *entries = (uint8_t *)(ring + 1);
    ring->producer = side_of(entries, capacity, entry_bytes, first_index);
    ring->consumer = side_of(entries, capacity, entry_bytes, first_index);
    ring_indices_init(&ring->shared, slots_for(capacity), first_index);
    /* The page faults are taken here and not on the first lap. */
    memset(entries, 0, (size_t)slots_for(capacity) * entry_bytes);
    *ret_ring = ring;
    return STATUS_OK;
}

enum status ring_open(struct ring **ret_ring, uint32_t capacity, uint32_t entry_bytes)
{
    return ring_open_at(ret_ring, capacity, entry_bytes, 0);
}

void ring_close(struct ring *ring)
{
    if (ring != NULL)
        region_unmap(ring, memory_bytes(ring->producer.capacity, ring->producer.entry_bytes));
}

uint32_t ring_capacity(const struct ring *ring)
{
    return ring->producer.capacity;
}

static uint32_t grant(struct ring_side *side, uint32_t available, uint32_t wanted)
{
    assert(available <= side->capacity);
    side->granted_count = wanted < available ? wanted : available;
    return side->granted_count;
}

static void *granted_entry(const struct ring_side *side, uint32_t index)
{
    assert(index < side->granted_count);
    return side->entries + (size_t)((side->index + index) & side->mask) * side->entry_bytes;
}

static uint32_t advance(struct ring_side *side, uint32_t count)
{
    assert(count <= side->granted_count);
    side->granted_count -= count;
    side->index += count;
    return side->index;
}

static uint32_t room(const struct ring_side *producer)
{
    return producer->capacity - (producer->index - producer->remote_index);
}

uint32_t ring_reserve(struct ring *ring, uint32_t wanted)
{
    struct ring_side *producer = &ring->producer;
    if (room(producer) < wanted)
        producer->remote_index = ring_indices_load_consumed(&ring->shared);
    return grant(producer, room(producer), wanted);
}

void *ring_slot(struct ring *ring, uint32_t index)
{
    return granted_entry(&ring->producer, index);
}

void ring_publish(struct ring *ring, uint32_t count)
{
    ring_indices_store_published(&ring->shared, advance(&ring->producer, count));
}

uint32_t ring_consumed(const struct ring *ring)
{
    return ring_indices_load_consumed(&ring->shared);
}

static uint32_t ready(const struct ring_side *consumer)
{
    return consumer->remote_index - consumer->index;
}

uint32_t ring_peek(struct ring *ring, uint32_t wanted)
{
    struct ring_side *consumer = &ring->consumer;
    if (ready(consumer) < wanted)
        consumer->remote_index = ring_indices_load_published(&ring->shared);
    return grant(consumer, ready(consumer), wanted);
}

const void *ring_front(struct ring *ring, uint32_t index)
{
    return granted_entry(&ring->consumer, index);
}

void ring_consume(struct ring *ring, uint32_t count)
{
    ring_indices_store_consumed(&ring->shared, advance(&ring->consumer, count));
}
