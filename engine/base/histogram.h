/*
 * histogram: counts of values by size, log-linear: 64 steps in each power of two, so that a
 * percentile is at most 1.6 % too high whatever the range. Fixed memory, no allocation.
 *
 * Threads: one owner. Values are in one unit, the caller's.
 * Source: the layout of HdrHistogram (Gil Tene), with 6 bits of precision.
 */
#ifndef ENGINE_BASE_HISTOGRAM_H
#define ENGINE_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   64u
#define HISTOGRAM_BUCKETS (59u * HISTOGRAM_STEPS)

struct histogram {
    uint64_t values_count;
    uint64_t value_max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (uint32_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - 6u;
    return (shift + 1) * HISTOGRAM_STEPS + (uint32_t)((value >> shift) - HISTOGRAM_STEPS);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->values_count++;
    if (value > histogram->value_max)
        histogram->value_max = value;
    histogram->buckets[histogram_bucket(value)]++;
}

/* The largest value that falls where `quantile` (0 to 1) of all values are at or below; 0 when
 * there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

#endif
