/*
 * bench_journal: what the journal's store does alone, and what a block costs before it gets there.
 *
 * Blocks of one size are sealed and appended, one a call, into a new journal; in mode sync every
 * call ends with a sync. CPU time is the whole process's, RocksDB's threads and the flush at the
 * close included.
 */
#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/base/crc32c.h"
#include "storage/block.h"
#include "storage/journal.h"

#define BYTES_MAX           (64u << 20) /* a journal */
#define SECONDS_MAX         1.0
#define SECONDS_MAX_QUICK   0.2
#define CHECKSUM_BYTES      (256u << 20)
#define CHECKSUM_BYTES_ONCE (256u << 10)

static const uint32_t block_bytes_list[] = {16u << 10, 64u << 10, 256u << 10, 1u << 20};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void make_directory(const struct measure *measure, char *path, size_t capacity)
{
    const char *base = measure->argument != NULL ? measure->argument : getenv("TMPDIR");
    snprintf(path, capacity, "%s/flyover-bench-journal-XXXXXX",
             base == NULL || base[0] == '\0' ? "/var/tmp" : base);
    if (mkdtemp(path) != NULL)
        return;
    struct problem problem;
    problem_set(&problem, STATUS_NO_PERMISSION,
                "%s cannot be made: %s. Name a folder on the disk to measure", path,
                strerror(errno));
    measure_fail(measure, &problem);
}

struct tally {
    uint64_t bytes;
    uint64_t wall_ns;
};

static enum status append_blocks(struct journal *journal, uint8_t *block, uint32_t block_bytes,
                                 double seconds_max, struct tally *tally, struct problem *problem)
{
    uint64_t start_ns = clock_now_ns();
    uint32_t prev_crc = 0;
    for (uint64_t block_no = 1;
         tally->bytes < BYTES_MAX && (double)tally->wall_ns < seconds_max * 1e9; block_no++) {
        struct block_header header = {
            .block_no = block_no,
            .body_bytes = block_bytes - BLOCK_HEADER_BYTES,
            .prev_crc = prev_crc,
        };
        block_seal(block, &header);
        prev_crc = header.header_crc;
        struct journal_slice slice = {block, block_bytes, block_no};
        enum status status = journal_append(journal, &slice, 1, problem);
        if (status != STATUS_OK)
            return status;
        tally->bytes += block_bytes;
        tally->wall_ns = clock_now_ns() - start_ns;
    }
    return STATUS_OK;
}

static void measure_appends(struct measure *measure, enum durability durability, uint8_t *block,
                            uint32_t block_bytes)
{
    char directory[256];
    make_directory(measure, directory, sizeof directory);
    struct journal_options options = {
        .directory = directory, .durability = durability, .create = true};
    struct journal *journal = NULL;
    struct problem problem = {0};
    struct tally tally = {0};
    enum status status = journal_open(&options, &journal, &problem);
    uint64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (status == STATUS_OK)
        status = append_blocks(journal, block, block_bytes,
                               measure->quick ? SECONDS_MAX_QUICK : SECONDS_MAX, &tally, &problem);
    journal_close(journal);
    cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (status != STATUS_OK)
        measure_fail(measure, &problem);
    const char *mode = durability_name(durability);
    measure_add(measure, (double)tally.bytes / (double)tally.wall_ns * 1e3, "MB/s",
                "journal_append, %s, blocks of %u KiB", mode, block_bytes >> 10);
    measure_add(measure, (double)cpu_ns / (double)tally.bytes, "CPU ns a byte",
                "journal_append, %s, blocks of %u KiB: CPU", mode, block_bytes >> 10);
}

static void measure_checksums(struct measure *measure, uint8_t *block)
{
    uint32_t rounds = CHECKSUM_BYTES / CHECKSUM_BYTES_ONCE / (measure->quick ? 4 : 1);
    double bytes = (double)rounds * CHECKSUM_BYTES_ONCE;
    struct block_header header = {.block_no = 1,
                                  .body_bytes = CHECKSUM_BYTES_ONCE - BLOCK_HEADER_BYTES};
    uint64_t start_ns = clock_now_ns();
    uint32_t crc = 0;
    for (uint32_t i = 0; i < rounds; i++)
        crc = crc32c(crc, block, CHECKSUM_BYTES_ONCE);
    measure_keep(crc);
    uint64_t crc_ns = clock_now_ns();
    for (uint32_t i = 0; i < rounds; i++)
        block_seal(block, &header);
    uint64_t end_ns = clock_now_ns();
    measure_add(measure, (double)(crc_ns - start_ns) / bytes, "ns a byte", "crc32c, 256 KiB");
    measure_add(measure, (double)(end_ns - crc_ns) / bytes, "ns a byte", "block_seal, 256 KiB");
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv,
                 "Measures storage/journal.h on the disk of the folder ARGUMENT (default $TMPDIR,\n"
                 "or /var/tmp): new journals of at most 64 MiB, removed at the end.");
    journal_setup();
    uint32_t largest = block_bytes_list[sizeof block_bytes_list / sizeof block_bytes_list[0] - 1];
    uint8_t *block = malloc(largest);
    assert(block != NULL);
    /* Not compressible to nothing, whatever lies below. */
    for (uint32_t i = 0; i < largest; i++)
        block[i] = (uint8_t)(i * 2654435761u >> 24);
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        for (uint32_t size = 0; size < sizeof block_bytes_list / sizeof block_bytes_list[0]; size++)
            measure_appends(&measure, DURABILITY_SYNC, block, block_bytes_list[size]);
        for (uint32_t size = 0; size < sizeof block_bytes_list / sizeof block_bytes_list[0]; size++)
            measure_appends(&measure, DURABILITY_ASYNC, block, block_bytes_list[size]);
        measure_checksums(&measure, block);
    }
    free(block);
    measure_print(&measure);
    return 0;
}
