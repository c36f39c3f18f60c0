/*
 * mark: one number in a small file of the data directory, that outlives kill -9 and torn writes.
 * Two facts about a journal are kept so, apart from it, because they are what damage to it is held
 * against: the last acknowledged block (watermark.h) and the first kept one (journal.h).
 *
 * DIR/NAME, two copies of 32 bytes at offsets 0 and 512 (magic, sequence, number, crc), written in
 * turn, so that a torn write leaves the other. They are written in place and the file does not
 * grow, so that syncing it (0.2 ms) waits for no other file's bytes.
 *
 * Threads: one owner at a time.
 */
#ifndef STORAGE_MARK_H
#define STORAGE_MARK_H

#include <stdint.h>

#include "engine/base/status.h"

struct mark_kind {
    const char *name;      /* of the file */
    uint8_t magic[4];      /* no two kinds have the same */
    const char *on_damage; /* what cannot be told without it, and what to do: ends a sentence */
};

struct mark {
    const struct mark_kind *kind;
    int file;
    uint32_t sequence;
};

/* Opens or creates DIR/NAME; `*ret_number` is 0 for a new one.
 * STATUS_CORRUPT when neither copy can be read: the sentence says what to do. */
NODISCARD enum status mark_open(struct mark *mark, const struct mark_kind *kind,
                                const char *directory, uint64_t *ret_number,
                                struct problem *problem);
/* Reads without opening for writing; 0 where there is no file. */
NODISCARD enum status mark_read(const struct mark_kind *kind, const char *directory,
                                uint64_t *ret_number, struct problem *problem);
/* Not synced. STATUS_NO_SPACE, STATUS_IO. */
NODISCARD enum status mark_write(struct mark *mark, uint64_t number);
/* What was written is durable on return. STATUS_IO. */
NODISCARD enum status mark_sync(struct mark *mark);
/* Syncs and closes. */
void mark_close(struct mark *mark);

#endif
