/*
 * journal: the durable, ordered list of blocks of one partition. Two implementations behind one
 * table of functions: RocksDB (embedded, the default) and memory (tests, and durability `memory`).
 * One conformance suite (tests/storage/test_journal.c) runs against both.
 *
 * Threads: one thread at a time uses a journal; it may be handed on (opened and replayed by the
 *          engine thread, then appended to by the journal thread). journal_open starts three more:
 *          two of RocksDB, which flush to disk, and one that drops files (trim.h). They inherit the
 *          CPUs of the thread that calls it, so open before pinning that thread, or from one pinned
 * where they may run. Memory:  RocksDB's write buffers, block cache and info log are capped
 *          (JOURNAL_MEMORY_BYTES_MAX).
 * Disk:    each byte is written twice: once to RocksDB's write-ahead log, once to its final file.
 *          A journal that is trimmed by journal_remove_before takes what its kept blocks take and
 *          JOURNAL_EXTRA_BYTES_MAX.
 *
 * Its beginning: block 1, until journal_remove_before declares a later first kept block in
 * DIR/first (a mark.h; in no database, where syncing it would wait for blocks that are not synced
 * yet, and would hold back the write-ahead log). What is missing before that block was given up
 * because a checkpoint holds it; what is missing behind it is damage.
 *
 * Source: RocksDB 7.8.3's c.h, and its wiki on WAL recovery modes.
 */
#ifndef STORAGE_JOURNAL_H
#define STORAGE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "storage/block.h"

/* 2: like 1, but may begin behind block 1. 2 and 3: like the one before, but may hold records that
 * its programs do not know. A journal of an earlier format is marked 3 when it is opened for
 * writing. */
#define JOURNAL_FORMAT           3u
#define JOURNAL_MEMORY_BYTES_MAX (112u << 20)
/* A journal is opened for writing only where this much is free: RocksDB writes some of it at once,
 * and on a disk too full for its info log it ends the process instead of saying so. */
#define JOURNAL_FREE_BYTES_MIN (384u << 10)

/* Small, since when a write buffer has been flushed its log is unlinked, and no file of a file
 * system with a journal of its own is synced meanwhile: 64 MiB took ext4 25 ms, 16 MiB 7 ms, 8 MiB
 * 4 ms (mounted with discard). Half of the greatest load over TCP has a p99 of 15 to 18 ms with 8
 * MiB, of 19 to 25 with 16 and of 18 to 59 with 64, and steps/s are the same. */
#define JOURNAL_WRITE_BUFFER_BYTES  (8u << 20)
#define JOURNAL_WRITE_BUFFERS_COUNT 6u
/* What a trimmed journal may take on disk beyond its kept blocks, once journal_dropping is false.
 * Of blocks before the first kept one: a file that holds it too, which can be as large as all write
 * buffers (a flush may take them together), and as much again that is still on its way through
 * level 0, from where nothing can be dropped. Of kept ones, a second time: the write-ahead log of
 * each write buffer and of one more. A write buffer is as much larger than its size as the last
 * append makes it, and RocksDB takes room for a log ahead. 20 MiB: the manifest and info logs. */
#define JOURNAL_EXTRA_BYTES_MAX(write_buffer_bytes, append_bytes_max)                              \
    ((3ull * JOURNAL_WRITE_BUFFERS_COUNT + 1) *                                                    \
         ((write_buffer_bytes) + (write_buffer_bytes) / 4ull + (append_bytes_max)) +               \
     (20ull << 20))

/* What "acknowledged" means. Printed by everything that prints a figure. */
enum durability {
    DURABILITY_SYNC,   /* on disk: fdatasync has returned */
    DURABILITY_ASYNC,  /* with the OS: survives kill -9, may lose the last moments on power loss */
    DURABILITY_MEMORY, /* survives nothing */
};
const char *durability_name(enum durability durability);
/* STATUS_INVALID for a name that is none of sync, async, memory. */
NODISCARD enum status durability_parse(const char *name, enum durability *ret_durability);

struct journal;

struct journal_slice {
    const uint8_t *bytes;
    size_t bytes_count;
    uint64_t block_no;
};

struct journal_counts {
    uint64_t appends_count; /* calls that wrote, one sync each in mode sync */
    uint64_t blocks_count;
    uint64_t bytes_count;
};

/* What the store says of itself; all 0 in memory. */
struct journal_store {
    bool is_known;                              /* false: there is no store, or it does not say */
    uint64_t memtable_bytes, memtables_waiting; /* full ones, on their way to disk */
    uint64_t files_bytes, files_l0;
    uint64_t compaction_bytes_waiting, compactions, flushes;
    uint64_t background_errors;
    uint64_t write_delay_bytes_per_s; /* 0: it holds nothing back */
    bool is_write_stopped;
};

struct journal_options {
    const char *directory; /* borrowed for the call; unused in memory */
    uint32_t partition;
    enum durability durability;
    bool read_only; /* takes no lock, writes nothing, and works beside a running engine */
    bool create;    /* make the directory and an empty journal where there is none */
    /* Open what RocksDB itself finds damaged, without the part that cannot be read. The files as
     * they were are kept in DIR/lost-journal. Not with read_only. */
    bool accept_loss;
    uint32_t write_buffer_bytes; /* 0: JOURNAL_WRITE_BUFFER_BYTES; tests make it small */
};

