/*
 * history_keeper: what the core tells of its sagas on the way into the index of history.
 *
 *     engine thread                              journal thread
 *     keeper_begin()    a block opens
 *     core_on_note ──► keeper_on_note(): encoded into the notes of that block's buffer
 *     ... the block goes to the writer ...
 *                                                keeper_on_block(): one write, behind the block
 *                                                keeper_on_sync(), keeper_on_removal()
 *
 * While the journal is replayed there is one thread, and keeper_end_replayed appends.
 *
 * Threads: as drawn; the ring of the writer hands a buffer's notes over and back with the buffer.
 * Memory:  KEEPER_BUFFERS_COUNT x KEEPER_NOTES_BYTES, touched as far as it is used.
 */
#ifndef ENGINE_PARTITION_HISTORY_KEEPER_H
#define ENGINE_PARTITION_HISTORY_KEEPER_H

#include "engine/history/history_log.h"
#include "engine/partition/partition_state.h"
#include "storage/writer.h"

#define KEEPER_NOTES_BYTES (4u << 20)
/* What one event may lead to: a thousand fire-and-forget steps begun, and a few notes with names.
 */
#define KEEPER_EVENT_BYTES_MAX (64u << 10)

struct keeper_notes {
    uint8_t *bytes; /* KEEPER_NOTES_BYTES */
    uint32_t bytes_count;
    uint32_t notes_count;
    int64_t now_ms;
};

struct keeper {
    const struct partition_state *state; /* borrowed: names of plans and errors */
    struct history_log *log;             /* NULL: none is kept */
    struct writer_beside beside;
    struct keeper_notes buffers[WRITER_BUFFERS_COUNT];
    struct keeper_notes *open;
    struct note_coder coder;
    bool plan_told[CORE_PLANS_MAX];
    bool error_told[CORE_ERRORS_MAX];
};

/* Opens DIR/history, cut back to after_no. What is wrong there is no failure and stands in
 * ret_found. STATUS_NO_MEMORY, or what history_log_open says. */
NODISCARD enum status keeper_open(struct keeper *keeper, const struct history_log_options *options,
                                  struct history_log_found *ret_found, struct problem *problem);
/* Accepts a struct of zeroes. */
void keeper_close(struct keeper *keeper);

/* The state whose core tells; its core is there. */
void keeper_listen(struct keeper *keeper, struct partition_state *state);
/* The notes that come now are those of a block of this time in this buffer. */
void keeper_begin(struct keeper *keeper, uint32_t buffer_index, int64_t now_ms);
/* False when the open block has to go before another event. */
static inline bool keeper_has_room(const struct keeper *keeper)
{
    return keeper->open == NULL ||
           keeper->open->bytes_count + KEEPER_EVENT_BYTES_MAX <= KEEPER_NOTES_BYTES;
}
/* A replayed block is over. */
NODISCARD enum status keeper_end_replayed(struct keeper *keeper, uint64_t block_no,
                                          struct problem *problem);

#endif
