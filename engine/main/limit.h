/*
 * limit: what the journal's store does alone, for comparison: the same number of bytes, in blocks
 * of the same size, in the same mode, on the same disk, with nothing else to do.
 */
#ifndef ENGINE_MAIN_LIMIT_H
#define ENGINE_MAIN_LIMIT_H

#include <stdint.h>

#include "storage/journal.h"

struct limit {
    double bytes_per_s;
    double cpu_ns_per_byte;
    double seconds;
};

/* Writes at most bytes_max bytes into a new journal in `directory`, for at most two seconds. */
NODISCARD enum status limit_measure(const char *directory, enum durability durability,
                                    uint64_t bytes_max, uint32_t block_bytes,
                                    struct limit *ret_limit, struct problem *problem);

#endif
