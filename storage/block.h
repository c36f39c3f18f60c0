/*
 * block: the unit of the journal, one group commit. A header of 64 bytes, then records.
 *
 *      0        4        6        8                16       20       24
 *     +--------+--------+--------+-----------------+--------+--------+
 *     | "FLYB" | version| 0      | block_no        | body   | record |
 *     |        |  u16   |        |  u64            | bytes  | count  |
 *     +--------+--------+--------+--------+--------+--------+--------+
 *     24       28       32       36       40                48
 *     +--------+--------+--------+--------+-----------------+
 *     | body   | prev   | epoch  | parti- | now_ms          |
 *     | crc    | crc    |        | tion   |  i64            |
 *     +--------+--------+--------+--------+-----------------+
 *     48                56       60       64
 *     +-----------------+--------+--------+ - - -
 *     | durable_no      | 0      | header | body: records, read by engine/saga/record.h
 *     |  u64            |        | crc    |
 *     +-----------------+--------+--------+ - - -
 *
 * Little-endian. Every crc is CRC-32C. header_crc covers bytes 0 to 59, body_crc the body, and
 * prev_crc is the header_crc of the block before (0 for block 1): header and body of every earlier
 * block are under it, so a block that is missing, doubled or from another journal breaks the chain.
 * epoch counts the starts of the engine, durable_no is the last block known durable when this one
 * was sealed. Block numbers start at 1.
 *
 * This layer does not know what a record is.
 */
#ifndef STORAGE_BLOCK_H
#define STORAGE_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define BLOCK_HEADER_BYTES 64u
#define BLOCK_VERSION      1u
/* Room for the largest record (a definition of 1 MiB) with plenty to spare. */
#define BLOCK_BYTES_MAX (4u << 20)

struct block_header {
    uint64_t block_no;
    uint64_t durable_no;
    int64_t now_ms;
    uint32_t body_bytes;
    uint32_t record_count;
    uint32_t body_crc;
    uint32_t prev_crc;
    uint32_t epoch;
    uint32_t partition;
    uint32_t header_crc;
};

/* Writes the header into block[0..63], computing both crcs over the body_bytes that follow it;
 * stores them in `header` too. The body stands in place already. */
void block_seal(uint8_t *block, struct block_header *header);

/* Reads and checks one block of `bytes` bytes, without its place in the chain: magic, version,
 * length, both crcs.
 * STATUS_CORRUPT or STATUS_NEWER_FORMAT, with a sentence that names the block by `block_no`, the
 * number under which it was stored. */
NODISCARD enum status block_decode(const uint8_t *block, size_t bytes, uint64_t block_no,
                                   struct block_header *ret_header, struct problem *problem);

/* Checks that `header` is the successor of the block (prev_no, prev_crc); prev_no is 0 before the
 * first. STATUS_GAP where numbers are missing, STATUS_CORRUPT where the chain is broken. */
NODISCARD enum status block_follows(const struct block_header *header, uint64_t prev_no,
                                    uint32_t prev_crc, struct problem *problem);

#endif
