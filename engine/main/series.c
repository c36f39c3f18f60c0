#include "engine/main/series.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void series_init(struct series *series, uint64_t interval_ns)
{
    assert(interval_ns > 0);
    series->interval_ns = interval_ns;
    series->samples_count = 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct series_sample join(const struct series_sample *a, const struct series_sample *b)
{
    struct series_sample joined = *b; /* all that counts since the start */
    joined.length_ns += a->length_ns;
    joined.steps += a->steps;
    joined.sagas += a->sagas;
    joined.replies += a->replies;
    if (joined.replies > 0)
        joined.p50_ns = (uint64_t)(((double)a->p50_ns * (double)a->replies +
                                    (double)b->p50_ns * (double)b->replies) /
                                   (double)joined.replies);
    joined.p99_ns = larger(a->p99_ns, b->p99_ns);
    joined.p999_ns = larger(a->p999_ns, b->p999_ns);
    joined.rss_bytes = larger(a->rss_bytes, b->rss_bytes);
    joined.disk_bytes = larger(a->disk_bytes, b->disk_bytes);
    return joined;
}

void series_thin(struct series *series)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < series->samples_count; i += 2)
        series->samples[count++] = i + 1 < series->samples_count
                                       ? join(&series->samples[i], &series->samples[i + 1])
                                       : series->samples[i];
    series->samples_count = count;
    series->interval_ns *= 2;
}

void series_add(struct series *series, const struct series_sample *sample)
{
    if (series->samples_count == SERIES_SAMPLES_MAX)
        series_thin(series);
    series->samples[series->samples_count++] = *sample;
}

void series_add_rest(struct series *series, const struct series_sample *sample)
{
    if (series->samples_count == 0 || sample->length_ns >= series->interval_ns / 2) {
        series_add(series, sample);
        return;
    }
    struct series_sample *last = &series->samples[series->samples_count - 1];
    *last = join(last, sample);
}

void series_measure_latency(struct series_sample *sample, const struct histogram *now,
                            struct histogram *before)
{
    before->values_count = now->values_count - before->values_count;
    before->value_max = now->value_max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        before->buckets[i] = now->buckets[i] - before->buckets[i];
    sample->replies = before->values_count;
    sample->p50_ns = histogram_quantile(before, 0.5);
    sample->p99_ns = histogram_quantile(before, 0.99);
    sample->p999_ns = histogram_quantile(before, 0.999);
    *before = *now;
}

/* ---- the summary -----------------------------------------------------------------------------
 */

static double steps_per_s_of(const struct series_sample *sample)
{
    return sample->length_ns == 0 ? 0 : (double)sample->steps * 1e9 / (double)sample->length_ns;
}

static double p99_of(const struct series_sample *sample)
{
    return (double)sample->p99_ns;
}

static double rss_of(const struct series_sample *sample)
{
    return (double)sample->rss_bytes;
}

static double disk_of(const struct series_sample *sample)
{
    return (double)sample->disk_bytes;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(const struct series_sample *samples, uint32_t count,
                     double (*value_of)(const struct series_sample *sample))
{
    double values[SERIES_SAMPLES_MAX];
    for (uint32_t i = 0; i < count; i++)
        values[i] = value_of(&samples[i]);
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static struct series_part part_of(const struct series_sample *samples, uint32_t count)
{
    return (struct series_part){
        .steps_per_s = median(samples, count, steps_per_s_of),
        .p99_ns = median(samples, count, p99_of),
        .rss_bytes = median(samples, count, rss_of),
        .disk_bytes = median(samples, count, disk_of),
    };
}

struct series_summary series_summarize(const struct series *series)
{
    assert(series->samples_count > 0);
    uint32_t quarter = series->samples_count < 4 ? 1 : series->samples_count / 4;
    return (struct series_summary){
        .first = part_of(series->samples, quarter),
        .last = part_of(series->samples + series->samples_count - quarter, quarter),
    };
}

/* A row of them ends with the factor 1. */
struct scale {
    double factor;
    const char *unit;
};

static const struct scale count_scales[] = {{1e6, "M"}, {1e3, "k"}, {1, ""}};
static const struct scale bytes_scales[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}};
static const struct scale time_scales[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}};

/* Three digits count. */
static int decimals_of(double value)
{
    return value < 10 ? 2 : (value < 100 ? 1 : 0);
}

static size_t describe_pair(char *text, size_t capacity, const char *name, double first,
                            double last, const struct scale *scale)
{
    double most = first > last ? first : last;
    while (scale->factor > 1 && most < scale->factor)
        scale++;
    int decimals = decimals_of(most / scale->factor);
    int bytes =
        snprintf(text, capacity, "%s %.*f → %.*f%s%s", name, decimals, first / scale->factor,
                 decimals, last / scale->factor, scale->unit[0] == '\0' ? "" : " ", scale->unit);
    if (first > 0 && (size_t)bytes < capacity)
        bytes += snprintf(text + bytes, capacity - (size_t)bytes, " (×%.2f)", last / first);
    return (size_t)bytes < capacity ? (size_t)bytes : capacity - 1;
}

void series_describe(const struct series_summary *summary, char *text, size_t capacity)
{
    const struct series_part *first = &summary->first, *last = &summary->last;
    size_t used = describe_pair(text, capacity, "steps/s", first->steps_per_s, last->steps_per_s,
                                count_scales);
    used += describe_pair(text + used, capacity - used, ", p99", first->p99_ns, last->p99_ns,
                          time_scales);
    used += describe_pair(text + used, capacity - used, ", memory", first->rss_bytes,
                          last->rss_bytes, bytes_scales);
    if (first->disk_bytes > 0 || last->disk_bytes > 0)
        describe_pair(text + used, capacity - used, ", disk", first->disk_bytes, last->disk_bytes,
                      bytes_scales);
}

/* ---- the table -------------------------------------------------------------------------------
 */

static void write_percentile(const struct series_sample *sample, uint64_t value_ns, FILE *out)
{
    if (sample->replies == 0)
        fputc(',', out);
    else
        fprintf(out, ",%.6f", (double)value_ns / 1e6);
}

void series_write_csv(const struct series *series, FILE *out)
{
    fputs("seconds,interval_s,steps,sagas,steps_per_s,sagas_per_s,latency_p50_ms,latency_p99_ms,"
          "latency_p999_ms,rss_bytes,disk_bytes,journal_bytes,checkpoints,checkpoint_stop_ms_max,"
          "cpu_s\n",
          out);
    for (uint32_t i = 0; i < series->samples_count; i++) {
        const struct series_sample *sample = &series->samples[i];
        double length_s = (double)sample->length_ns / 1e9;
        fprintf(out, "%.6f,%.6f,%" PRIu64 ",%" PRIu64 ",%.1f,%.1f", (double)sample->ended_ns / 1e9,
                length_s, sample->steps, sample->sagas, steps_per_s_of(sample),
                length_s > 0 ? (double)sample->sagas / length_s : 0);
        write_percentile(sample, sample->p50_ns, out);
        write_percentile(sample, sample->p99_ns, out);
        write_percentile(sample, sample->p999_ns, out);
        fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.3f,%.3f\n",
                sample->rss_bytes, sample->disk_bytes, sample->journal_bytes, sample->checkpoints,
                (double)sample->stop_ns_max / 1e6, (double)sample->cpu_ns / 1e9);
    }
}
