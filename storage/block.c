#include "storage/block.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "engine/base/crc32c.h"
#include "engine/base/plant.h"
#include "storage/little_endian.h"

/* Where the fields stand; the header draws them. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_BLOCK_NO = 8,
    AT_BODY_BYTES = 16,
    AT_RECORD_COUNT = 20,
    AT_BODY_CRC = 24,
    AT_PREV_CRC = 28,
    AT_EPOCH = 32,
    AT_PARTITION = 36,
    AT_NOW_MS = 40,
    AT_DURABLE_NO = 48,
    AT_HEADER_CRC = 60,
};

static const uint8_t magic[4] = {'F', 'L', 'Y', 'B'};

void block_seal(uint8_t *block, struct block_header *header)
{
    assert(header->block_no > 0);
    assert(header->body_bytes <= BLOCK_BYTES_MAX - BLOCK_HEADER_BYTES);
    header->body_crc = crc32c(0, block + BLOCK_HEADER_BYTES, header->body_bytes);

    memset(block, 0, BLOCK_HEADER_BYTES);
    memcpy(block + AT_MAGIC, magic, sizeof magic);
    put_u16(block + AT_VERSION, BLOCK_VERSION);
    put_u64(block + AT_BLOCK_NO, header->block_no);
    put_u32(block + AT_BODY_BYTES, header->body_bytes);
    put_u32(block + AT_RECORD_COUNT, header->record_count);
    put_u32(block + AT_BODY_CRC, header->body_crc);
    put_u32(block + AT_PREV_CRC, header->prev_crc);
    put_u32(block + AT_EPOCH, header->epoch);
    put_u32(block + AT_PARTITION, header->partition);
    put_u64(block + AT_NOW_MS, (uint64_t)header->now_ms);
    put_u64(block + AT_DURABLE_NO, header->durable_no);

    header->header_crc = crc32c(0, block, AT_HEADER_CRC);
    put_u32(block + AT_HEADER_CRC, header->header_crc);
}

static struct block_header read_header(const uint8_t *block)
{
    return (struct block_header){
        .block_no = get_u64(block + AT_BLOCK_NO),
        .durable_no = get_u64(block + AT_DURABLE_NO),
        .now_ms = (int64_t)get_u64(block + AT_NOW_MS),
        .body_bytes = get_u32(block + AT_BODY_BYTES),
        .record_count = get_u32(block + AT_RECORD_COUNT),
        .body_crc = get_u32(block + AT_BODY_CRC),
        .prev_crc = get_u32(block + AT_PREV_CRC),
        .epoch = get_u32(block + AT_EPOCH),
        .partition = get_u32(block + AT_PARTITION),
        .header_crc = get_u32(block + AT_HEADER_CRC),
    };
}

/* What every version keeps in its place: the magic, the version, and the header's own crc, so that
 * a flipped bit in the version is never taken for a newer one. */
static enum status check_kind(const uint8_t *block, size_t bytes, uint64_t block_no,
                              struct problem *problem)
{
    if (bytes < BLOCK_HEADER_BYTES)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is damaged: %zu bytes are shorter than its header",
                           block_no, bytes);
    if (memcmp(block + AT_MAGIC, magic, sizeof magic) != 0)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is damaged: it does not begin like a block",
                           block_no);
    if (crc32c(0, block, AT_HEADER_CRC) != get_u32(block + AT_HEADER_CRC))
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is damaged: its header does not match its checksum",
                           block_no);
    uint16_t version = get_u16(block + AT_VERSION);
    if (version > BLOCK_VERSION)
        return problem_set(problem, STATUS_NEWER_FORMAT,
                           "block %" PRIu64 " was written by a newer flyover (block version %u, "
                           "this one reads up to %u): use that version",
                           block_no, version, BLOCK_VERSION);
    return STATUS_OK;
}

enum status block_decode(const uint8_t *block, size_t bytes, uint64_t block_no,
                         struct block_header *ret_header, struct problem *problem)
{
    enum status status = check_kind(block, bytes, block_no, problem);
    if (status != STATUS_OK)
        return status;

    struct block_header header = read_header(block);
    if (header.block_no != block_no)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is damaged: block %" PRIu64 " stands in its place",
                           block_no, header.block_no);
    if (header.body_bytes != bytes - BLOCK_HEADER_BYTES || bytes > BLOCK_BYTES_MAX)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is damaged: it has %zu bytes after its header where "
                           "%" PRIu32 " were written",
                           block_no, bytes - BLOCK_HEADER_BYTES, header.body_bytes);
    if (crc32c(0, block + BLOCK_HEADER_BYTES, header.body_bytes) != header.body_crc)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is damaged: its body does not match its checksum",
                           block_no);
    *ret_header = header;
    return STATUS_OK;
}

enum status block_follows(const struct block_header *header, uint64_t prev_no, uint32_t prev_crc,
                          struct problem *problem)
{
    if (PLANTED(BROKEN_CHAIN))
        return STATUS_OK;
    if (header->block_no == prev_no + 2)
        return problem_set(problem, STATUS_GAP, "block %" PRIu64 " is missing", prev_no + 1);
    if (header->block_no > prev_no + 2)
        return problem_set(problem, STATUS_GAP, "blocks %" PRIu64 " to %" PRIu64 " are missing",
                           prev_no + 1, header->block_no - 1);
    if (header->block_no <= prev_no)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " comes again after block %" PRIu64, header->block_no,
                           prev_no);
    if (header->prev_crc != prev_crc)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 " is whole but does not continue the one before it: "
                           "it belongs to another journal",
                           header->block_no);
    return STATUS_OK;
}
