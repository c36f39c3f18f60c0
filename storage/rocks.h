/*
 * rocks: one RocksDB database with the column families, options and error texts of a journal. For
 * journal_rocks.c, salvage.c and trim.c alone.
 *
 * Column families: "default" holds what describes the database ("format" -> u32), "journal" the
 * blocks: partition (u32, big-endian) || block_no (u64, big-endian) -> block, so that the order of
 * the keys is the order of the blocks. The last key there is an anchor without a block: it gives
 * the family a table file from the first moment, from which rocks_repair learns that the family
 * exists; without one it would drop all that the write-ahead log holds for it.
 */
#ifndef STORAGE_ROCKS_H
#define STORAGE_ROCKS_H

#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "storage/journal.h"

#define ROCKS_KEY_BYTES 12u
/* No partition has this number. */
#define ROCKS_PARTITION_ANCHOR UINT32_MAX

enum rocks_family { ROCKS_META, ROCKS_BLOCKS, ROCKS_FAMILIES_COUNT };

struct rocks {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[ROCKS_FAMILIES_COUNT];
    rocksdb_readoptions_t *scan_options;
};

enum rocks_mode {
    /* Refuses a write-ahead log that is damaged anywhere but in a last record cut short. */
    ROCKS_STRICT,
    /* Stops the write-ahead log at the first damage, and drops what is behind it for good. */
    ROCKS_LENIENT,
    /* Like lenient, and writes nothing. */
    ROCKS_READ_ONLY,
};

struct rocks_options {
    enum rocks_mode mode;
    bool create;                 /* also where there is no database yet */
    uint32_t write_buffer_bytes; /* 0: JOURNAL_WRITE_BUFFER_BYTES */
};

/* Fills `rocks`; on failure nothing is open. RocksDB's threads hear no signals: one that comes
 * while it opens is heard after. */
NODISCARD enum status rocks_open(struct rocks *rocks, const char *path,
                                 const struct rocks_options *options, struct problem *problem);
/* Whether the database was made as far as the family of the blocks. True where that cannot be told.
 */
bool rocks_has_blocks_family(const char *path);
/* Accepts what was never opened (zeros). */
void rocks_close(struct rocks *rocks);
/* Makes a database that can be opened from whatever files of one are left. */
NODISCARD enum status rocks_repair(const char *path, struct problem *problem);
/* Removes what an earlier, unfinished write of a database left at `path`, if anything. */
void rocks_destroy(const char *path);

/* Turns RocksDB's error text into a status and a sentence about `path`, and frees the text. */
enum status rocks_problem(struct problem *problem, const char *path, char *error);

void rocks_encode_key(uint8_t ret_key[ROCKS_KEY_BYTES], uint32_t partition, uint64_t block_no);
/* False if it is no key of a block of this partition. */
bool rocks_decode_key(const uint8_t *key, size_t bytes, uint32_t partition, uint64_t *ret_block_no);

/* True for the name of the family that holds the blocks. */
bool rocks_is_blocks(const char *family_name);

/* An iterator for one pass over blocks. Returns owned. Files that it was the last to need are
 * removed by a thread of RocksDB. */
rocksdb_iterator_t *rocks_scan(const struct rocks *rocks);
/* Moves every write so far from the write-ahead log into its final file; durable on return. */
NODISCARD enum status rocks_flush(struct rocks *rocks, const char *path, struct problem *problem);

/* Any thread. */
struct journal_store rocks_store(const struct rocks *rocks);

/* Reads "format". STATUS_NOT_FOUND where it was never written. */
NODISCARD enum status rocks_read_format(const struct rocks *rocks, const char *path,
                                        uint32_t *ret_format, struct problem *problem);
/* Writes JOURNAL_FORMAT, and the anchor into a new database. */
NODISCARD enum status rocks_write_format(struct rocks *rocks, const char *path, bool is_new,
                                         struct problem *problem);

#endif
