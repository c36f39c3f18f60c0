/*
 * top_sample: what `flyover top` has heard of an engine at one moment (the answer to {"do":
 * "figures"}), and what happened between two such moments.
 *
 * What an older or a newer engine does not tell is 0.
 *
 * Threads: any; plain structs, the caller's. Limits: TOP_SERVICES_MAX services, TOP_STUCK_MAX
 * sagas, TOP_THREADS_MAX threads; those beyond are counted, and not kept.
 */
#ifndef ENGINE_MAIN_TOP_SAMPLE_H
#define ENGINE_MAIN_TOP_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/tally.h"

#define TOP_SERVICES_MAX 64u
#define TOP_STUCK_MAX    5u
#define TOP_THREADS_MAX  40u
#define TOP_TEXT_BYTES   64u

struct top_service {
    char name[TOP_TEXT_BYTES];
    bool is_remote;
    uint64_t workers, credit, waiting, in_flight, answered;
};

struct top_stuck {
    uint64_t saga_id;
    char definition[TOP_TEXT_BYTES], at[TOP_TEXT_BYTES], error[TOP_TEXT_BYTES];
    int64_t started_ms;
};

struct top_thread {
    char name[TOP_TEXT_BYTES];
    uint64_t cpu_ns;
};

struct top_sample {
    uint64_t taken_ns; /* of the engine's clock */
    int64_t taken_ms;
    uint64_t started, succeeded, compensated, failed, aborted, steps, retries, timeouts;
    uint64_t live, live_max, running, sleeping, awaiting, compensating, stuck, ending;
    uint64_t payload_bytes, payload_bytes_max, names, names_max;
    struct tally saga_ms, append_us;
    uint64_t blocks, syncs, journal_bytes, stalls, lag_blocks;
    uint64_t memtable_bytes, files_bytes, files_l0;
    bool has_store;
    uint64_t checkpoints, checkpoint_block, since_checkpoint_bytes, checkpoint_stop_ns_max;
    int64_t checkpoint_age_ms; /* -1: there is none */
    bool has_net;
    uint64_t connections, clients, workers, requests_open, messages_in, messages_out;
    uint64_t errors, busy, handed_out_again, late_results;
    uint32_t services_count, stuck_count, threads_count; /* kept here */
    uint32_t services_all;
    struct top_service services[TOP_SERVICES_MAX];
    struct top_stuck stuck_sagas[TOP_STUCK_MAX];
    struct top_thread threads[TOP_THREADS_MAX];
};

/* A second's worth of what happened between two samples. */
struct top_rates {
    bool is_known; /* false: there was no sample before, or the engine was started anew since */
    double steps, sagas_started, sagas_ended;
    double blocks, journal_bytes, messages_in, messages_out, errors, busy;
    double saga_ms_p50, saga_ms_p99, append_us_p50, append_us_p99; /* 0: there was none */
    double answers[TOP_SERVICES_MAX];                              /* as the services of `after` */
    double cpu_percent[TOP_THREADS_MAX];                           /* as the threads of `after` */
};

/* False where it is no answer to that question. */
bool top_sample_read(const json_t *figures, struct top_sample *ret_sample);
/* What {"do": "list", "state": "STUCK"} answers. */
void top_sample_read_stuck(const json_t *list, struct top_sample *sample);
void top_rates_between(const struct top_sample *before, const struct top_sample *after,
                       struct top_rates *ret_rates);

#endif
