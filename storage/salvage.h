/*
 * salvage: what --accept-loss does to a database that RocksDB finds damaged. For journal_rocks.c
 * alone. Everything here first keeps the files as they were in DIR/lost-journal (or -2, -3, ...).
 */
#ifndef STORAGE_SALVAGE_H
#define STORAGE_SALVAGE_H

#include "storage/rocks.h"

/* Opens DIR/journal although rocks_open refused it: up to the first damage of its write-ahead log,
 * or, where even that fails, after rocks_repair. */
NODISCARD enum status salvage_open(struct rocks *rocks, const char *directory, const char *path,
                                   struct problem *problem);

struct salvage_range {
    uint32_t partition;
    uint64_t first_kept_no;
    uint64_t first_lost_no;
};

/* Writes DIR/journal anew, of the blocks of the partition only those from first_kept_no on and
 * before first_lost_no, and opens it as `rocks` in place of the old one. On failure `rocks` is
 * still the old one, or closed. */
NODISCARD enum status salvage_rewrite(struct rocks *rocks, const char *directory, const char *path,
                                      const struct salvage_range *range, struct problem *problem);

#endif
