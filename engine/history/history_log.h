/*
 * history_log: the writer of the index beside the journal, in which a finished saga is found again.
 *
 * It is made from the journal and never the other way round: what is missing or damaged here is
 * set aside, said, and costs nothing but the way to old sagas; replaying the journal makes it anew.
 * Files: DIR/history, see segment.h; readers (history.h) may look at them at any time.
 *
 * Threads: one owner, the journal thread.
 * Memory:  about 1.5 MiB at opening, and 32 bytes a segment.
 * Disk:    what the notes have, 56 bytes a block that has any, and a footer a segment. Nothing is
 *          removed but by history_log_drop_before and history_log_retain; what was set aside goes
 *          with the segments around it.
 * Errors:  STATUS_NO_SPACE and STATUS_IO with a sentence. A chunk that could not be written is not
 *          there; the log can be used on, and the block may be appended again.
 */
#ifndef ENGINE_HISTORY_HISTORY_LOG_H
#define ENGINE_HISTORY_HISTORY_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/history/chunk.h"
#include "engine/history/note.h"

/* Some 900,000 sagas of four steps. What is sealed in one call, and walked through by a reader
 * while it is not: larger ones make both longer, smaller ones make more files. */
#define HISTORY_SEGMENT_BYTES     (8u << 20)
#define HISTORY_SEGMENT_BYTES_MIN 4096u

struct history_log;

struct history_log_options {
    const char *directory; /* DIR, which exists; borrowed for the call */
    /* The block up to which the state is that the notes will go on from: chunks of later blocks are
     * dropped, since the replay appends them again. 0 for none: the log starts anew. */
    uint64_t after_no;
    uint32_t segment_bytes; /* a segment is sealed at this size; 0: HISTORY_SEGMENT_BYTES */
    /* The first block that can still be replayed, for what is said of a gap; 0: all can. */
    uint64_t replayable_no;
};

/* What was there. Numbers of 0: none. */
struct history_log_found {
    uint64_t first_no;   /* the first block covered */
    uint64_t covered_no; /* the last one, at most after_no */
    /* Blocks up to after_no that are not covered: replaying the journal from gap_first_no on, where
     * it can be, and appending their notes closes the gap; going on behind it leaves it. */
    uint64_t gap_first_no;
    uint64_t gap_last_no;
    /* Segments that were damaged: renamed to NAME.bad. The blocks from the first to the last. */
    uint32_t bad_count;
    uint64_t bad_first_no;
    uint64_t bad_last_no;
    char text[512]; /* "", or what is wrong, for an operator */
};

/* Returns owned. STATUS_NO_PERMISSION, STATUS_NO_SPACE, STATUS_IO, STATUS_NO_MEMORY,
 * STATUS_TOO_LARGE (a path). Damage is no error. */
NODISCARD enum status history_log_open(const struct history_log_options *options,
                                       struct history_log **ret_log,
                                       struct history_log_found *ret_found,
                                       struct problem *problem);

/* Appends the notes of a block, encoded by one coder that began with now_ms: one write. Block
 * numbers ascend (asserted, as is that the notes decode and are `notes_count`). A block without
 * notes may be left out or given with a count of 0, which writes nothing by itself. Each
 * segment_bytes one call also seals a segment, without a sync but for every thirty-third in a row
 * without history_log_sync. */
NODISCARD enum status history_log_append(struct history_log *log, uint64_t block_no, int64_t now_ms,
                                         const uint8_t *notes, size_t notes_bytes,
                                         uint32_t notes_count, struct problem *problem);
/* Makes durable what was appended, and that all blocks so far are covered. To be called before a
 * checkpoint of the last block counts, or there will be a gap. */
NODISCARD enum status history_log_sync(struct history_log *log, struct problem *problem);

/* Removes the oldest segments, whole ones, with nothing but blocks before block_no; of the one
 * being written nothing. Gives the first block still covered. */
NODISCARD enum status history_log_drop_before(struct history_log *log, uint64_t block_no,
                                              uint64_t *ret_first_no, struct problem *problem);
/* The same with the oldest segments that are over bytes_max (0: no limit) together with all newer
 * ones, or have nothing but blocks from before oldest_ms. */
NODISCARD enum status history_log_retain(struct history_log *log, uint64_t bytes_max,
                                         int64_t oldest_ms, uint64_t *ret_first_no,
                                         struct problem *problem);

uint64_t history_log_covered_no(const struct history_log *log);
/* On disk, in all segments. */
uint64_t history_log_bytes(const struct history_log *log);
/* Accepts NULL. Does not sync. */
void history_log_close(struct history_log *log);

#endif