/* Once a process, before its first thread starts: tells malloc to keep the large chunks of
 * RocksDB's write buffers instead of returning them to the kernel and faulting them in again, which
 * costs 0.15 ns of CPU a byte, and ten times that where files cannot be written past the page
 * cache. */
void journal_setup(void);

/* Opens DIR/journal (RocksDB), holding DIR/lock while it is open for writing. Returns owned. With
 * DURABILITY_MEMORY it is journal_open_memory(false), and nothing of the directory is touched.
 * The data files of a journal that is refused as damaged stay as they were found.
 * STATUS_NOT_FOUND      no journal there and `create` not asked for; read_only: one whose making
 * was broken off before its first block STATUS_IN_USE         another process has it open (the
 * sentence names its pid where known) STATUS_NO_PERMISSION  directory or file cannot be written
 * (read-only file system included) STATUS_CORRUPT        RocksDB cannot read it, or not as far as
 * the watermark says was acknowledged STATUS_NO_SPACE, STATUS_NEWER_FORMAT, STATUS_IO,
 * STATUS_NO_MEMORY */
NODISCARD enum status journal_open(const struct journal_options *options,
                                   struct journal **ret_journal, struct problem *problem);
/* A journal in memory: what is appended stays until closed. Keeps nothing if `keep` is false (a
 * load test in mode `memory` must not grow). */
NODISCARD enum status journal_open_memory(bool keep, struct journal **ret_journal);

/* Appends `count` blocks, all or none, in one write; returns when they are durable in the mode of
 * the journal. A failure is final: the caller stops acknowledging. Borrows the bytes.
 * STATUS_NO_SPACE, STATUS_IO. */
NODISCARD enum status journal_append(struct journal *journal, const struct journal_slice *blocks,
                                     uint32_t count, struct problem *problem);

/* Positions the reader before the first block whose number is >= first_no. */
NODISCARD enum status journal_seek(struct journal *journal, uint64_t first_no,
                                   struct problem *problem);
/* The next stored block, unchecked; its bytes are lent until the next call on this journal.
 * STATUS_END after the last; STATUS_CORRUPT where the store itself finds damage; STATUS_BUSY where
 * an engine that runs beside a read-only journal gave up blocks while they were read: open again.
 */
NODISCARD enum status journal_next(struct journal *journal, struct journal_slice *ret_block,
                                   struct problem *problem);

/* Gives up the blocks before first_kept_no, which are not needed any more: a checkpoint holds them,
 * and nobody wants them as history. Never taken back: a smaller number than before changes nothing.
 * A thread of the journal declares it (above), durably in every mode, and then drops whole files of
 * such blocks; what shares a file with a kept block goes with a later call. A block before
 * first_kept_no may be read for as long as it is there. Ends a reading.
 *
 * Returns at once. Cut short before the declaration is durable, the journal begins where it did. It
 * is when journal_dropping is false, and after journal_close. The first kept block, or the one it
 * will follow, is durable already: the caller sees to that. A failure of the thread is told by the
 * next call, and is final, like that of an append. STATUS_NO_SPACE, STATUS_IO. */
NODISCARD enum status journal_remove_before(struct journal *journal, uint64_t first_kept_no,
                                            struct problem *problem);
/* The thread is not done with what journal_remove_before asked for. */
bool journal_dropping(const struct journal *journal);
/* The first kept block that was asked for; 1 where none ever was. No block from it on is missing in
 * a sound journal. Of a read-only journal: as it was when opened, or when journal_next said
 * STATUS_BUSY. */
uint64_t journal_first_no(const struct journal *journal);
/* The first block that can be read, 0 for none; it may be before journal_first_no, and one between
 * the two may be missing (a power loss in mode async can take blocks that a checkpoint already
 * holds). Ends a reading. */
NODISCARD enum status journal_first_stored_no(struct journal *journal, uint64_t *ret_block_no,
                                              struct problem *problem);

/* The last acknowledged block by the watermark, read before the journal was opened; so it is never
 * ahead of what an engine running beside a read-only journal had written. 0 in memory. */
uint64_t journal_acknowledged_no(const struct journal *journal);

/* Removes every block whose number is >= first_no, durably. Only for --accept-loss. Where a file
 * of RocksDB that holds some of them is damaged, the journal is written anew without them and the
 * old one is kept in DIR/lost-journal: that needs as much room again. */
NODISCARD enum status journal_remove_from(struct journal *journal, uint64_t first_no,
                                          struct problem *problem);

struct journal_counts journal_counts(const struct journal *journal);
/* Any thread, while the journal is open: beside an append too. Reads counters in memory, no file.
 */
struct journal_store journal_store(const struct journal *journal);
/* What RocksDB's write-ahead logs of DIR/journal take on disk; 0 where there is none. Any thread;
 * it looks at the files, whether a journal is open or not. */
uint64_t journal_wal_bytes(const char *directory);
/* Accepts NULL. */
void journal_close(struct journal *journal);

#endif
