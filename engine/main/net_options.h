/*
 * net_options: what `flyover bench` is told of a load that comes over the network.
 *
 * Threads: none. Memory: borrows the texts of the command line.
 */
#ifndef ENGINE_MAIN_NET_OPTIONS_H
#define ENGINE_MAIN_NET_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#define NET_CONNECTIONS_MAX 256u
#define NET_IDLE_MAX        100000u

enum net_spawn { NET_SPAWN_NONE, NET_SPAWN_TCP, NET_SPAWN_UNIX };

struct net_options {
    const char *address; /* NULL: none */
    enum net_spawn spawn;
    uint32_t connections;
    uint32_t outstanding; /* in all */
    double rate_per_s;    /* 0: as fast as answers come */
    uint32_t batch;       /* starts between two flushes */
    uint32_t workers;     /* connections that serve the steps; 0: the engine's plug-ins do */
    uint32_t idle;
    bool is_curve;
};

/* The child parser's input is a struct net_options that net_options_init has seen. */
extern const struct argp net_options_argp;
void net_options_init(struct net_options *options);
/* Whether there is to be a network at all. */
bool net_options_is_wanted(const struct net_options *options);

#endif
