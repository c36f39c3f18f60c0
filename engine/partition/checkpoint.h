/*
 * checkpoint: the state after one block, in a file, so that a start reads it and only the blocks
 * behind it.
 *
 *   DIR/checkpoint-BLOCK_NO   magic, version, block_no, crc of the block, epoch, now_ms; services
 *                             with their tables; the core; definitions, since version 4 with the
 *                             block and time that each was made in; CRC-32C over all of it.
 *
 * The last two that are known to be good are kept. One that cannot be read, or is of a block that
 * the journal has not got, is passed over: an older one, or the journal from its first block, gives
 * the same state, only later. It goes when the next one has its name, and no sooner: a start that
 * is refused removes nothing, since what it misses may be put back.
 *
 * How it is taken while the engine runs: the engine lets what its services have in hand come back,
 * seals the block, forks, and goes on; the child writes the state as it stood and ends. It counts
 * only when the child is done and the block is durable; then the file gets its name. Meanwhile the
 * mender makes the memory whole that was shared with the child, so that the next fork is as short.
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
 * *ret_place is all zeros and `state` stays new. `block_no_max`: none newer than that (for
 * replays up to a block). STATUS_NO_MEMORY, STATUS_IO. */
NODISCARD enum status checkpoint_load(const char *directory, uint64_t block_no_max,
                                      struct partition_state **state,
                                      struct checkpoint_place *ret_place, struct problem *problem);

/* Writes the state to a file that has no name yet: checkpoint_name gives it one. */
NODISCARD enum status checkpoint_write(const char *directory, const struct partition_state *state,
                                       const struct checkpoint_place *place);
/* Makes what was written the newest checkpoint, durably, and removes all but it and the one of
 * before_no (0: none): the last that was read by this start, or named since. */
NODISCARD enum status checkpoint_name(const char *directory, uint64_t block_no, uint64_t before_no);

/* The oldest checkpoint from which a journal that begins with first_kept_no can be read, in the
 * same way: for whoever wants to see as much as is left of it. One that is older still may be
 * there: a power loss brings back what was removed. */
NODISCARD enum status checkpoint_load_oldest(const char *directory, uint64_t first_kept_no,
                                             struct partition_state **state,
                                             struct checkpoint_place *ret_place,
                                             struct problem *problem);
/* The block of that checkpoint, by its name alone; 0: there is none. */
uint64_t checkpoint_oldest_no(const char *directory, uint64_t first_kept_no);

/* checkpoint_write in a child process, which does not take the engine's CPU from it, not even to
 * begin; -1 where none could be made. */
pid_t checkpoint_fork(const char *directory, const struct partition_state *state,
                      const struct checkpoint_place *place);

#endif
