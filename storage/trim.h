/*
 * trim: declares which blocks are given up, and then drops the table files that hold them, on a
 * thread of its own ("fly-trim"): to sync the declaration takes 60 ms at times on a busy disk, to
 * take a file out of RocksDB's manifest, which is a sync too, 30 ms, and to unlink it takes a
 * few ms. For journal_rocks.c alone.
 *
 * No file is dropped before it is durable that its blocks are given up: cut short anywhere, nothing
 * is missing that was not declared.
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

#include "storage/mark.h"
#include "storage/rocks.h"

struct trim;

/* All of it is borrowed until trim_close. */
struct trim_place {
    struct rocks *rocks;
    const char *path;      /* of rocks */
    const char *directory; /* of `first` */
    struct mark *first;    /* the declaration; only trim writes it */
    uint32_t partition;
};

/* declared_no: what `first` says already. STATUS_NO_MEMORY. */
NODISCARD enum status trim_open(const struct trim_place *place, uint64_t declared_no,
                                struct trim **ret_trim, struct problem *problem);
/* Ends the thread; waits for the declaration of what was asked for and for the file it is at, not
 * for those that it has not begun. Accepts NULL. */
void trim_close(struct trim *trim);

/* Asks for the declaration of first_kept_no, which never goes back (asserted), and then for all
 * files to be dropped of which every block is before it; returns at once.
 * A file in level 0, or one that RocksDB is just moving, is passed over, and found again when asked
 * the next time. Returns why the thread stopped for good, if it did. */
NODISCARD enum status trim_before(struct trim *trim, uint64_t first_kept_no,
                                  struct problem *problem);
/* It is not done with what was asked. */
bool trim_is_busy(struct trim *trim);

#endif
