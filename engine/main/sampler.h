/*
 * sampler: takes the samples of a run (see series) while it runs and writes plot and table at its
 * end: what --plot, --series and --sample of `flyover bench` ask for.
 *
 * Threads: the engine's. Nothing is done a saga or a step. A turn costs a look at the clock and a
 *          sample less than 0.1 ms, which is measured and said with the summary. The files of the
 *          data directory are looked at by a thread of its own (disk_meter).
 * Memory:  about half a megabyte, at open.
 */
#ifndef ENGINE_MAIN_SAMPLER_H
#define ENGINE_MAIN_SAMPLER_H

#include <argp.h>
#include <jansson.h>

#include "engine/main/plot.h"
#include "engine/main/session.h"

struct sampler_options {
    const char *plot_path;
    const char *series_path;
    double sample_s; /* 0: by the length of the run */
};

/* The child parser's input is a struct sampler_options, all zero before the parse. */
extern const struct argp sampler_argp;

struct sampler;

/* True if the options ask for samples. */
bool sampler_is_wanted(const struct sampler_options *options);
/* Before the engine's threads are pinned. Opens the files to be written, so that what cannot be
 * written is said before the run and not after it; what they hold stays until sampler_write.
 * duration_s may be 0: not known. Options are borrowed. Returns owned. STATUS_NO_PERMISSION,
 * STATUS_NO_MEMORY. */
NODISCARD enum status sampler_open(const struct sampler_options *options, double duration_s,
                                   struct sampler **ret_sampler, struct problem *problem);
/* Accepts NULL. Removes a file that was made here and not written. */
void sampler_close(struct sampler *sampler);

/* The run begins. Borrows the session until sampler_end, `directory` (NULL: none) until
 * sampler_close. */
void sampler_begin(struct sampler *sampler, const struct session *session, const char *directory);
/* Once a turn; takes a sample when one is due. */
void sampler_look(struct sampler *sampler);
/* Takes the last sample; before partition_stop, while all threads are there. */
void sampler_end(struct sampler *sampler);

/* Plot and table, as asked for. STATUS_IO, STATUS_NO_SPACE. */
NODISCARD enum status sampler_write(struct sampler *sampler, const struct plot_labels *labels,
                                    struct problem *problem);
/* Two lines for people. */
void sampler_print(const struct sampler *sampler, FILE *out);
/* {"samples", "interval_s", "sample_cpu_ms_mean", "sample_cpu_ms_max", "first_quarter",
 * "last_quarter", "last_to_first"}; returns owned. */
json_t *sampler_json(const struct sampler *sampler);

#endif
