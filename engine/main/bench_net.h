/*
 * bench_net: `flyover bench --net` and `--spawn`: the load test from outside, through libflyover.
 *
 * Threads: the caller's; the engine is another process. Memory: of the load (net_load.h) and the
 * generator.
 */
#ifndef ENGINE_MAIN_BENCH_NET_H
#define ENGINE_MAIN_BENCH_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/main/generator.h"
#include "engine/main/net_options.h"
#include "engine/main/session.h"

struct bench_net_options {
    struct net_options net;
    struct session_options session; /* of the engine that is spawned */
    uint64_t sagas_max;             /* of a run, where duration_s is 0 */
    double duration_s;
    double fail_rate;
    uint64_t seed;
    enum generator_shape shape;
    const char *definition; /* a file; NULL: the orders' own */
    const char *plot_path;  /* of the curve; NULL: none */
    bool json;
};

/* Prints the report; returns the exit code. */
int bench_net(const struct bench_net_options *options);

#endif
