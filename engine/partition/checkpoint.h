/*
 * checkpoint: the state after one block, in a file, so that a start reads it and only the blocks
 * behind it.
 *
 *   DIR/checkpoint-BLOCK_NO   magic, version, block_no, crc of the block, epoch, now_ms; services
 *                             with their tables; the core; definitions, since version 4 with the
 *                             block and time that each was made in; CRC-32C over all of it.
 *
 * The last two are kept. One that cannot be read is passed over: an older one, or the journal from
 * its first block, gives the same state, only later.
 *
 * How it is taken while the engine runs: the engine lets what its services have in hand come back,
 * seals the block, forks, and goes on; the child writes the state as it stood and ends. It counts
 * only when the child is done and the block is durable; then the file gets its name.
 *
 * Threads: the engine's; the child has no other.
 */
#ifndef ENGINE_PARTITION_CHECKPOINT_H
#define ENGINE_PARTITION_CHECKPOINT_H

#include <sys/types.h>

#include "engine/partition/partition_state.h"

/* Where an earlier checkpoint was: how long the journal is kept for history is told by these. */
struct milestone {
    uint64_t block_no;
    int64_t now_ms;
    uint64_t journal_bytes; /* of all blocks up to it, since the first */
};
#define MILESTONES_MAX 256u

/* The block after which the state is. */
struct checkpoint_place {
    uint64_t block_no; /* 0: before the first */
    uint32_t block_crc;
    uint32_t epoch;
    int64_t now_ms;
    uint64_t journal_bytes;
    uint32_t milestones_count;
    struct milestone milestones[MILESTONES_MAX]; /* of the journal that is kept, oldest first */
};

/* Reads the newest checkpoint that can be read into `state`, which is new; where there is none,
 * ret_place->block_no is 0 and `state` stays new. `block_no_max`: none newer than that (for
 * replays up to a block). STATUS_NO_MEMORY, STATUS_IO. */
NODISCARD enum status checkpoint_load(const char *directory, uint64_t block_no_max,
                                      struct partition_state **state,
                                      struct checkpoint_place *ret_place, struct problem *problem);

/* Writes the state to a file that has no name yet: checkpoint_name gives it one. */
NODISCARD enum status checkpoint_write(const char *directory, const struct partition_state *state,
                                       const struct checkpoint_place *place);
/* Makes what was written the newest checkpoint, durably, and removes all but the last two. */
NODISCARD enum status checkpoint_name(const char *directory, uint64_t block_no);

/* The oldest checkpoint that is there, in the same way: for whoever wants to see as much of a
 * journal as is left, though its beginning was given up. */
NODISCARD enum status checkpoint_load_oldest(const char *directory, struct partition_state **state,
                                             struct checkpoint_place *ret_place,
                                             struct problem *problem);
/* The block of the newest checkpoint that was there before this one; 0: none. */
uint64_t checkpoint_before(const char *directory, uint64_t block_no);

/* Removes one that turned out to be of another journal than the one that is there. */
void checkpoint_remove(const char *directory, uint64_t block_no);

/* checkpoint_write in a child process off the CPU of the engine; -1 where none could be made. */
pid_t checkpoint_fork(const char *directory, const struct partition_state *state,
                      const struct checkpoint_place *place);

#endif
