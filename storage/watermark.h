/*
 * watermark: the mark (mark.h) DIR/watermark: the number of the last acknowledged block, so that a
 * journal which comes back shorter than what was acknowledged is noticed.
 *
 * Not synced on its own: it survives kill -9 always and a power loss nearly always; it can be
 * behind the journal, never ahead of it.
 *
 * Threads: one owner at a time.
 */
#ifndef STORAGE_WATERMARK_H
#define STORAGE_WATERMARK_H

#include <stdint.h>

#include "engine/base/status.h"
#include "storage/mark.h"

struct watermark {
    struct mark mark;
};

/* Opens or creates DIR/watermark; `*ret_block_no` is 0 for a new one.
 * STATUS_CORRUPT when neither copy can be read: the sentence says what to do. */
NODISCARD enum status watermark_open(struct watermark *watermark, const char *directory,
                                     uint64_t *ret_block_no, struct problem *problem);
/* Reads without opening for writing; 0 where there is no file. */
NODISCARD enum status watermark_read(const char *directory, uint64_t *ret_block_no,
                                     struct problem *problem);
NODISCARD enum status watermark_write(struct watermark *watermark, uint64_t block_no);
/* Syncs and closes. */
void watermark_close(struct watermark *watermark);

#endif
