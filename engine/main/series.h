/*
 * series: how a long run went: a row of samples, each of one interval, and what its first and its
 * last quarter say, so that "flat" is a figure.
 *
 * Threads: one owner.
 * Memory:  fixed. A sample more than SERIES_SAMPLES_MAX first makes one of each two that are
 *          there, and intervals are twice as long from then on.
 */
#ifndef ENGINE_MAIN_SERIES_H
#define ENGINE_MAIN_SERIES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/histogram.h"

#define SERIES_SAMPLES_MAX 3600u

struct series_sample {
    uint64_t ended_ns; /* since the start of the run */
    /* In the interval. */
    uint64_t length_ns;
    uint64_t steps, sagas;
    uint64_t replies;                 /* sagas whose latency is known */
    uint64_t p50_ns, p99_ns, p999_ns; /* of them; 0 when there were none */
    /* Held at its end. */
    uint64_t rss_bytes;
    uint64_t disk_bytes; /* 0: nothing is on disk */
    /* Since the start of the run. */
    uint64_t journal_bytes;
    uint64_t checkpoints;
    uint64_t stop_ns_max; /* the longest that sagas waited for a checkpoint to begin */
    uint64_t cpu_ns;
};

struct series {
    uint64_t interval_ns; /* that the next sample should cover */
    uint32_t samples_count;
    struct series_sample samples[SERIES_SAMPLES_MAX];
};

/* Medians over the samples of a part of the run. */
struct series_part {
    double steps_per_s;
    double p99_ns;
    double rss_bytes;
    double disk_bytes;
};

struct series_summary {
    struct series_part first, last; /* a quarter of the samples each, at least one */
};

void series_init(struct series *series, uint64_t interval_ns);
void series_add(struct series *series, const struct series_sample *sample);
/* What is left over when the run ends: joined to the sample before it if it is shorter than half an
 * interval, since the rates of a moment say nothing. */
void series_add_rest(struct series *series, const struct series_sample *sample);
/* One sample of each two. Of the two intervals the p50 is the mean by sagas; of tails, memory and
 * disk the larger counts, so that nothing bad is thinned away. */
void series_thin(struct series *series);

/* Fills in replies and percentiles: what `now` has and `before` had not. `before` becomes `now`, so
 * that nothing is done a saga. The values are nanoseconds. */
void series_measure_latency(struct series_sample *sample, const struct histogram *now,
                            struct histogram *before);

/* There must be a sample. */
struct series_summary series_summarize(const struct series *series);
/* "steps/s 2.91 → 2.90 M (×1.00), p99 64.1 → 63.5 ms (×0.99), memory …, disk …". */
void series_describe(const struct series_summary *summary, char *text, size_t capacity);

/* The header names columns and units; a line a sample. A percentile of nothing is left empty. */
void series_write_csv(const struct series *series, FILE *out);

#endif
