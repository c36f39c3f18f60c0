#include "engine/base/histogram.h"

#include <assert.h>

static uint64_t bucket_value_max(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t first = (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
    return first + (((uint64_t)1 << shift) - 1);
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    assert(quantile >= 0 && quantile <= 1);
    if (histogram->values_count == 0)
        return 0;
    double rank = quantile * (double)histogram->values_count;
    uint64_t wanted = (uint64_t)rank;
    /* Rounded up, but for what the product of two doubles is too large by: 0.07 x 100 is 7. */
    if (rank - (double)wanted > 1e-9 * rank)
        wanted++;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= wanted && seen > 0) {
            uint64_t value = bucket_value_max(bucket);
            return value < histogram->value_max ? value : histogram->value_max;
        }
    }
    return histogram->value_max;
}
