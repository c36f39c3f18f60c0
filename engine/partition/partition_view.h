/*
 * partition_view: what a partition can tell of itself beside partition_counts, for those who watch
 * it: how long things take, what waits where, how far durability and checkpoints are.
 *
 * Threads: the engine's. Memory: the caller's; the struct holds no pointer.
 */
#ifndef ENGINE_PARTITION_PARTITION_VIEW_H
#define ENGINE_PARTITION_PARTITION_VIEW_H

#include "engine/base/tally.h"
#include "engine/partition/partition.h"

struct partition_view {
    struct tally saga_ms;     /* start to end, or to getting stuck, by the times of their blocks */
    struct tally append_us;   /* appends to the journal, each with its sync */
    struct tally block_bytes; /* blocks sealed */
    struct journal_store store;
    uint64_t open_block_no; /* the one that is filled now, or will be next */
    uint64_t durable_no;
    uint64_t recovered_ns;
    uint64_t checkpoint_no;     /* the newest that is known to be good; 0: none */
    int64_t checkpoint_made_ms; /* the time of its block; 0: none */
    uint64_t journal_since_checkpoint_bytes;
    uint64_t replies_waiting;
    uint64_t effects_waiting; /* for their block to be durable */
    uint32_t timers;
    uint32_t in_flight, in_flight_remote;
};

/* One service, with its threads, or its lanes together. */
struct partition_service_view {
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    bool is_remote;
    uint32_t threads;
    uint32_t waiting, in_flight;
    uint64_t answered; /* since the start */
    struct dispatch_limits limits;
};

void partition_view(const struct partition *partition, struct partition_view *ret_view);
/* At most `capacity`; how many there are. */
uint32_t partition_services(const struct partition *partition, struct partition_service_view *views,
                            uint32_t capacity);

#endif
