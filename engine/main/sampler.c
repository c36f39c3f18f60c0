#include "engine/main/sampler.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/main/disk_meter.h"
#include "engine/main/series.h"

#define SAMPLE_S_MIN         0.01
#define SAMPLE_S_MAX         1e6
#define SAMPLES_DEFAULT      300.0
#define SAMPLE_S_DEFAULT_MIN 1.0
/* Where the length of the run is not known: it may be short, and a long one is thinned out. */
#define SAMPLE_S_UNKNOWN 0.1
/* The disk is looked at by another thread, which is asked so long before its figure is wanted, or
 * half an interval. */
#define DISK_AHEAD_NS 50000000u

/* A file to be written at the end. */
struct output {
    const char *path; /* NULL: none */
    int file;
    bool made; /* it was not there before, and is not written yet */
};

struct sampler {
    struct output plot, table;
    const struct session *session;
    struct disk_meter *disk;
    bool disk_asked; /* for the next sample */
    int memory_file; /* /proc/self/statm; -1: there is none */
    uint64_t started_ns, sampled_ns;
    uint64_t ask_ns, due_ns; /* the next time to ask for the disk's figure, and to take a sample */
    uint64_t cpu_ns;         /* at the start */
    struct core_totals totals;
    struct histogram latency_ns;       /* of all sagas up to the last sample */
    uint64_t cost_ns_sum, cost_ns_max; /* what samples took of the engine's thread */
    uint64_t taken_count;
    struct series series;
};

/* ---- options ---------------------------------------------------------------------------------
 */

enum { KEY_PLOT = 4000, KEY_SERIES, KEY_SAMPLE };

