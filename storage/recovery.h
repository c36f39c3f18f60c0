/*
 * recovery: reads a journal from its first block, or from behind a checkpoint, to its last, checks
 * every block and its place in the chain, and says what is missing against the watermark. Knows
 * nothing of records: each good block is handed to the caller.
 *
 * A journal whose first kept block is N (journal_first_no) is sound behind every block from N - 1
 * on. What is missing before N is not damage; but who wants to begin there has lost the checkpoint
 * that holds those blocks, and nothing but a backup brings it back.
 *
 * Threads: the caller's. Writes nothing, except with accept_loss: then what lies behind the first
 * damage is saved to DIR/lost-FIRST-LAST.blocks and removed from the journal, and the watermark is
 * set back, so that the next start is clean. A block of a newer version is not damage and is never
 * removed.
 *
 * DIR/lost-FIRST-LAST.blocks holds, for each block that could be read: its number (u64), its bytes
 * (u64), both little-endian, and the block as it was stored. FIRST and LAST are the first and last
 * of them; a name in use gets -2, -3, ... before the dot.
 */
#ifndef STORAGE_RECOVERY_H
#define STORAGE_RECOVERY_H

#include <limits.h>

#include "storage/journal.h"

/* Called for every good block in order. Any status but OK and END ends the recovery with it; END
 * ends it early without a problem (`--until`). The bytes are lent for the call. */
typedef enum status (*recovery_on_block)(void *context, const struct block_header *header,
                                         const uint8_t *body, struct problem *problem);

struct recovery_options {
    const char *directory; /* NULL: a journal in memory, no watermark to hold it against */
    bool accept_loss;      /* go on without what is damaged or missing, and say so */
    uint64_t after_no; /* begin behind this block, whose header_crc is after_crc; 0: at block 1 */
    uint32_t after_crc;
    /* Begin at the first block that is stored, whichever it is, and take its place in the chain as
     * given; not with after_no, nor with accept_loss. Blocks before the first kept one may then
     * jump over some that are missing, and what comes behind such a hole is taken as given, too. */
    bool all_stored;
    recovery_on_block on_block;
    void *context;
};

struct recovery_report {
    uint64_t first_no; /* the first that was read; 0: none was */
    uint64_t last_no;
    uint32_t last_crc; /* header_crc of the last good block: the next one's prev_crc */
    uint32_t last_epoch;
    int64_t last_now_ms;
    uint64_t blocks_count;
    uint64_t records_count;
    uint64_t bytes_count;
    uint64_t lost_blocks_count;   /* with accept_loss: blocks known to have existed and now gone */
    struct problem loss;          /* with accept_loss: what was accepted; STATUS_OK: nothing was */
    char lost_name[NAME_MAX + 1]; /* the file in DIR that holds what was removed; "" for none */
};

/* Whether the journal has what such a recovery begins with: reads no block, and recovery_run asks
 * it too. STATUS_LOST where that was given up to a checkpoint. */
NODISCARD enum status recovery_check_beginning(const struct journal *journal,
                                               const struct recovery_options *options,
                                               struct problem *problem);

/* The watermark it is held against is journal_acknowledged_no.
 * STATUS_CORRUPT, STATUS_GAP, STATUS_LOST (fewer blocks than the watermark says were
 * acknowledged, or those wanted were given up to a checkpoint), STATUS_NEWER_FORMAT, STATUS_BUSY,
 * STATUS_IO, or what on_block said. The sentence names the block, what is lost if it is accepted,
 * and `--accept-loss`, unless that cannot mend it. */
NODISCARD enum status recovery_run(struct journal *journal, const struct recovery_options *options,
                                   struct recovery_report *ret_report, struct problem *problem);

#endif
