/*
 * writer: the journal thread. Takes sealed blocks from the engine thread, writes all that wait in
 * one synced append, moves the watermark, and tells the engine what is durable.
 *
 *     engine thread                              journal thread
 *     writer_acquire()      free buffer
 *     ... fills, seals ...
 *     writer_send_block()   ── ring of blocks ─► writer_on_block(): append, sync, watermark
 *     writer_durable_no()   ◄─ entries consumed  and wakes the engine
 *     writer_remove_before() ── one number ────► writer_on_removal(): after the next append
 *
 *     writer_sync_beside()   ── a wish ────────► writer_on_sync(): after the next append
 *
 * Threads: acquire, send_block, durable_no, failure, remove_before, sync_beside by the engine
 *          thread alone.
 * Memory:  buffers_count x BLOCK_BYTES_MAX, taken at open. No free buffer: the engine takes in
 *          nothing more until one comes back; that is the back-pressure of the disk.
 * Failure: the first failed append (or watermark, or removal) is kept, nothing later is written,
 * durable_no stands still. The engine exits. A failed sync is never tried again (its pages may be
 * lost already).
 */
#ifndef STORAGE_WRITER_H
#define STORAGE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/tally.h"
#include "queues/sleeper.h"
#include "storage/journal.h"
#include "storage/watermark.h"

#define WRITER_BUFFERS_COUNT 4u
#define WRITER_NO_CPU        UINT32_MAX

struct writer;

/* A buffer for one block. The engine fills bytes[BLOCK_HEADER_BYTES..], seals it, sends it. */
struct writer_buffer {
    uint8_t *bytes; /* BLOCK_BYTES_MAX */
    size_t bytes_count;
    uint64_t block_no;
    uint32_t index;
};

/* What the journal thread also keeps, beside the journal: made of what the engine filled along with
 * the buffer of this index, and told in the order of the blocks. A failure is one of the journal.
 */
struct writer_beside {
    void *context;
    /* The block is durable, and the engine has not heard of it yet. */
    enum status (*on_block)(void *context, uint32_t buffer_index, uint64_t block_no,
                            struct problem *problem);
    /* Makes durable what it was told so far. */
    enum status (*on_sync)(void *context, struct problem *problem);
    /* Blocks before first_kept_no are given up. */
    enum status (*on_removal)(void *context, uint64_t first_kept_no, struct problem *problem);
};

struct writer_options {
    const struct writer_beside *beside; /* borrowed for the writer's life; NULL: nothing */
    struct journal *journal;            /* borrowed; the journal thread's until writer_close */
    struct watermark *watermark;        /* borrowed; NULL: none is kept */
    struct sleeper *engine; /* borrowed: woken when something became durable; may be NULL */
    uint64_t durable_no;    /* the last block recovered */
    uint32_t cpu;           /* to pin the thread to, or WRITER_NO_CPU */
    bool threadless;        /* no thread: tests and the simulator call writer_step */
};

struct writer_counts {
    uint64_t syncs_count;
    uint64_t bytes_count;
    uint64_t busy_ns; /* time spent in append */
    uint64_t cpu_ns;  /* CPU time of the journal thread */
};

/* STATUS_INVALID for a CPU this process may not use, STATUS_NO_MEMORY. sleeper_setup comes first.
 */
NODISCARD enum status writer_open(const struct writer_options *options, struct writer **ret_writer,
                                  struct problem *problem);
/* Writes what was sent, then stops the thread and frees the writer. Accepts NULL. */
void writer_close(struct writer *writer);

/* NULL when all buffers are out: with the journal thread, or acquired and not sent yet. Buffers are
 * sent in the order in which they were acquired. */
struct writer_buffer *writer_acquire(struct writer *writer);
/* Hands over a sealed block. block_no follows the one sent before. */
void writer_send_block(struct writer *writer, struct writer_buffer *buffer);
/* How many sent blocks are not yet known durable. */
uint32_t writer_blocks_in_flight(const struct writer *writer);
/* The last durable block, as far as the engine thread has heard; also takes buffers back. */
uint64_t writer_durable_no(struct writer *writer);
/* Asks the journal thread for journal_remove_before(first_kept_no), after its next append or as
 * soon as it has none to do; returns at once. The block before first_kept_no is durable. One number
 * is kept at most: a later, larger one takes the place of one that still waits, a smaller one is
 * nothing. writer_close does what still waits. */
void writer_remove_before(struct writer *writer, uint64_t first_kept_no);
/* Asks the journal thread to sync what it keeps beside, as soon as it has nothing to append; and
 * the last block that such a sync has made durable there, at least. */
void writer_sync_beside(struct writer *writer);
uint64_t writer_beside_synced_no(const struct writer *writer);
/* STATUS_OK, or why the journal thread stopped. */
enum status writer_failure(const struct writer *writer, struct problem *problem);
/* Threadless only: writes what waits now, then does a removal that waits. Returns true if it wrote.
 */
bool writer_step(struct writer *writer);
/* A recent reading; exact while nothing is in flight. */
struct writer_counts writer_counts(const struct writer *writer);
/* How long appends took, each with its sync, in microseconds; as recent. */
void writer_append_times(const struct writer *writer, struct tally *ret_times_us);

#endif
