/*
 * disk: a journal in memory that fails like a disk. What was appended and acknowledged stays; what
 * was not may be there after a crash or not, whole or torn; blocks can be damaged or lost behind
 * the engine's back, and put back.
 *
 * Its beginning is given up as storage/journal.h says: beside all else the first kept block is
 * declared, durably, and only then blocks before it go, the lowest first; whatever a crash cuts
 * short is not done before it is asked for again. What has gone stays in `blocks`, before `gone`,
 * for the oracle alone: it replays the journal from block 1.
 *
 * Memory: the blocks are the disk's, over every crash, until disk_fini.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <stddef.h>

#include "storage/journal_ops.h"
#include "tests/sim/chance.h"

struct disk_block {
    uint64_t block_no;
    uint8_t *bytes; /* owned */
    size_t bytes_count;
};

enum disk_mood {
    DISK_FINE,
    DISK_FAILING, /* the next append or removal fails; some of it may have been done */
};

/* Told of every block that is durable and acknowledged, in order. */
typedef void (*disk_on_durable)(const struct disk_block *block);
/* Told that the engine wants to give up what is before that block, and before anything is done. */
typedef void (*disk_on_removal)(uint64_t first_kept_no);

struct disk {
    struct journal journal; /* what the engine sees; made new at every disk_start */
    struct chance *chance;
    disk_on_durable on_durable;
    disk_on_removal on_removal;
    enum disk_mood mood;
    struct disk_block *blocks;
    uint32_t gone; /* so many at the beginning are not there for the engine any more */
    uint32_t count;
    uint32_t capacity;
    uint32_t next_index; /* of the reader */
    uint64_t acknowledged_no;
    uint64_t first_no_declared; /* durably; 0: never */
    uint64_t asked_no;          /* to be declared, and all before it to be dropped; 0: nothing */
    struct disk_block taken;    /* what disk_damage changed or took */
    bool removed;               /* the engine asked to remove blocks */
};

void disk_init(struct disk *disk, struct chance *chance, disk_on_durable on_durable,
               disk_on_removal on_removal);
void disk_fini(struct disk *disk);

/* As the machine comes up again: the journal to give to the engine. */
struct journal *disk_start(struct disk *disk);

/* The block of that number as the engine would read it, or NULL. */
const struct disk_block *disk_find(const struct disk *disk, uint64_t block_no);

/* Damages or loses the block of that index, which is there; disk_mend puts it back, disk_settle
 * does not. */
enum disk_damage { DISK_GARBLE, DISK_CUT, DISK_LOSE };
void disk_damage(struct disk *disk, uint32_t index, enum disk_damage damage);
void disk_mend(struct disk *disk, uint32_t index, enum disk_damage damage);
void disk_settle(struct disk *disk);

#endif
