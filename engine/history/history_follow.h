/*
 * history_follow: finished sagas in the order in which they ended, from a block on: for who goes on
 * behind what was told before. (history_list tells the newest first, for people.)
 *
 * Threads and errors: as history.h. STATUS_LOST: blocks from there on are not kept any more.
 */
#ifndef ENGINE_HISTORY_HISTORY_FOLLOW_H
#define ENGINE_HISTORY_HISTORY_FOLLOW_H

#include "engine/history/history.h"

/* Where to go on: at this note of this block. */
struct history_place_of_note {
    uint64_t block_no;
    uint64_t index;
};

/* Visits up to `limit` finished sagas of blocks from *next on and before end_no, and moves *next
 * behind them; name and redrive_of are not told. *ret_is_done: no more of them were there. Stops
 * sooner when it has read HISTORY_SCAN_BYTES_MAX. The entry is lent for the visit; `block_no` is
 * that in which the saga ended. */
typedef void history_follower(const struct history_entry *entry, uint64_t block_no, uint64_t index,
                              void *context);
NODISCARD enum status history_follow(struct history *history, struct history_place_of_note *next,
                                     uint64_t end_no, uint32_t limit, history_follower *visit,
                                     void *context, bool *ret_is_done, struct problem *problem);

#endif
