/*
 * net_load: sagas started on an engine over the network, and awaited; the steps served as well, if
 * asked for. What --net and --spawn of `flyover bench` do.
 *
 *     closed   a saga is started when another one has ended, so many being under way at once
 *     open     a saga is due every 1/rate seconds. Latency counts from then, also for one that
 *              could not be sent in time, so that an engine that stands still is seen to.
 *
 * Everything is done by one thread between one poll(2) and the next: starts, answers and steps.
 * Where the engine says BUSY, the start is made again after the time that it names, and its
 * latency counts on.
 *
 * Threads: the caller's. Memory: 12 bytes for each saga that may be under way, at open.
 */
#ifndef ENGINE_MAIN_NET_LOAD_H
#define ENGINE_MAIN_NET_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/histogram.h"
#include "engine/base/status.h"
#include "engine/client/flyover.h"
#include "engine/main/generator.h"
#include "engine/main/net_idle.h"

struct net_load_options {
    struct flyover_client_options client; /* borrowed until net_load_close */
    const char *definition, *return_definition;
    uint32_t connections, outstanding, batch, workers, idle;
    struct generator *generator; /* borrowed */
    /* Called often, at least once a second. */
    void (*on_look)(void *context);
    void *context;
};

/* One run of it. */
struct net_load_run {
    double rate_per_s;  /* 0: closed */
    uint64_t sagas_max; /* 0: by duration_s alone */
    double duration_s;  /* 0: by sagas_max alone */
};

struct net_load_counts {
    uint64_t started_ns, ended_ns; /* the first start and the last end */
    uint64_t sent, busy;
    uint64_t succeeded, compensated, failed, stuck;
    uint64_t invocations;                   /* served here */
    uint64_t wire_bytes_out, wire_bytes_in; /* as the kernel counts them; 0: it does not */
    uint64_t cpu_ns;                        /* of this process */
    struct histogram latency_ns;
};

struct net_load;

/* Connects, and registers as a worker. STATUS_IO, STATUS_NO_PERMISSION, STATUS_NO_MEMORY. Returns
 * owned. */
NODISCARD enum status net_load_open(const struct net_load_options *options,
                                    struct net_load **ret_load, struct problem *problem);
void net_load_close(struct net_load *load);

/* For questions between two runs. */
struct flyover_client *net_load_client(struct net_load *load);
/* So many may be under way, at most as many as at open; the windows of the connections too. */
uint32_t net_load_outstanding(const struct net_load *load);
uint64_t net_load_under_way(const struct net_load *load);
uint32_t net_load_idle_lost(const struct net_load *load);
/* Starts and awaits; STATUS_IO where the engine is gone or does nothing any more. Stops early, in
 * order, when a signal has asked for it. */
NODISCARD enum status net_load_run(struct net_load *load, const struct net_load_run *run,
                                   struct net_load_counts *ret_counts, struct problem *problem);

#endif
