#include "tests/sim/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct disk *of(struct journal *journal)
{
    return (struct disk *)journal;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t bytes_count)
{
    uint8_t *copy = malloc(bytes_count + 1);
    assert(copy != NULL);
    return memcpy(copy, bytes, bytes_count);
}

static void drop_from(struct disk *disk, uint32_t index)
{
    while (disk->count > index)
        free(disk->blocks[--disk->count].bytes);
}

static void write_block(struct disk *disk, const struct journal_slice *block)
{
    if (disk->count == disk->capacity) {
        disk->capacity = disk->capacity == 0 ? 64 : disk->capacity * 2;
        disk->blocks = realloc(disk->blocks, disk->capacity * sizeof *disk->blocks);
        assert(disk->blocks != NULL);
    }
    disk->blocks[disk->count++] = (struct disk_block){
        block->block_no, copy_of(block->bytes, block->bytes_count), block->bytes_count};
}

/* ---- what the engine calls ------------------------------------------------------------------- */

/* Beside all else, each step in a moment of its own: first it is declared, then files go. */
static void trim_some(struct disk *disk)
{
    if (disk->asked_no > disk->first_no_declared) {
        if (chance_percent(disk->chance, 40))
            return;
        disk->first_no_declared = disk->asked_no;
    }
    while (disk->gone < disk->count && disk->blocks[disk->gone].block_no < disk->asked_no) {
        if (chance_percent(disk->chance, 10))
            return;
        disk->gone++;
    }
    disk->asked_no = 0;
}

static enum status fail(struct disk *disk, struct problem *problem)
{
    if (chance_percent(disk->chance, 50))
        return problem_set(problem, STATUS_NO_SPACE, "the fake disk is full");
    return problem_set(problem, STATUS_IO, "the fake disk has failed");
}

static enum status on_append(struct journal *journal, const struct journal_slice *blocks,
                             uint32_t count, struct problem *problem)
{
    struct disk *disk = of(journal);
    bool fails = disk->mood == DISK_FAILING;
    uint32_t written = fails ? chance_draw(disk->chance, count + 1) : count;
    for (uint32_t i = 0; i < written; i++)
        write_block(disk, &blocks[i]);
    trim_some(disk);
    if (fails)
        return fail(disk, problem);
    disk->acknowledged_no = blocks[count - 1].block_no;
    for (uint32_t i = disk->count - count; i < disk->count; i++)
        disk->on_durable(&disk->blocks[i]);
    return STATUS_OK;
}

static uint32_t find(const struct disk *disk, uint64_t first_no)
{
    uint32_t low = disk->gone;
    uint32_t high = disk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (disk->blocks[middle].block_no < first_no)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum status on_seek(struct journal *journal, uint64_t first_no, struct problem *problem)
{
    (void)problem;
    of(journal)->next_index = find(of(journal), first_no);
    return STATUS_OK;
}

static enum status on_next(struct journal *journal, struct journal_slice *ret_block,
                           struct problem *problem)
{
    (void)problem;
    struct disk *disk = of(journal);
    if (disk->next_index >= disk->count)
        return STATUS_END;
    const struct disk_block *block = &disk->blocks[disk->next_index++];
    *ret_block = (struct journal_slice){block->bytes, block->bytes_count, block->block_no};
    return STATUS_OK;
}

static enum status on_remove_from(struct journal *journal, uint64_t first_no,
                                  struct problem *problem)
{
    (void)problem;
    of(journal)->removed = true;
    drop_from(of(journal), find(of(journal), first_no));
    return STATUS_OK;
}

static enum status on_remove_before(struct journal *journal, uint64_t first_kept_no,
                                    struct problem *problem)
{
    struct disk *disk = of(journal);
    disk->on_removal(first_kept_no);
    bool fails = disk->mood == DISK_FAILING;
    disk->asked_no = first_kept_no;
    if (!fails || chance_percent(disk->chance, 50))
        trim_some(disk);
    disk->next_index = disk->count;
    return fails ? fail(disk, problem) : STATUS_OK;
}

static bool is_dropping(const struct journal *journal)
{
    return ((const struct disk *)journal)->asked_no != 0;
}

static void on_close(struct journal *journal)
{
    (void)journal;
}

static const struct journal_ops disk_ops = {
    .append = on_append,
    .seek = on_seek,
    .next = on_next,
    .remove_from = on_remove_from,
    .remove_before = on_remove_before,
    .dropping = is_dropping,
    .close = on_close,
};

/* ---- what the simulator calls ---------------------------------------------------------------- */

void disk_init(struct disk *disk, struct chance *chance, disk_on_durable on_durable,
               disk_on_removal on_removal)
{
    *disk = (struct disk){.chance = chance, .on_durable = on_durable, .on_removal = on_removal};
}

void disk_fini(struct disk *disk)
{
    drop_from(disk, 0);
    disk_settle(disk);
    free(disk->blocks);
}

struct journal *disk_start(struct disk *disk)
{
    disk->journal = (struct journal){.ops = &disk_ops,
                                     .acknowledged_no = disk->acknowledged_no,
                                     .first_no_declared = disk->first_no_declared};
    disk->mood = DISK_FINE;
    disk->asked_no = 0;
    disk->removed = false;
    return &disk->journal;
}

const struct disk_block *disk_find(const struct disk *disk, uint64_t block_no)
{
    uint32_t index = find(disk, block_no);
    bool found = index < disk->count && disk->blocks[index].block_no == block_no;
    return found ? &disk->blocks[index] : NULL;
}

void disk_damage(struct disk *disk, uint32_t index, enum disk_damage damage)
{
    assert(index >= disk->gone && index < disk->count);
    struct disk_block *block = &disk->blocks[index];
    disk->taken = *block;
    if (damage == DISK_LOSE) {
        memmove(block, block + 1, (--disk->count - index) * sizeof *block);
        return;
    }
    block->bytes = copy_of(block->bytes, block->bytes_count);
    if (damage == DISK_CUT) {
        block->bytes_count = chance_draw(disk->chance, (uint32_t)block->bytes_count);
        return;
    }
    /* Not the version: a block of a newer version is refused too, but is no damage. */
    uint32_t at = chance_draw(disk->chance, (uint32_t)block->bytes_count);
    if (at == 4 || at == 5)
        at = 8;
    block->bytes[at] ^= (uint8_t)(1 + chance_draw(disk->chance, 255));
}

void disk_mend(struct disk *disk, uint32_t index, enum disk_damage damage)
{
    assert(disk->taken.bytes != NULL && index <= disk->count);
    struct disk_block *block = &disk->blocks[index];
    if (damage == DISK_LOSE)
        memmove(block + 1, block, (disk->count++ - index) * sizeof *block);
    else
        free(block->bytes);
    *block = disk->taken;
    disk->taken.bytes = NULL;
}

void disk_settle(struct disk *disk)
{
    free(disk->taken.bytes);
    disk->taken.bytes = NULL;
}
