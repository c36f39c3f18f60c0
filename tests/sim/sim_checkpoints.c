#include "tests/sim/sim_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* ---- which there are ------------------------------------------------------------------------- */

static const char *path_of(uint64_t block_no)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/checkpoint-%" PRIu64, sim->directory, block_no);
    return path;
}

static bool is_there(const struct known_checkpoint *known)
{
    return access(path_of(known->block_no), F_OK) == 0;
}

/* The newest one that can be read, before this block; NULL: none. */
static struct known_checkpoint *newest_before(uint64_t block_no)
{
    struct known_checkpoint *newest = NULL;
    for (uint32_t i = 0; i < sim->checkpoints_count; i++) {
        struct known_checkpoint *known = &sim->checkpoints[i];
        if (known->sound && known->block_no < block_no &&
            (newest == NULL || known->block_no > newest->block_no))
            newest = known;
    }
    return newest;
}

static void forget_gone(void)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->checkpoints_count; i++)
        if (is_there(&sim->checkpoints[i]))
            sim->checkpoints[kept++] = sim->checkpoints[i];
    sim->checkpoints_count = kept;
}

static void add(uint64_t block_no)
{
    uint32_t at = 0;
    while (at < sim->checkpoints_count && sim->checkpoints[at].block_no != block_no)
        at++;
    verdict_check(at < CHECKPOINTS_KNOWN_MAX, "more and more checkpoints are kept");
    if (at == sim->checkpoints_count)
        sim->checkpoints_count++;
    sim->checkpoints[at] = (struct known_checkpoint){.block_no = block_no, .sound = true};
}

/* At most one has got its name since the last look. */
void sim_checkpoints_note(void)
{
    const struct partition *partition = sim->partition;
    if (partition == NULL || partition->counts.checkpoints == sim->named_count)
        return;
    sim->named_count = partition->counts.checkpoints;
    uint64_t block_no = partition->checkpointing.place.block_no;
    const struct known_checkpoint *before = newest_before(block_no);
    verdict_check(before == NULL || is_there(before),
                  "checkpoint %" PRIu64 " is there, and %" PRIu64 ", the last good one before it, "
                  "was removed",
                  block_no, before == NULL ? 0 : before->block_no);
    forget_gone();
    add(block_no);
}

void sim_checkpoints_check_kept(void)
{
    for (uint32_t i = 0; i < sim->checkpoints_count; i++)
        verdict_check(!sim->checkpoints[i].sound || is_there(&sim->checkpoints[i]),
                      "a start that was refused removed checkpoint %" PRIu64,
                      sim->checkpoints[i].block_no);
}

void sim_checkpoints_lose(uint64_t first_lost_no)
{
    for (uint32_t i = 0; i < sim->checkpoints_count; i++)
        if (sim->checkpoints[i].block_no >= first_lost_no)
            sim->checkpoints[i].sound = false;
}

bool sim_checkpoints_can_start(uint64_t damaged_no)
{
    if (sim->disk.first_no_declared <= 1)
        return true;
    for (uint32_t i = 0; i < sim->checkpoints_count; i++)
        if (sim->checkpoints[i].sound && sim->checkpoints[i].block_no != damaged_no &&
            sim->checkpoints[i].block_no + 1 >= sim->disk.first_no_declared)
            return true;
    return false;
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Done twice it is mended. */
static void flip(uint64_t block_no, uint32_t place)
{
    FILE *file = fopen(path_of(block_no), "r+");
    verdict_check(file != NULL, "checkpoint %" PRIu64 " is gone, and it was one of the last two",
                  block_no);
    fseek(file, 0, SEEK_END);
    long at = (long)(place % (uint32_t)ftell(file));
    fseek(file, at, SEEK_SET);
    int byte = getc(file);
    fseek(file, at, SEEK_SET);
    putc(byte ^ 0x40, file);
    fclose(file);
}

/* Where a recovery can do without the newest, it is put to that; now and then without any. */
void sim_checkpoints_damage(void)
{
    struct known_checkpoint *damaged[CHECKPOINTS_KNOWN_MAX];
    uint32_t places[CHECKPOINTS_KNOWN_MAX];
    uint32_t wanted = chance_percent(&sim->chance, 30) ? CHECKPOINTS_KNOWN_MAX : 1;
    uint32_t count = 0;
    while (count < wanted && (damaged[count] = newest_before(UINT64_MAX)) != NULL) {
        places[count] = chance_draw(&sim->chance, UINT32_MAX);
        flip(damaged[count]->block_no, places[count]);
        damaged[count++]->sound = false;
        sim_figures.damages++;
    }
    if (count == 0 || sim_checkpoints_can_start(0))
        return;
    sim_engine_expect_lost();
    while (count-- > 0) {
        flip(damaged[count]->block_no, places[count]);
        damaged[count]->sound = true;
    }
}

/* ---- what may be given up -------------------------------------------------------------------- */

/* Whether history has no use for the block: so much came after it, or it is so old. */
static bool is_past_history(uint64_t block_no)
{
    const struct disk *disk = &sim->disk;
    uint64_t bytes = 0;
    uint32_t i = disk->count;
    while (i > 0 && disk->blocks[i - 1].block_no > block_no)
        bytes += disk->blocks[--i].bytes_count;
    if (bytes > sim->habits.history_bytes || sim->habits.history_ms == 0 || i == 0)
        return bytes > sim->habits.history_bytes;
    struct block_header header;
    const struct disk_block *block = &disk->blocks[i - 1];
    verdict_check(block_decode(block->bytes, block->bytes_count, block->block_no, &header, NULL) ==
                      STATUS_OK,
                  "block %" PRIu64 " is given up, and cannot be read", block_no);
    return sim->wall_ms_max - header.now_ms > (int64_t)sim->habits.history_ms;
}

void sim_engine_on_removal(uint64_t first_kept_no)
{
    sim_checkpoints_note();
    const struct known_checkpoint *newest = newest_before(UINT64_MAX);
    const struct known_checkpoint *older = newest == NULL ? NULL : newest_before(newest->block_no);
    verdict_check(older != NULL && first_kept_no <= older->block_no && is_there(newest) &&
                      is_there(older),
                  "blocks before %" PRIu64 " are given up, and of the two checkpoints that "
                  "can be read the older is of block %" PRIu64,
                  first_kept_no, older == NULL ? 0 : older->block_no);
    verdict_check(is_past_history(first_kept_no - 1),
                  "block %" PRIu64 " is given up, and history has room for it", first_kept_no - 1);
    sim_figures.removals++;
    sim_trace(first_kept_no);
}
