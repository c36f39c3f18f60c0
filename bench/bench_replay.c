/*
 * bench_replay: how fast the state comes back from a journal, part by part: reading the blocks
 * from the store, checking them, applying their records.
 *
 * The journal is one made before (`flyover bench --data DIR`). Its blocks are read once into
 * memory, as many as fit BYTES_MAX, so that applying is measured without the disk. Every repetition
 * must come to the same digest.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/partition/partition_state.h"
#include "storage/journal.h"

#define BYTES_MAX  (256u << 20)
#define BLOCKS_MAX 65536u

struct blocks {
    uint8_t *memory;
    uint64_t bytes;
    uint32_t count;
    uint64_t records;
    struct journal_slice slices[BLOCKS_MAX];
};

static enum status read_all(struct journal *journal, struct blocks *blocks, struct problem *problem)
{
    blocks->bytes = 0;
    blocks->count = 0;
    struct journal_slice slice;
    enum status status = journal_seek(journal, 1, problem);
    while (status == STATUS_OK && blocks->count < BLOCKS_MAX) {
        status = journal_next(journal, &slice, problem);
        if (status != STATUS_OK || blocks->bytes + slice.bytes_count > BYTES_MAX)
            break;
        uint8_t *copy = blocks->memory + blocks->bytes;
        memcpy(copy, slice.bytes, slice.bytes_count);
        blocks->bytes += slice.bytes_count;
        blocks->slices[blocks->count++] =
            (struct journal_slice){copy, slice.bytes_count, slice.block_no};
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static void measure_reading(struct measure *measure, struct blocks *blocks)
{
    struct journal_options options = {
        .directory = measure->argument, .durability = DURABILITY_SYNC, .read_only = true};
    struct journal *journal = NULL;
    struct problem problem = {0};
    uint64_t start_ns = clock_now_ns();
    enum status status = journal_open(&options, &journal, &problem);
    uint64_t opened_ns = clock_now_ns();
    if (status == STATUS_OK)
        status = read_all(journal, blocks, &problem);
    uint64_t end_ns = clock_now_ns();
    journal_close(journal);
    if (status == STATUS_OK && blocks->count == 0)
        status = problem_set(&problem, STATUS_NOT_FOUND, "the journal of %s is empty",
                             measure->argument);
    if (status != STATUS_OK)
        measure_fail(measure, &problem);
    measure_add(measure, (double)(opened_ns - start_ns) / 1e6, "ms", "journal_open, read only");
    measure_add(measure, (double)blocks->bytes / (double)(end_ns - opened_ns) * 1e3, "MB/s",
                "journal_next, from the page cache");
}

static void measure_checking(struct measure *measure, struct blocks *blocks)
{
    struct problem problem = {0};
    blocks->records = 0;
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < blocks->count; i++) {
        struct block_header header;
        const struct journal_slice *slice = &blocks->slices[i];
        if (block_decode(slice->bytes, slice->bytes_count, slice->block_no, &header, &problem) !=
            STATUS_OK)
            measure_fail(measure, &problem);
        blocks->records += header.record_count;
    }
    measure_add(measure, (double)(clock_now_ns() - start_ns) / (double)blocks->bytes, "ns a byte",
                "block_decode");
}

static void measure_applying(struct measure *measure, const struct blocks *blocks,
                             char digest[PARTITION_DIGEST_BYTES])
{
    struct partition_state *state;
    struct problem problem = {0};
    enum status status = partition_state_open(&state);
    assert(status == STATUS_OK);
    uint64_t took_ns = 0;
    for (uint32_t i = 0; i < blocks->count && status == STATUS_OK; i++) {
        struct block_header header;
        const struct journal_slice *slice = &blocks->slices[i];
        status = block_decode(slice->bytes, slice->bytes_count, slice->block_no, &header, &problem);
        uint64_t start_ns = clock_now_ns();
        if (status == STATUS_OK)
            status = partition_state_replay(state, &header, slice->bytes + BLOCK_HEADER_BYTES, NULL,
                                            NULL, &problem);
        took_ns += clock_now_ns() - start_ns;
    }
    if (status != STATUS_OK)
        measure_fail(measure, &problem);
    char found[PARTITION_DIGEST_BYTES];
    partition_state_digest(state, found);
    assert(digest[0] == '\0' || strcmp(digest, found) == 0);
    memcpy(digest, found, sizeof found);
    partition_state_close(state);
    measure_add(measure, (double)took_ns / (double)blocks->records, "ns a record",
                "partition_state_replay");
    measure_add(measure, (double)blocks->records / ((double)took_ns / 1e9) / 1e6, "M records/s",
                "partition_state_replay, the same as a rate");
}

int main(int argc, char **argv)
{
    static struct measure measure;
    static struct blocks blocks;
    measure_init(&measure, argc, argv,
                 "Replays the journal in the data directory ARGUMENT (made by flyover bench "
                 "--data).\nNothing is written there.");
    if (measure.argument == NULL)
        measure_fail(&measure,
                     &(struct problem){.text = "name the data directory of a journal made before, "
                                               "as by flyover bench --data DIR"});
    measure_pin(&measure, 0);
    journal_setup();
    blocks.memory = malloc(BYTES_MAX);
    assert(blocks.memory != NULL);
    char digest[PARTITION_DIGEST_BYTES] = "";
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        measure_reading(&measure, &blocks);
        measure_checking(&measure, &blocks);
        measure_applying(&measure, &blocks, digest);
    }
    free(blocks.memory);
    measure_print(&measure);
    return 0;
}
