#include "engine/main/limit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"

#define SECONDS_MAX 2.0

static enum status write_blocks(struct journal *journal, uint64_t bytes_max, uint8_t *block,
                                uint32_t block_bytes, struct limit *limit, struct problem *problem)
{
    uint64_t started_ns = clock_now_ns();
    uint64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t written = 0;
    uint32_t crc = 0;
    for (uint64_t block_no = 1; written < bytes_max && limit->seconds < SECONDS_MAX; block_no++) {
        struct block_header header = {
            .block_no = block_no,
            .body_bytes = block_bytes - BLOCK_HEADER_BYTES,
            .prev_crc = crc,
        };
        block_seal(block, &header);
        crc = header.header_crc;
        struct journal_slice slice = {block, block_bytes, block_no};
        enum status status = journal_append(journal, &slice, 1, problem);
        if (status != STATUS_OK)
            return status;
        written += block_bytes;
        limit->seconds = (double)(clock_now_ns() - started_ns) / 1e9;
    }
    cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    limit->bytes_per_s = (double)written / limit->seconds;
    limit->cpu_ns_per_byte = (double)cpu_ns / (double)written;
    return STATUS_OK;
}

enum status limit_measure(const char *directory, enum durability durability, uint64_t bytes_max,
                          uint32_t block_bytes, struct limit *ret_limit, struct problem *problem)
{
    struct journal_options options = {
        .directory = directory, .durability = durability, .create = true};
    struct journal *journal;
    enum status status = journal_open(&options, &journal, problem);
    if (status != STATUS_OK)
        return status;
    if (block_bytes < 2 * BLOCK_HEADER_BYTES)
        block_bytes = 2 * BLOCK_HEADER_BYTES;
    if (block_bytes > BLOCK_BYTES_MAX)
        block_bytes = BLOCK_BYTES_MAX;
    uint8_t *block = malloc(block_bytes);
    if (block == NULL) {
        journal_close(journal);
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < block_bytes; i++)
        block[i] = (uint8_t)(i * 2654435761u >> 24);
    struct limit limit = {0};
    status = write_blocks(journal, bytes_max, block, block_bytes, &limit, problem);
    free(block);
    journal_close(journal);
    if (status == STATUS_OK)
        *ret_limit = limit;
    return status;
}
