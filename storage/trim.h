/*
 * trim: drops the oldest table files of a database of blocks, on a thread of its own ("fly-trim"):
 * to take a file out of RocksDB's manifest is a sync, which takes 30 ms at times on a busy disk,
 * and to unlink 64 MiB takes 15 ms. For journal_rocks.c alone.
 *
 * Whole files only, by changing the manifest: nothing is rewritten and no tombstone is left that
 * readers would have to step over. Always the file with the lowest blocks, one at a time: what is
 * left has no hole.
 *
 * Threads: all functions by the owner of the journal. The thread inherits the CPUs of the one that
 *          calls trim_open.
 */
#ifndef STORAGE_TRIM_H
#define STORAGE_TRIM_H

#include "storage/rocks.h"

struct trim;

/* Borrows `rocks` and `path` until trim_close. STATUS_NO_MEMORY. */
NODISCARD enum status trim_open(struct rocks *rocks, const char *path, uint32_t partition,
                                struct trim **ret_trim, struct problem *problem);
/* Ends the thread; waits for the file it is at, not for those that it has not begun. Accepts NULL.
 */
void trim_close(struct trim *trim);

/* Asks for all files to be dropped of which every block is before first_kept_no; returns at once.
 * A file in level 0, or one that RocksDB is just moving, is passed over, and found again when asked
 * the next time. Returns why the thread stopped for good, if it did. */
NODISCARD enum status trim_before(struct trim *trim, uint64_t first_kept_no,
                                  struct problem *problem);
/* It is not done with what was asked. */
bool trim_is_busy(struct trim *trim);

#endif
