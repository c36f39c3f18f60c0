/*
 * chunk: the notes of one block, as they stand in a segment: a header of 56 bytes, then the notes.
 *
 *      0        4        8        12       16       20       24
 *     +--------+--------+--------+--------+--------+--------+
 *     | "FLYN" | header | notes  | notes  | notes  | flags  |
 *     |        | crc    | crc    | bytes  | count  |        |
 *     +--------+--------+--------+--------+--------+--------+
 *     24                32                40                48                56
 *     +-----------------+-----------------+-----------------+-----------------+ - -
 *     | block_no        | now_ms          | least saga id   | greatest        | notes
 *     +-----------------+-----------------+-----------------+-----------------+ - -
 *
 * Little-endian. header_crc covers bytes 8 to 55, so that a reader may trust the length and pass
 * over notes it has no use for. With no saga in it, the least id is above the greatest.
 *
 * Threads: one owner a window. Memory: a window takes what the largest chunk it met needs.
 */
#ifndef ENGINE_HISTORY_CHUNK_H
#define ENGINE_HISTORY_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define CHUNK_HEADER_BYTES 56u
/* The notes of one block. A block has 4 MiB, and what a record may say is a few notes. */
#define HISTORY_CHUNK_BYTES_MAX (32u << 20)

enum chunk_flag {
    CHUNK_HAS_MEANINGS = 1, /* PLAN or ERROR */
    CHUNK_HAS_ENDED = 2,
    CHUNK_HAS_NAMES = 4,
    CHUNK_HAS_ERRORS = 8, /* an ENDED with one */
    /* and CHUNK_HAS_OUTCOME << outcome, of the ENDED in it */
    CHUNK_HAS_OUTCOME = 256,
};

struct chunk {
    uint64_t block_no;
    int64_t now_ms;
    uint64_t id_least;
    uint64_t id_greatest;
    uint32_t flags;
    uint32_t notes_count;
    uint32_t notes_bytes;
    uint32_t notes_crc;
    const uint8_t *notes; /* borrowed */
};

/* Writes the header; takes the CRC of the notes. */
void chunk_write_header(const struct chunk *chunk, uint8_t at[CHUNK_HEADER_BYTES]);

/* Part of a file in memory. */
struct window {
    int file; /* borrowed */
    uint64_t start;
    size_t count;
    size_t capacity;
    uint8_t *bytes;
    uint64_t read_bytes; /* so far, from all files */
};

/* Over another file; keeps the memory. A window of zeroes is a new one. */
void window_set_file(struct window *window, int file);
void window_fini(struct window *window);
/* Lends `count` bytes at `offset` until the next call. STATUS_END where the file is shorter;
 * STATUS_IO, STATUS_NO_MEMORY. */
NODISCARD enum status window_at(struct window *window, uint64_t offset, size_t count,
                                const uint8_t **ret_bytes);

/* The header of the chunk at `offset`, which ends at or before `limit`. STATUS_END where no whole
 * chunk is there; STATUS_IO, STATUS_NO_MEMORY. */
NODISCARD enum status chunk_read_header(struct window *window, uint64_t offset, uint64_t limit,
                                        struct chunk *ret_chunk);
/* Its notes too, lent as by window_at. STATUS_CORRUPT where their CRC is wrong. */
NODISCARD enum status chunk_read_notes(struct window *window, uint64_t offset, struct chunk *chunk);

static inline uint64_t chunk_end(uint64_t offset, const struct chunk *chunk)
{
    return offset + CHUNK_HEADER_BYTES + chunk->notes_bytes;
}

#endif