static const struct argp_option options_list[] = {
    {"plot", KEY_PLOT, "FILE.svg", 0, "Draw how rate, latency, memory and disk went over the run",
     2},
    {"series", KEY_SERIES, "FILE.csv", 0, "The same as a table", 2},
    {"sample", KEY_SAMPLE, "SECONDS", 0,
     "Take a sample this often (default: --duration / 300, at least 1; without --duration 0.1). "
     "Of more than 3600 each two are made one",
     2},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct sampler_options *options = state->input;
    char *end;
    switch (key) {
    case KEY_PLOT: options->plot_path = text; return 0;
    case KEY_SERIES: options->series_path = text; return 0;
    case KEY_SAMPLE:
        options->sample_s = strtod(text, &end);
        if (end == text || *end != '\0' ||
            !(options->sample_s >= SAMPLE_S_MIN && options->sample_s <= SAMPLE_S_MAX))
            argp_error(state, "--sample takes a number of seconds from %g to %g", SAMPLE_S_MIN,
                       SAMPLE_S_MAX);
        return 0;
    case ARGP_KEY_END:
        if (options->plot_path != NULL && options->series_path != NULL &&
            strcmp(options->plot_path, options->series_path) == 0)
            argp_error(state, "--plot and --series are the same file");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp sampler_argp = {options_list, parse_option, NULL, NULL, NULL, NULL, NULL};

bool sampler_is_wanted(const struct sampler_options *options)
{
    return options->plot_path != NULL || options->series_path != NULL || options->sample_s > 0;
}

/* ---- files -----------------------------------------------------------------------------------
 */

static enum status open_output(struct output *output, const char *path, struct problem *problem)
{
    if (path == NULL)
        return STATUS_OK;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool made = file >= 0;
    if (!made && errno == EEXIST)
        file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return problem_set(problem, STATUS_NO_PERMISSION, "%s cannot be written: %s", path,
                           strerror(errno));
    *output = (struct output){path, file, made};
    return STATUS_OK;
}

static void close_output(struct output *output)
{
    if (output->path == NULL)
        return;
    if (output->file >= 0)
        close(output->file);
    if (output->made)
        unlink(output->path);
    *output = (struct output){.file = -1};
}

enum status sampler_open(const struct sampler_options *options, double duration_s,
                         struct sampler **ret_sampler, struct problem *problem)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    double sample_s = duration_s / SAMPLES_DEFAULT;
    if (options->sample_s > 0)
        sample_s = options->sample_s;
    else if (duration_s <= 0)
        sample_s = SAMPLE_S_UNKNOWN;
    else if (sample_s < SAMPLE_S_DEFAULT_MIN)
        sample_s = duration_s < SAMPLE_S_DEFAULT_MIN ? duration_s : SAMPLE_S_DEFAULT_MIN;
    series_init(&sampler->series, (uint64_t)(sample_s * 1e9) + 1);
    sampler->memory_file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    enum status status = disk_meter_open(&sampler->disk, problem);
    if (status == STATUS_OK)
        status = open_output(&sampler->plot, options->plot_path, problem);
    if (status == STATUS_OK)
        status = open_output(&sampler->table, options->series_path, problem);
    if (status != STATUS_OK) {
        sampler_close(sampler);
        return status;
    }
    *ret_sampler = sampler;
    return STATUS_OK;
}

void sampler_close(struct sampler *sampler)
{
    if (sampler == NULL)
        return;
    close_output(&sampler->plot);
    close_output(&sampler->table);
    disk_meter_close(sampler->disk);
    if (sampler->memory_file >= 0)
        close(sampler->memory_file);
    free(sampler);
}

/* ---- samples ---------------------------------------------------------------------------------
 */

/* Of this process; the children that write checkpoints share most of it. */
static uint64_t resident_bytes(int memory_file)
{
    char text[128];
    unsigned long pages;
    ssize_t bytes = memory_file < 0 ? -1 : pread(memory_file, text, sizeof text - 1, 0);
    if (bytes <= 0)
        return 0;
    text[bytes] = '\0';
    return sscanf(text, "%*u %lu", &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Those that wrote checkpoints and have ended too. */
static uint64_t cpu_ns_used(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    uint64_t children_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) + children_us * 1000;
}

static struct series_sample take(struct sampler *sampler, uint64_t now_ns)
{
    uint64_t began_cpu_ns = clock_thread_cpu_ns();
    const struct partition *partition = sampler->session->partition;
    struct core_totals totals = core_totals(partition_state(partition)->core);
    struct partition_counts counts = partition_counts(partition);
    struct series_sample sample = {
        .ended_ns = now_ns - sampler->started_ns,
        .length_ns = now_ns - sampler->sampled_ns,
        .steps = totals.steps_ended - sampler->totals.steps_ended,
        .sagas = totals.ended - sampler->totals.ended,
        .rss_bytes = resident_bytes(sampler->memory_file),
        .disk_bytes = disk_meter_bytes(sampler->disk),
        .journal_bytes = counts.journal_bytes,
        .checkpoints = counts.checkpoints,
        .stop_ns_max = counts.checkpoint_stop_ns_max,
        .cpu_ns = cpu_ns_used() - sampler->cpu_ns,
    };
    series_measure_latency(&sample, sampler->session->latency_ns, &sampler->latency_ns);
    sampler->totals = totals;
    sampler->sampled_ns = now_ns;
    uint64_t cost_ns = clock_thread_cpu_ns() - began_cpu_ns;
    sampler->cost_ns_sum += cost_ns;
    sampler->taken_count++;
    if (cost_ns > sampler->cost_ns_max)
        sampler->cost_ns_max = cost_ns;
    return sample;
}

/* On the grid of the start; a turn that took longer than an interval makes one long sample. */
static void plan_next(struct sampler *sampler, uint64_t now_ns)
{
    uint64_t interval_ns = sampler->series.interval_ns;
    sampler->due_ns += interval_ns;
    if (sampler->due_ns <= now_ns)
        sampler->due_ns = now_ns + interval_ns;
    sampler->ask_ns =
        sampler->due_ns - (interval_ns < 2 * DISK_AHEAD_NS ? interval_ns / 2 : DISK_AHEAD_NS);
    sampler->disk_asked = false;
}

void sampler_begin(struct sampler *sampler, const struct session *session, const char *directory)
{
    sampler->session = session;
    disk_meter_begin(sampler->disk, directory);
    sampler->totals = core_totals(partition_state(session->partition)->core);
    sampler->cpu_ns = cpu_ns_used();
    sampler->started_ns = sampler->sampled_ns = clock_now_ns();
    plan_next(sampler, sampler->started_ns);
}

void sampler_look(struct sampler *sampler)
{
    uint64_t now_ns = clock_now_ns();
    if (now_ns < sampler->ask_ns)
        return;
    if (!sampler->disk_asked)
        disk_meter_ask(sampler->disk);
    sampler->disk_asked = true;
    if (now_ns < sampler->due_ns)
        return;
    struct series_sample sample = take(sampler, now_ns);
    series_add(&sampler->series, &sample);
    plan_next(sampler, now_ns);
}

void sampler_end(struct sampler *sampler)
{
    uint64_t now_ns = clock_now_ns();
    disk_meter_look(sampler->disk);
    struct series_sample sample = take(sampler, now_ns);
    series_add_rest(&sampler->series, &sample);
}

/* ---- what comes of them ----------------------------------------------------------------------
 */

/* What stood in the file goes now. Where it is no file (a pipe, a device) there is nothing to go.
 */
static FILE *begin_output(struct output *output)
{
    if (ftruncate(output->file, 0) != 0 && errno != EINVAL)
        return NULL;
    FILE *out = fdopen(output->file, "w");
    if (out != NULL)
        output->file = -1; /* the stream's */
    return out;
}

static enum status end_output(struct output *output, FILE *out, struct problem *problem)
{
    bool failed = out == NULL || fflush(out) != 0 || ferror(out) != 0;
    int error = errno;
    if (out != NULL && fclose(out) != 0 && !failed) {
        failed = true;
        error = errno;
    }
    if (failed)
        return problem_set(problem, error == ENOSPC ? STATUS_NO_SPACE : STATUS_IO,
                           "%s cannot be written: %s", output->path, strerror(error));
    output->made = false;
    return STATUS_OK;
}

enum status sampler_write(struct sampler *sampler, const struct plot_labels *labels,
                          struct problem *problem)
{
    enum status status = STATUS_OK;
    if (sampler->table.path != NULL) {
        FILE *out = begin_output(&sampler->table);
        if (out != NULL)
            series_write_csv(&sampler->series, out);
        status = end_output(&sampler->table, out, problem);
    }
    if (sampler->plot.path != NULL && status == STATUS_OK) {
        FILE *out = begin_output(&sampler->plot);
        if (out != NULL)
            plot_write(&sampler->series, labels, out);
        status = end_output(&sampler->plot, out, problem);
    }
    return status;
}

void sampler_print(const struct sampler *sampler, FILE *out)
{
    char text[512];
    struct series_summary summary = series_summarize(&sampler->series);
    series_describe(&summary, text, sizeof text);
    fprintf(out, "  series    first quarter → last quarter, medians: %s\n", text);
    fprintf(
        out,
        "            %u samples of %.4g s, each %.3f ms of the engine thread's CPU, at most %.3f\n",
        sampler->series.samples_count, (double)sampler->series.interval_ns / 1e9,
        (double)sampler->cost_ns_sum / (double)sampler->taken_count / 1e6,
        (double)sampler->cost_ns_max / 1e6);
}

static json_t *part_json(const struct series_part *part)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "steps_per_s", part->steps_per_s, "latency_p99_us",
                     part->p99_ns / 1e3, "rss_bytes", part->rss_bytes, "disk_bytes",
                     part->disk_bytes);
}

