/*
 * net_report: what a load over the network reached, for people and (jansson) for machines.
 *
 * Threads: none. Memory: none.
 */
#ifndef ENGINE_MAIN_NET_REPORT_H
#define ENGINE_MAIN_NET_REPORT_H

#include <jansson.h>

#include "engine/main/net_engine.h"
#include "engine/main/net_load.h"

#define NET_POINTS_MAX 8u
#define NET_LAWS_MAX   6u

/* One run. */
struct net_point {
    const char *name;  /* "closed", "open", "50 %" */
    double rate_per_s; /* 0: closed */
    struct net_load_counts counts;
    struct net_engine_usage engine; /* of the run; all zeroes where it is not known */
    uint64_t steps;                 /* results applied, as the engine says */
};

/* What the engine has counted, and what was acknowledged here. */
struct net_law {
    const char *text;
    uint64_t engine, here;
};

struct net_report {
    const char *reached; /* "TCP over loopback" */
    char durability[16];
    uint32_t connections, outstanding, batch, workers, idle, idle_lost;
    const char *shape;
    uint64_t seed;
    uint32_t points_count;
    struct net_point points[NET_POINTS_MAX];
    uint32_t laws_count;
    struct net_law laws[NET_LAWS_MAX];
    struct histogram sync_ns;       /* empty: not measured */
    uint64_t engine_rss_idle_bytes; /* with the idle connections, before any load; 0: not known */
};

double net_report_seconds(const struct net_point *point);
double net_report_sagas_per_s(const struct net_point *point);
/* Whether all laws hold. */
bool net_report_is_balanced(const struct net_report *report);
void net_report_print(const struct net_report *report);
/* Returns owned. */
json_t *net_report_json(const struct net_report *report);

#endif
