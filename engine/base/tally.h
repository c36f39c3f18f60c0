/*
 * tally: how many values were how large, in few fixed buckets, two in each power of two: values of
 * at most 1, 2, 3, 4, 6, 8, 12, 16, 24, ... and those beyond. For figures that are kept for ever
 * and shown as a Prometheus histogram; histogram.h is for exact percentiles of one run.
 *
 * Threads: one owner. Values are in one unit, the caller's. Cost: two additions and a few shifts.
 */
#ifndef ENGINE_BASE_TALLY_H
#define ENGINE_BASE_TALLY_H

#include <stdint.h>

/* The last one holds at most 2^24: 16 s in microseconds, 4.6 hours in milliseconds, 16 MiB. */
#define TALLY_BUCKETS 48u

struct tally {
    uint64_t sum;
    uint64_t counts[TALLY_BUCKETS + 1]; /* the last: of values beyond all buckets */
};

static inline uint32_t tally_bucket(uint64_t value)
{
    uint64_t below = value == 0 ? 0 : value - 1;
    if (below < 2)
        return (uint32_t)below;
    unsigned power = 63u - (unsigned)__builtin_clzll(below);
    uint32_t bucket = 2 * power + ((uint32_t)(below >> (power - 1)) & 1u);
    return bucket < TALLY_BUCKETS ? bucket : TALLY_BUCKETS;
}

/* The largest value that falls into this bucket, or an earlier one. */
static inline uint64_t tally_limit(uint32_t bucket)
{
    if (bucket < 2)
        return bucket + 1;
    return (UINT64_C(1) << bucket / 2) +
           (uint64_t)(bucket % 2 + 1) * (UINT64_C(1) << bucket / 2) / 2;
}

static inline void tally_add(struct tally *tally, uint64_t value)
{
    tally->sum += value;
    tally->counts[tally_bucket(value)]++;
}

#endif