/* null where the first is nothing. */
static json_t *ratio_json(double last, double first)
{
    return first > 0 ? json_real(last / first) : json_null();
}

json_t *sampler_json(const struct sampler *sampler)
{
    struct series_summary summary = series_summarize(&sampler->series);
    const struct series_part *first = &summary.first, *last = &summary.last;
    json_t *ratios = json_pack("{s:o, s:o, s:o, s:o}", "steps_per_s",
                               ratio_json(last->steps_per_s, first->steps_per_s), "latency_p99_us",
                               ratio_json(last->p99_ns, first->p99_ns), "rss_bytes",
                               ratio_json(last->rss_bytes, first->rss_bytes), "disk_bytes",
                               ratio_json(last->disk_bytes, first->disk_bytes));
    return json_pack("{s:i, s:f, s:f, s:f, s:o, s:o, s:o}", "samples",
                     (int)sampler->series.samples_count, "interval_s",
                     (double)sampler->series.interval_ns / 1e9, "sample_cpu_ms_mean",
                     (double)sampler->cost_ns_sum / (double)sampler->taken_count / 1e6,
                     "sample_cpu_ms_max", (double)sampler->cost_ns_max / 1e6, "first_quarter",
                     part_json(first), "last_quarter", part_json(last), "last_to_first", ratios);
}
