/*
 * journal_ops: what an implementation of a journal provides. For journal_rocks.c,
 * journal_memory.c and tests that inject a failure; everybody else calls journal.h.
 *
 * An implementation puts a `struct journal` first in its own struct. journal.c checks arguments,
 * counts, and keeps the first failed append, so that `append` is never called again after it.
 */
#ifndef STORAGE_JOURNAL_OPS_H
#define STORAGE_JOURNAL_OPS_H

#include "storage/journal.h"

struct journal_ops {
    enum status (*append)(struct journal *journal, const struct journal_slice *blocks,
                          uint32_t count, struct problem *problem);
    enum status (*seek)(struct journal *journal, uint64_t first_no, struct problem *problem);
    enum status (*next)(struct journal *journal, struct journal_slice *ret_block,
                        struct problem *problem);
    enum status (*remove_from)(struct journal *journal, uint64_t first_no, struct problem *problem);
    void (*close)(struct journal *journal);
};

struct journal {
    const struct journal_ops *ops;
    struct journal_counts counts;
    uint64_t acknowledged_no;
    struct problem failure; /* of the first append that failed; else STATUS_OK */
};

/* Opens DIR/journal in RocksDB; journal_open's contract. */
NODISCARD enum status journal_open_rocks(const struct journal_options *options,
                                         struct journal **ret_journal, struct problem *problem);

#endif
