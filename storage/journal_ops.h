/*
 * journal_ops: what an implementation of a journal provides. For journal_rocks.c,
 * journal_memory.c and tests that inject a failure; everybody else calls journal.h.
 *
 * An implementation puts a `struct journal` first in its own struct. journal.c checks arguments,
 * counts, and keeps the first failed append or removal, so that nothing is written after it.
 */
#ifndef STORAGE_JOURNAL_OPS_H
#define STORAGE_JOURNAL_OPS_H

#include "storage/journal.h"
#include "storage/mark.h"

struct journal_ops {
    enum status (*append)(struct journal *journal, const struct journal_slice *blocks,
                          uint32_t count, struct problem *problem);
    enum status (*seek)(struct journal *journal, uint64_t first_no, struct problem *problem);
    enum status (*next)(struct journal *journal, struct journal_slice *ret_block,
                        struct problem *problem);
    enum status (*remove_from)(struct journal *journal, uint64_t first_no, struct problem *problem);
    /* Declares first_kept_no, which is never below first_no, and begins to drop what is before it.
     * NULL: keeps all blocks, and the declaration in memory. */
    enum status (*remove_before)(struct journal *journal, uint64_t first_kept_no,
                                 struct problem *problem);
    bool (*dropping)(const struct journal *journal); /* NULL: never */
    void (*close)(struct journal *journal);
    struct journal_store (*store)(const struct journal *journal); /* NULL: there is none */
};

struct journal {
    const struct journal_ops *ops;
    struct journal_counts counts;
    uint64_t acknowledged_no;
    uint64_t first_no_declared; /* 0: never */
    struct problem failure;     /* of the first append or removal that failed; else STATUS_OK */
};

/* DIR/first: the first kept block. */
extern const struct mark_kind journal_first_kind;

/* Opens DIR/journal in RocksDB; journal_open's contract. */
NODISCARD enum status journal_open_rocks(const struct journal_options *options,
                                         struct journal **ret_journal, struct problem *problem);

#endif
